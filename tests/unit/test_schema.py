"""Documents against records: what is refused, where, in which words; and the schema for editors."""

import enum
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from zoo.document import parse
from zoo.errors import RecipeError
from zoo.recipe.schema import convert, emit, problems
from zoo.record import Choice, Record


class Device(enum.Enum):
    CPU = "cpu"
    GPU = "gpu"


class Hash(Record, frozen=True, kw_only=True):
    """One file."""

    name: Annotated[str, Meta(min_length=1, max_length=20)]
    hash: Annotated[str, Meta(pattern="^(sha256:[0-9a-f]+|none)$", description="what the bytes must be")]
    size: Annotated[int, Meta(ge=1)] | None = None


class Url(Choice, frozen=True, kw_only=True, tag="url"):
    """Files by their address.

    A second paragraph."""

    url: str
    files: Annotated[tuple[Hash, ...], Meta(min_length=1)]


class Pypi(Choice, frozen=True, kw_only=True, tag="pypi"):
    """A file out of a package."""

    project: str
    ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5

    def __post_init__(self) -> None:
        if self.project.endswith("-"):
            raise ValueError("project: ends in a dash")
        if self.ratio == 0.25:
            raise ValueError("a quarter is not wanted")


class Nested(Choice, frozen=True, kw_only=True, tag="nested"):
    """Sources within a source."""

    sources: tuple["Url | Pypi | Nested", ...]
    label: str = ""

    def __post_init__(self) -> None:
        if len(self.sources) == 3:
            raise ValueError("three are too many")


class Top(Record, frozen=True, kw_only=True):
    """A small recipe."""

    name: Annotated[str, Meta(description="how it is called", examples=["x"])]
    weights: tuple[Url | Pypi | Nested, ...]
    format: Literal[1, 2] = 1
    colour: Annotated[Literal["bgr", "rgb"], Meta(description="order of the channels")] = "bgr"
    device: Device | None = None
    flag: bool = False
    pair: tuple[int, float] = (1, 2.0)
    main: Annotated[Url | Pypi | None, Meta(description="the one that counts")] = None
    single: Pypi | None = None
    sizes: dict[str, Annotated[int, Meta(ge=0, le=100, multiple_of=2)]] = {}
    by_colour: dict[Literal["bgr", "rgb"], float] = {}
    step: Annotated[float, Meta(multiple_of=0.5, lt=9, ge=-9)] = 1.0
    mixed: Annotated[int, Meta(gt=2)] | Literal["auto", "none"] | tuple[str, ...] | Url | Pypi | None = None
    either: int | float = 1
    tags: Annotated[frozenset[str], Meta(max_length=3)] = frozenset()
    anything: Any = None


GOOD = """\
name: x
weights:
  - type: url
    url: https://example.org
    files:
      - {name: a, hash: none}
      - {name: b, hash: "sha256:00", size: 3}
  - type: pypi
    project: p
    ratio: 1
  - type: nested
    sources: [{type: pypi, project: q}, {type: nested, sources: []}]
format: 2
colour: rgb
device: gpu
flag: true
pair: [1, 2]
main: {type: pypi, project: r}
single: {project: s}
sizes: {a: 2, b.c: 4}
by_colour: {bgr: 1}
step: 2.5
mixed: auto
either: 1.5
tags: [a, b]
anything: {a: [1]}
"""


def told(text: str, kind: type[Any] = Top) -> list[str]:
    """The problems of a document, as a user sees them."""
    return [str(problem) for problem in problems(parse(text, "r.yaml"), kind)]


def of(line: str) -> list[str]:
    """The problems of a sound recipe with one more line, the third."""
    return told(f"name: x\nweights: []\n{line}")


def test_a_sound_document_becomes_its_record() -> None:
    top = convert(parse(GOOD), Top)
    assert told(GOOD) == []
    assert top.weights[1] == Pypi(project="p", ratio=1.0)
    assert top.single == Pypi(project="s")
    assert top.device is Device.GPU


