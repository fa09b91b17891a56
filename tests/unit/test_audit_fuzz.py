"""Whatever files hold, and whatever lies in a folder, an audit reports and never fails, and an import makes a recipe or says why not."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from foreign_samples import CHECK, MMPOSE, OMZ, VAMC, vdsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.cli import run
from zoo.errors import ZooError
from zoo.interop.audit import audit, files
from zoo.interop.imports import recipe
from zoo.recipe.workspace import open_place

ROOT = Path(__file__).parents[2]

SAMPLES = {
    "a.yaml": VAMC.replace("{folder}", "/nowhere"),
    "a.json": json.dumps(vdsp(), indent=4),
    "m.yml": OMZ,
    "m.accuracy-check.yml": CHECK,
    "mm.yml": MMPOSE,
}
fuzz = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**400, 10**401),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["Resize", "Normalize", "max", "DIV255", "RGB2BGR", "/path/to/x", "val2017", "~nobody/x", "a\0b", "\x1b[2J", "x" * 5000]
    ),
)
VALUES = st.recursive(
    LEAVES, lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=4), inside, max_size=3), max_leaves=6
)


def judge(folder: Path, name: str, data: bytes) -> str:
    """Write a file beside the sound samples, and audit it named and in its folder; what is printed."""
    for other, text in SAMPLES.items():
        (folder / other).write_text(text)
    (folder / name).write_bytes(data)
    for paths in ([folder], [folder / name]):
        report = audit(paths)
        for one in report.findings:
            assert (one.line >= 1 and one.column >= 1 and str(one).isprintable()) or "\n  " in str(one)
            str(one).encode()
    with suppress(ZooError):
        recipe([folder / name], open_place(str(ROOT)), model="net_coco-256x192" if name == "mm.yml" else None)
    return str(report.findings)


@fuzz
@given(st.binary(max_size=200), st.sampled_from([*SAMPLES]))
def test_random_bytes(tmp_path: Path, data: bytes, name: str) -> None:
    judge(tmp_path, name, data)
    judge(tmp_path, name, b"OpType frontend\n" + data)


@fuzz
@given(st.sampled_from([*SAMPLES]), st.integers(0, 1500), st.binary(max_size=6))
def test_samples_that_are_cut_off_or_written_over(tmp_path: Path, name: str, place: int, data: bytes) -> None:
    text = SAMPLES[name].encode()
    judge(tmp_path, name, text[:place])
    judge(tmp_path, name, text[:place] + data + text[place + len(data) :])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found += places(value[key], (*path, key))
    return found


@fuzz
@given(st.data())
def test_anything_at_any_place_of_a_sample(tmp_path: Path, data: st.DataObject) -> None:
    import yaml

    name = data.draw(st.sampled_from([*SAMPLES]))
    sample = yaml.safe_load(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(sample)))
        value = data.draw(VALUES)
        if not path:
            continue
        inside = sample
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = value
    judge(tmp_path, name, json.dumps(sample).encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("frontend: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"k{n}: &b{n} [{'*a, ' * 9}]\n" for n in range(9)), id="many"),
        pytest.param(
            "frontend: &a0 {checkpoint: x}\n" + "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(12)), id="bomb"
        ),
        pytest.param("frontend: " + "[" * 5000, id="deep"),
        pytest.param("frontend: " + "[" * 5000 + "]" * 5000, id="deep and closed"),
        pytest.param("frontend: {checkpoint: " + "{a: " * 60 + "1" + "}" * 60 + "}", id="as deep as may be"),
        pytest.param("frontend:\n  checkpoint: 0x" + "f" * 6000 + "\n  shape: {a: [1, 3, 0x" + "f" * 6000 + ", 1]}", id="huge numbers"),
        pytest.param("frontend: {dtype: fp32, 0x" + "f" * 6000 + ": {0x" + "e" * 6000 + ": 1}}", id="huge keys"),
        pytest.param("Models: [{Name: a, Weights: b, Config: c, Results: [{Metrics: {0x" + "e" * 6000 + ": 1}}]}]", id="huge metrics"),
        pytest.param("frontend: {shape: {0x" + "e" * 6000 + ": [1, 3, 8, 8]}, checkpoint: x}", id="huge names"),
        pytest.param("frontend: {checkpoint: !!python/object/apply:os.system [x]}", id="code"),
        pytest.param("frontend: {shape: {? [a, b] : 1}}", id="a list for a key"),
        pytest.param("frontend: {shape: {1: {2: 3}, null: 4, 2020-01-01: 5}, checkpoint: 2020-01-01}", id="keys that are no text"),
        pytest.param("frontend: {<<: [1, 2], checkpoint: x}", id="merging what is no mapping"),
        pytest.param("frontend: &a {checkpoint: *a}", id="holds itself"),
        pytest.param("%YAML 9.9\n---\nfrontend: 1", id="another YAML"),
        pytest.param("---\nfrontend: {dtype: fp32}\n---\n---\n- 1\n", id="several documents"),
        pytest.param(
            "frontend: {dtype: fp32}\ndataset: {process_ops: [null, 1, {type: null}, {type: [Resize]}, {type: {a: 1}}]}", id="ops"
        ),
        pytest.param('{"OpConfig": {"Std": [0, -1, 1e400], "NormaType": ["x"]}, "OpType": {}}', id="words that are none"),
        pytest.param("Models: [{Weights: 1, Config: 2, Name: {a: 1}}, {Weights: [x], Results: 3}, 4]", id="models"),
        pytest.param("files: {a: 1}\ninput_info: 5\nmodel_optimizer_args: [--mean_values=a[1,x,..], {b: 1}]", id="arguments"),
        pytest.param(
            "models: [{launchers: 1, datasets: {a: 1}}, {datasets: [{preprocessing: [1, {type: resize, size: x}]}]}]", id="checks"
        ),
        pytest.param("\x85frontend:\n", id="a character that breaks lines"),
    ],
)
@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_texts_that_are_made_to_break_readers(tmp_path: Path, text: str, name: str) -> None:
    judge(tmp_path, name, text.encode())


def test_a_bomb_is_a_finding_and_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text("frontend: &a0 {checkpoint: x}\n" + "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(12)))
    (found,) = audit([path]).findings
    assert found.kind == "malformed" and "more than" in found.message


def test_what_is_no_plain_file_or_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.yaml/inside.json").write_text(json.dumps(vdsp()))
    (tmp_path / "self.yaml").symlink_to(tmp_path / "self.yaml")
    (tmp_path / "lost.json").symlink_to(tmp_path / "nothing")
    (tmp_path / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "huge.json").write_bytes(b'{"OpType": "' + b"x" * (5 << 20) + b'"}')
    (tmp_path / "wide.yaml").write_bytes("frontend: {dtype: fp32}".encode("utf-16"))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.yaml")).write_text("frontend: {}")
    secret = tmp_path / "secret.yaml"
    secret.write_text("frontend: {}")
    opened = Path.open

    def closed(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == secret:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", closed)
    report = audit([tmp_path])
    found = {(Path(one.file).name, one.kind) for one in report.findings}
    expected = {
        ("self.yaml", "path"),
        ("lost.json", "path"),
        ("huge.json", "malformed"),
        ("wide.yaml", "malformed"),
        ("secret.yaml", "unreadable"),
    }
    assert expected <= found
    assert report.files == {"vdsp": 1}
    assert run(["audit", str(tmp_path)]) == run(["audit", "--json", str(tmp_path)]) == 1
    for path in sorted(tmp_path.iterdir()):
        if path.name != "up":
            assert run(["audit", str(path)]) in (0, 1)


def test_a_folder_that_cannot_be_listed_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: Path, onerror: Any) -> Any:
        onerror(PermissionError(13, "Permission denied", str(top / "closed")))
        yield from ()

    monkeypatch.setattr(files.os, "walk", walk)
    (found,) = audit([tmp_path]).findings
    assert found.kind == "unreadable" and found.file.endswith("closed")
