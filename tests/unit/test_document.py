"""YAML with positions: what each text means, where it stands, and what is refused."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zoo import document
from zoo.document import parse, path_text, read, read_all, reader
from zoo.errors import Problem, RecipeError


@pytest.fixture(params=["libyaml", "pure"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for either of PyYAML's parsers."""
    if request.param == "pure":
        monkeypatch.setattr(reader, "LOADER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML without libyaml")


def refused(text: str, mode: document.Mode = "recipe") -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml", mode)
    return caught.value.problems


def brief(problems: list[Problem]) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.path) for problem in problems]


CORE = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{word: word for word in ("no", "No", "NO", "yes", "on", "off", "y", "n", "nULL", "tRUE", "none", "None")},
    **{"0": 0, "-0": 0, "+12": 12, "012": 12, "-7": -7, "0o14": 12, "0xfF": 255, "123456789012345678901234": 123456789012345678901234},
    **{"1e-3": 1e-3, "1E3": 1e3, "1.": 1.0, ".5": 0.5, "-.5e+2": -50.0, "6.02e23": 6.02e23, "685230.15": 685230.15, "0.0": 0.0},
    **{".inf": math.inf, "+.INF": math.inf, "-.Inf": -math.inf, "1e999": math.inf},
    **{
        word: word
        for word in (
            "1:30",
            "190:20:30",
            "2024-01-31",
            "2001-12-14t21:59:43.10-05:00",
            "1_000",
            "0b11",
            "0o8",
            "-0x1",
            "0x",
            "1e",
            ".",
            "+",
            "-.",
            "+.e3",
            "..",
        )
    },
    **{word: word for word in ("inf", "nan", ".iNF", "<", "=", "1.2.3", "0.11.0", "٣", "https://a/b#c", "a:b")},
    **{"'12'": "12", '"true"': "true", '""': "", "'~'": "~", '"\\u00e9\\n"': "é\n"},
}


@pytest.mark.parametrize("text", CORE)
def test_each_scalar_is_what_the_core_schema_of_yaml_1_2_says(text: str) -> None:
    value = parse(f"key: {text}").data["key"]
    assert (type(value), value) == (type(CORE[text]), CORE[text])


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number_is_a_number(text: str) -> None:
    assert math.isnan(parse(text).data)


def test_a_number_too_long_to_be_one_is_refused() -> None:
    assert "5000 digits" in refused("a: " + "9" * 5000)[0].message
    assert parse(f"'{'9' * 5000}'").data == "9" * 5000


RECIPE = """\
# a comment
name: a é
weights:
  - type: url
    files: [{name: x.pth, hash: none}, {name: y.pth}]
  - type: file
"quoted key":   12
block: |
  text
nothing:
"""


def test_every_key_and_value_knows_its_line_and_column() -> None:
    read = parse(RECIPE)
    assert read.data["weights"][0]["files"][1] == {"name": "y.pth"}
    assert read.position(()) == (2, 1)
    assert read.position(("name",)) == (2, 7)
    assert read.position(("name",), key=True) == (2, 1)
    assert read.position(("weights",)) == (4, 3)
    assert read.position(("weights",), key=True) == (3, 1)
    assert read.position(("weights", 1)) == (6, 5)
    assert read.position(("weights", 0, "files", 1, "name")) == (5, 47)
    assert read.position(("weights", 0, "files", 1, "name"), key=True) == (5, 41)
    assert read.position(("quoted key",)) == (7, 17)
    assert read.position(("block",)) == (8, 8)
    assert read.position(("nothing",)) == (10, 9)


def test_what_does_not_exist_stands_where_its_surroundings_do() -> None:
    assert parse(RECIPE).position(("weights", 0, "hash")) == (4, 5)
    assert parse(RECIPE).position(("weights", 0, "files", 7, "hash")) == (5, 12)


def test_a_path_is_written_as_people_write_it() -> None:
    assert path_text(("weights", 0, "files", 1, "hash")) == "weights[0].files[1].hash"
    assert path_text(("targets", "a.b", "openvino-int8")) == "targets['a.b'].openvino-int8"
    assert str(parse(RECIPE, "r.yaml").problem(("weights", 1, "type"), "no")) == "r.yaml:6:11: weights[1].type: no"


