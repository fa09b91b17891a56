"""What a command looks at, it looks at once; what it would write as it stands, it leaves."""

from pathlib import Path

import pytest
from workspaces import Small

from zoo.backends.openvino import OpenVino
from zoo.cli.session import Session, write_changed


def test_a_file_that_holds_what_is_to_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new/results.json"
    write_changed(path, b"1")
    before = path.stat()
    write_changed(path, b"1")
    assert path.stat().st_ino == before.st_ino and path.stat().st_mtime_ns == before.st_mtime_ns
    write_changed(path, b"2")
    assert path.read_bytes() == b"2" and list(path.parent.iterdir()) == [path]


def test_a_backend_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(OpenVino, "available", lambda self: asked.append("") or "not here")
    session = Session.open(str(Small.make(tmp_path).root))
    backend = session.place.declared.targets["openvino-fp32"].backend
    assert [session.lacking(backend) for _ in range(3)] == ["not here"] * 3
    assert len(asked) == 1
    assert session.lacking(session.place.declared.targets["onnxruntime-fp32"].backend) == ""
