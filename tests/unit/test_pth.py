"""Checkpoints give tensors, and nothing in them is ever run."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.weights import PthReader, Reader

torch = pytest.importorskip("torch")


def read(folder: Path, content: Any, *, legacy: bool = False, **fields: str) -> dict[str, Any]:
    torch.save(content, folder / "x.pth", _use_new_zipfile_serialization=not legacy)
    return PthReader(file="x.pth", **fields).read(folder)


def test_state_dict_entry_is_taken_where_there_is_one(tmp_path: Path) -> None:
    state = {"a.weight": torch.arange(3.0)}
    for content in (state, {"state_dict": state, "iter": 7}):
        assert np.array_equal(read(tmp_path, content)["a.weight"], np.arange(3, dtype=np.float32))


def test_only_keys_with_the_prefix_lose_it(tmp_path: Path) -> None:
    state = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert set(read(tmp_path, state, strip="module.")) == {"a", "b"}


def test_older_format_with_optimizer_states_and_what_numpy_made_is_read(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [1, 2])
    content = {
        "state_dict": OrderedDict(layer.state_dict()),
        "optimizer": adam.state_dict(),
        "scheduler": schedule.state_dict(),
        "meta": {"loss": np.float64(0.5), "epoch": np.int64(3), "sigmas": np.ones(17, np.float32), "colors": np.ones((17, 3), np.uint8)},
    }
    for legacy in (True, False):
        assert np.array_equal(read(tmp_path, content, legacy=legacy)["weight"], layer.weight.detach().numpy())


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [True, False])
def test_hostile_pickle_is_refused_and_nothing_is_run(tmp_path: Path, legacy: bool) -> None:
    trace = tmp_path / "trace"
    with pytest.raises(StepFailed, match=r"x\.pth: is not a checkpoint of plain tensors.*mkdir"):
        read(tmp_path, {"state_dict": {"a": torch.zeros(1)}, "meta": Hostile(trace)}, legacy=legacy)
    assert not trace.exists()
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert trace.exists(), "the file was not hostile at all"


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="not a checkpoint of plain tensors"):
        read(tmp_path, {"state_dict": {"a": torch.zeros(1)}, "meta": np.array([{}, None])})


def test_pickled_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="Linear"):
        read(tmp_path, torch.nn.Linear(1, 1))


def test_entries_that_are_no_tensors_are_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="1 entries are not tensors: epoch"):
        read(tmp_path, {"a": torch.zeros(1), "epoch": 3})


@pytest.mark.parametrize("content", [[torch.zeros(1)], {}, {"state_dict": 3}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(StepFailed, match="state dict was expected"):
        read(tmp_path, content)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("kept", [0, 40, 0.5])
def test_truncated_file_is_refused(tmp_path: Path, legacy: bool, kept: float) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(StepFailed, match=r"x\.pth: "):
        PthReader(file="x.pth").read(tmp_path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"x\.pth: cannot be read"):
        PthReader(file="x.pth").read(tmp_path)


def test_readers_are_declared_by_their_tags() -> None:
    assert msgspec.convert({"type": "pth", "file": "x.pth"}, Reader) == PthReader(file="x.pth")