# no surrogates, and none of the characters that YAML refuses
TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs", "Sm"]), max_size=8)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for step, inner in pairs for leaf in leaves(inner, (*path, step))]
    return [(path, value)]


@given(DATA, st.sampled_from([None, 2]))
def test_json_is_read_as_it_is_and_each_value_is_where_it_says(data: Any, indent: int | None) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    read = parse(text)
    assert read.data == data
    for path, value in leaves(data):
        line, column = read.position(path)
        assert text.split("\n")[line - 1][column - 1 :].startswith(json.dumps(value, ensure_ascii=False))


def test_every_equal_key_is_reported_with_the_first() -> None:
    problems = refused("a: 1\nb: {x: 1, x: 2}\n'a': 2\na: 3\n")
    assert brief(problems) == [(2, 11, "b.x"), (3, 1, "a"), (4, 1, "a")]
    assert problems[1].message == "this key already stands in line 1"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a: &x 1", (1, 4, "a"), "anchor &x"),
        ("a: [b, *x]", (1, 8, "a[1]"), "alias *x"),
        ("a: !!str 1", (1, 4, "a"), "tag"),
        ("a: !!python/object/apply:os.system [ls]", (1, 4, "a"), "tag"),
        ("a: ! 1", (1, 4, "a"), "tag"),
        ("<<: {a: 1}", (1, 1, ""), "merge key"),
        ("a: 1\n---\nb: 2", (2, 1, ""), "second document"),
        ("a:\n  1: x", (2, 3, "a"), 'write "1"'),
        ("true: x", (1, 1, ""), 'write "true"'),
        ("~: x", (1, 1, ""), 'write "~"'),
        ("a: {[b]: c}", (1, 5, "a"), "cannot be a key"),
        ("a: b: c", (1, 5, ""), "quote the text"),
        ("a:\n\tb: 1", (2, 1, ""), "spaces, not tabs"),
    ],
)
def test_what_a_recipe_cannot_hold_is_named_at_its_place(text: str, place: tuple[int, int, str], word: str) -> None:
    (problem,) = refused(text)
    assert brief([problem]) == [place]
    assert word in problem.message


@pytest.mark.parametrize(
    "text",
    ["a: [1, 2", "a: 'x", "{a: 1, b", "- a\nb: 1", "'x' y", "a: @x", '"\\q"', "%FOO\n", "a: 1\n...\nb", "]", "a: |1x\n", "? a\n:b: - c"],
)
def test_a_syntax_error_is_one_problem_with_a_position(text: str) -> None:
    (problem,) = refused(text)
    assert problem.line <= text.count("\n") + 2
    assert problem.message


def test_faults_before_a_syntax_error_are_reported_with_it() -> None:
    assert [problem.line for problem in refused("a: 1\na: 2\nb: *x\nc: d: e\n")] == [2, 3, 4]


@pytest.mark.parametrize("deep", ["[" * 100_000, "{a: " * 5000, "- " * 5000, "? " * 5000])
def test_deep_nesting_is_refused_and_not_followed(deep: str) -> None:
    (problem,) = refused(deep)
    assert "nested deeper than 64" in problem.message


@pytest.mark.parametrize(
    ("character", "name"), [("\0", "U+0000"), ("\x07", "U+0007"), ("\u2028", "U+2028"), ("\x85", "U+0085"), ("\ufeff", "U+FEFF")]
)
def test_an_invisible_character_is_named_where_it_stands(character: str, name: str) -> None:
    (problem,) = refused(f"a: 1\r\nbé: x{character}y: 2\n")
    assert brief([problem]) == [(2, 6, "")]
    assert name in problem.message


def test_a_file_is_read_with_its_name_and_a_byte_order_mark_counts_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    assert read(file).data == {"a": 1, "b": "é"}
    assert read(file).position(("a",), key=True) == (1, 1)
    assert read(file).name == str(file)