def test_every_problem_is_reported_at_once_at_its_line() -> None:
    text = """\
nmae: x
weights:
  - type: ulr
    url: x
  - url: x
  - type: url
    url: 3
    files: [{name: "", hash: sha1}, {name: a, hsah: none}]
colour: bgrr
format: 3
"""
    assert told(text) == [
        "r.yaml:1:1: missing key 'name': text",
        "r.yaml:1:1: nmae: unknown key; did you mean 'name'? (allowed: name, weights, format, colour, device, flag, "
        "pair, main, single, sizes, by_colour, step, mixed, either, tags, anything)",
        "r.yaml:3:11: weights[0].type: unknown type 'ulr'; did you mean 'url'? (allowed: url, pypi, nested)",
        "r.yaml:5:5: weights[1]: missing key 'type': one of url, pypi, nested",
        "r.yaml:7:10: weights[2].url: expected text, found the number 3; put it in quotes",
        "r.yaml:8:20: weights[2].files[0].name: expected at least 1 character, found 0",
        "r.yaml:8:30: weights[2].files[0].hash: expected text that matches ^(sha256:[0-9a-f]+|none)$, found text 'sha1'",
        "r.yaml:8:37: weights[2].files[1]: missing key 'hash': text",
        "r.yaml:8:47: weights[2].files[1].hsah: unknown key; did you mean 'hash'? (allowed: name, hash, size)",
        "r.yaml:9:9: colour: text 'bgrr' is not allowed here; did you mean 'bgr'? (allowed: bgr, rgb)",
        "r.yaml:10:9: format: the number 3 is not allowed here (allowed: 1, 2)",
    ]
    with pytest.raises(RecipeError) as caught:
        convert(parse(text, "r.yaml"), Top)
    assert [str(problem) for problem in caught.value.problems] == told(text)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("flag: no", "r.yaml:3:7: flag: expected true or false, found text 'no'; write false"),
        ("flag: 1", "r.yaml:3:7: flag: expected true or false, found the number 1"),
        ("either: true", "r.yaml:3:9: either: expected a whole number or a number, found true"),
        ("pair: [1.0, 2]", "r.yaml:3:8: pair[0]: expected a whole number, found the number 1.0"),
        ("pair: [1, abc]", "r.yaml:3:11: pair[1]: expected a number, found text 'abc'"),
        ("pair: [1]", "r.yaml:3:7: pair: expected a list of 2, found 1"),
        ("pair: 3", "r.yaml:3:7: pair: expected a list of 2, found the number 3"),
        ("sizes: {a: 3}", "r.yaml:3:12: sizes.a: expected a multiple of 2, found the number 3"),
        ("sizes: {a.b: 102}", "r.yaml:3:14: sizes['a.b']: expected a whole number of at most 100, found the number 102"),
        ("sizes: []", "r.yaml:3:8: sizes: expected a mapping, found an empty list"),
        (
            "by_colour: {bgr: 1, rbg: 2}",
            "r.yaml:3:21: by_colour.rbg: text 'rbg' is not allowed here; did you mean 'rgb'? (allowed: bgr, rgb)",
        ),
        ("step: .nan", "r.yaml:3:7: step: expected a number of at least -9, found the number nan"),
        ("step: 0.3", "r.yaml:3:7: step: expected a multiple of 0.5, found the number 0.3"),
        ("step: 9.0", "r.yaml:3:7: step: expected a number of less than 9, found the number 9.0"),
        ("either: [1]", "r.yaml:3:9: either: expected a whole number or a number, found a list"),
        ("device: GPU", "r.yaml:3:9: device: text 'GPU' is not allowed here; did you mean 'gpu'? (allowed: cpu, gpu)"),
        ("device: 1", "r.yaml:3:9: device: expected cpu or gpu or nothing (null), found the number 1"),
        ("colour:", "r.yaml:3:8: colour: expected bgr or rgb, found nothing (null)"),
        (
            "main: pypi",
            "r.yaml:3:7: main: expected a mapping with type: url | pypi or nothing (null), found text 'pypi'; write {type: pypi}",
        ),
        ("main: {type: pipy}", "r.yaml:3:14: main.type: unknown type 'pipy'; did you mean 'pypi'? (allowed: url, pypi)"),
        ("main: {type: 3}", "r.yaml:3:14: main.type: expected a name, found the number 3 (allowed: url, pypi)"),
        ("single: {type: url, project: x}", "r.yaml:3:16: single.type: unknown type 'url' (allowed: pypi)"),
        ("single: []", "r.yaml:3:9: single: expected a mapping with type: pypi or nothing (null), found an empty list"),
        ("mixed: 2", "r.yaml:3:8: mixed: expected a whole number of more than 2, found the number 2"),
        ("mixed: aut", "r.yaml:3:8: mixed: text 'aut' is not allowed here; did you mean 'auto'? (allowed: auto, none)"),
        ("mixed: [a, 1]", "r.yaml:3:12: mixed[1]: expected text, found the number 1; put it in quotes"),
        ("tags: [a, b, c, d]", "r.yaml:3:7: tags: expected at most 3 items, found 4"),
        (f"step: 0x1{'0' * 300}", "r.yaml:3:7: step: a number of 1201 bits is too large"),
    ],
)
def test_a_problem_is_told_in_the_words_of_who_wrote_it(line: str, problem: str) -> None:
    assert of(line) == [problem]