@pytest.mark.parametrize(
    ("content", "place", "word"),
    [
        (b"", (1, 1), "empty"),
        (b"# only a comment\n\n", (1, 1), "empty"),
        (b"a: 1\nb: \xff\n", (2, 4), "not UTF-8 text (byte 0xff)"),
        (b"\xef\xbb\xbfa: \xc3\xa9\xff\n", (1, 5), "not UTF-8"),
        ("a: 1\n".encode("utf-16"), (1, 1), "not UTF-8"),
        (b"a: \x00", (1, 4), "U+0000"),
        (b"#" * (document.MAX_BYTES + 1), (1, 1), "bytes"),
    ],
)
def test_a_file_that_is_no_yaml_says_why(tmp_path: Path, content: bytes, place: tuple[int, int], word: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=r"r\.yaml") as caught:
        read(file)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == place
    assert word in problem.message


def test_what_is_no_file_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, word in (
        ("absent.yaml", "no such file"),
        (".", "a folder"),
        ("pipe", "not a regular file"),
        ("a\0b", "no such file"),
        ("x" * 999, "cannot be read"),
    ):
        with pytest.raises(RecipeError, match=f":1:1: .*{word}"):
            read(tmp_path / name)


FOREIGN = """\
base: &base {lr: 1e-3, on: yes, when: 2024-01-31, ratio: 1:30, octal: 0o14, old: 014}
list: &list [*base, {<<: *base, lr: 2}]
many: {<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: 3}
1: one
twice: 1
twice: 2
binary: !!binary aGk=
number: !!int '12'
text: !!str 12
nothing: ! ~
again: *list
"""


def test_a_foreign_document_means_what_pyyaml_says() -> None:
    read = parse(FOREIGN, mode="foreign")
    assert read.data == yaml.safe_load(FOREIGN)
    assert read.data["base"][True] is True
    assert read.position((1,)) == (4, 4)
    assert read.position(("list", 1, "ratio")) == (1, FOREIGN.index("1:30") + 1)


def test_positions_within_an_alias_are_those_of_what_it_names() -> None:
    read = parse("a: &x {k: 1}\nb: *x\nc: {<<: *x}\n", mode="foreign")
    assert read.position(("b",)) == (2, 4)
    assert read.position(("b", "k")) == read.position(("c", "k")) == (1, 11)


def test_several_foreign_documents_are_read_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("a: &x 1\n---\nb: 2\n---\n- *x\n")
    with pytest.raises(RecipeError, match=r"f\.yaml:5:3: .*no anchor"):
        read_all(file)
    file.write_text("a: 1\n---\nb: 2\n")
    assert [one.data for one in read_all(file)] == [{"a": 1}, {"b": 2}]
    assert read_all(file)[1].position(("b",)) == (3, 4)
    with pytest.raises(RecipeError, match="2 documents"):
        read(file, "foreign")


def test_aliases_that_grow_without_end_are_refused() -> None:
    bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    (problem,) = refused(bomb, "foreign")
    assert "values" in problem.message
    merging = "l0: &l0 {a: [x, x, x, x]}\n" + "".join(f"l{n}: &l{n} {{p: *l{n - 1}, q: *l{n - 1}, <<: *l{n - 1}}}\n" for n in range(1, 60))
    assert "values" in refused(merging, "foreign")[0].message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: &x [*x]", "cannot hold itself"),
        ("a: !foo x", "foo"),
        ("a: !!python/object/apply:os.system [ls]", "not understood"),
        ("a: !!int x", "cannot be read as int"),
        ("a: !!bool x", "cannot be read as bool"),
        ("a: !!timestamp x", "cannot be read as timestamp"),
        ("a: !!int ''", "cannot be read as int"),
        ("a: 2024-13-45", "cannot be read as timestamp"),
        ("<<: 1", "<< takes"),
        ("<<: [1]", "<< takes"),
        ("? [a]\n: b", "cannot be a key"),
    ],
)
def test_what_a_foreign_document_cannot_hold_is_named(text: str, word: str) -> None:
    assert word in refused(text, "foreign")[0].message


@given(st.text(alphabet="ab1:-[]{}&*!|>'\"#?, \n\t%~<.", max_size=40), st.sampled_from(["recipe", "foreign"]))
def test_no_text_whatever_makes_anything_but_a_document_or_a_recipe_error(text: str, mode: document.Mode) -> None:
    try:
        parse(text, mode=mode)
    except RecipeError as error:
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in error.problems)