@pytest.mark.parametrize("text", ["[]", "~", "x", "3"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    (problem,) = told(text)
    assert problem.startswith("r.yaml:1:1: expected a mapping with name, weights, found ")


def test_what_records_refuse_themselves_is_reported_in_every_place() -> None:
    text = """\
name: x
weights:
  - {type: pypi, project: a-}
  - {type: pypi, project: a, ratio: 0.25}
  - type: nested
    sources: [{type: pypi, project: b-}, {type: pypi, project: b}, {type: pypi, project: b}]
  - type: nested
    sources: [{type: pypi, project: b}, {type: pypi, project: b}, {type: pypi, project: b}]
colour: x
"""
    assert told(text)[:-1] == [
        "r.yaml:3:27: weights[0].project: ends in a dash",
        "r.yaml:4:5: weights[1]: a quarter is not wanted",
        "r.yaml:6:37: weights[2].sources[0].project: ends in a dash",
        "r.yaml:7:5: weights[3]: three are too many",
    ]


def test_a_bug_in_a_record_is_not_the_users_problem() -> None:
    class Broken(Record, frozen=True, kw_only=True):
        a: int

        def __post_init__(self) -> None:
            len(self.a)  # type: ignore[arg-type]

    with pytest.raises(msgspec.ValidationError):
        problems(parse("a: 1"), Broken)


JUNK = st.sampled_from(
    json.loads(
        """[null, true, 0, 1, 2, 3, -1, 0.25, 0.5, 1.5, 2.0, Infinity, NaN, 1e30, 1000000000000000000000000, -1000000000000000000000000,
        "", "url", "pypi", "auto", "none", "bgr", "cpu", "x-", "3", [], ["a"], [1, 2], [1, 2, 3], {}, {"type": "url"},
        {"type": "pypi", "project": "p"}, {"project": "p-"}, {"a": 2}, {"type": null}, {"type": 1}]"""
    )
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, step) within a value."""
    steps = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [pair for step in steps for pair in ((value, step), *places(value[step]))]


def mutated(seed: int, times: int, junk: list[Any]) -> Any:
    """The good document with some of its parts removed, renamed, repeated or replaced."""
    choose = random.Random(seed)
    data = parse(GOOD).data
    for _ in range(times):
        if not (all_places := places(data)):
            break
        container, step = choose.choice(all_places)
        new = json.loads(json.dumps(choose.choice(junk)))
        match choose.randrange(5):
            case 0:
                del container[step]
            case 1 if isinstance(container, dict):
                container[choose.choice(["type", "name", "url", "x", "project", "ratio"])] = container.pop(step)
            case 1 | 2 if isinstance(container, list):
                container.insert(step, new)
            case _:
                container[step] = new
    return data


MUTATED = st.builds(mutated, st.integers(0, 2**32), st.integers(0, 4), st.lists(JUNK, min_size=1, max_size=4)) | JUNK


@settings(max_examples=600, deadline=None)
@given(MUTATED)
def test_the_walk_finds_something_exactly_when_msgspec_refuses(data: Any) -> None:
    text = json.dumps(data).replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")
    document = parse(text)
    try:
        msgspec.convert(document.data, Top)
    except msgspec.ValidationError:
        assert problems(document, Top)
    else:
        from zoo.recipe.walk import walk

        assert walk(document, Top) == []


def plain(value: Any) -> Any:
    """Floats that are whole made otherwise: JSON Schema takes 2.0 for an integer, a record does not; JSON has no nan."""
    if isinstance(value, dict | list):
        return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else [plain(one) for one in value]
    return 0.5 if isinstance(value, float) and (not math.isfinite(value) or value.is_integer()) else value


EMITTED = emit(Top, "A small recipe")
VALIDATOR = Draft202012Validator(EMITTED)


@settings(max_examples=400, deadline=None)
@given(MUTATED)
@example({"name": "x", "weights": [], "tags": ["a", "a"]})
def test_the_editors_schema_accepts_what_a_record_accepts(data: Any) -> None:
    data = plain(data)
    own = ("ends in a dash", "a quarter is not wanted", "three are too many")
    accepted = all(
        problem.message in own or (problem.path.startswith("by_colour") and problem.message.startswith("text"))
        for problem in problems(parse(json.dumps(data)), Top)
    )
    if isinstance(data, dict) and isinstance(tags := data.get("tags"), list) and len(tags) != len({json.dumps(tag) for tag in tags}):
        return  # a repeated member of a set is a fault only in an editor
    assert VALIDATOR.is_valid(data) == accepted


def test_the_emitted_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(EMITTED)
    assert EMITTED["title"] == "A small recipe"
    assert EMITTED["$ref"] == "#/$defs/Top"
    assert list(EMITTED["$defs"]) == sorted(EMITTED["$defs"])


def test_an_editor_offers_the_tags_and_then_the_keys_of_one() -> None:
    items = EMITTED["$defs"]["Top"]["properties"]["weights"]["items"]
    assert items["properties"]["type"]["enum"] == ["url", "pypi", "nested"]
    assert items["allOf"][0] == {"if": {"required": ["type"], "properties": {"type": {"const": "url"}}}, "then": {"$ref": "#/$defs/Url"}}
    url = EMITTED["$defs"]["Url"]
    assert url["properties"]["type"] == {"const": "url", "description": "Files by their address."}
    assert url["required"] == ["url", "files"]
    assert url["description"] == "Files by their address.\n\nA second paragraph."
    assert EMITTED["$defs"]["Top"]["properties"]["main"]["description"] == "the one that counts"


def test_a_validator_of_the_schema_complains_of_the_tags_branch_alone() -> None:
    (error,) = VALIDATOR.iter_errors({"name": "x", "weights": [{"type": "pypi", "project": 3}]})
    assert error.message == "3 is not of type 'string'"


def test_the_schema_is_the_same_text_in_every_process() -> None:
    code = "import json, sys; sys.path.insert(0, sys.argv[1]); import test_schema; print(json.dumps(test_schema.EMITTED))"
    folder = str(Path(__file__).parent)
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, folder], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {json.dumps(EMITTED) + "\n"}
