"""TensorRT as far as it goes without a GPU: the build through TensorRT-RTX's equal interface, the runner on a device of NumPy arrays."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from zoo.backends import TensorRt, tensorrt
from zoo.backends.folder import read_record
from zoo.backends.tensorrt_runner import TensorRtRunner
from zoo.context import Context
from zoo.errors import MissingTool, StepFailed

SHAPES = {"data": ((1, 3, 8, 8), (1, 3, 24, 32), (4, 3, 64, 64))}
LAYER = {"LayerType": "CaskConvolution", "Inputs": [{"Name": "data", "DataType": "Half"}]}


@pytest.fixture
def model(network: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(network.SerializeToString())
    return folder


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """TensorRT-RTX under TensorRT's name, on a machine that claims to have a driver."""
    module = pytest.importorskip("tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(tensorrt, "has_driver", lambda: True)
    return module


class Device:
    """Polygraphy's DeviceArray and Stream, in the host's memory."""

    memory: dict[int, Any] = {}

    class DeviceArray:
        def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
            self.dtype, self.shape = dtype, shape
            self.ptr = len(Device.memory) + 1
            self.resize(shape)

        def resize(self, shape: tuple[int, ...]) -> None:
            self.shape = shape
            Device.memory[self.ptr] = np.zeros(shape, self.dtype)

        def copy_from(self, host: Any, stream: Any) -> None:
            Device.memory[self.ptr][:] = host

        def copy_to(self, host: Any, stream: Any) -> Any:
            host[:] = Device.memory[self.ptr]
            return host

        def free(self) -> None:
            del Device.memory[self.ptr]

    class Stream:
        ptr = 7

        def synchronize(self) -> None:
            return

        def free(self) -> None:
            return


class Engine:
    """Doubles `data` into `twice`, at shapes within a profile; also its own context and inspector."""

    num_io_tensors = 2

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def get_tensor_name(self, index: int) -> str:
        return ("data", "twice")[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "data" else "out"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes.get("data", (-1, 3, -1, -1))

    def get_tensor_dtype(self, name: str) -> str:
        return "float"

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return list(SHAPES["data"])

    def create_execution_context(self) -> Any:
        return self

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda _: json.dumps({"Layers": [LAYER]}))

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.shapes[name] = shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        Device.memory[self.addresses["twice"]][:] = Device.memory[self.addresses["data"]] * 2
        return True


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TensorRtRunner:
    class Logger:
        ERROR = 1

        def __init__(self, level: int) -> None:
            return

    module = SimpleNamespace(
        Logger=Logger,
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: Engine() if data else None),
        TensorIOMode=SimpleNamespace(INPUT="in"),
        LayerInformationFormat=SimpleNamespace(JSON=1),
        nptype=lambda _: np.float32,
    )
    monkeypatch.setattr("polygraphy.cuda.DeviceArray", Device.DeviceArray)
    monkeypatch.setattr("polygraphy.cuda.Stream", Device.Stream)
    path = tmp_path / "model.engine"
    path.write_bytes(b"")
    with pytest.raises(StepFailed, match="does not open the engine"):
        TensorRtRunner(module, path)
    path.write_bytes(b"engine")
    return TensorRtRunner(module, path)


def test_the_builder_s_settings_and_profile_are_accepted(stand_in: Any, model: Path, context: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    TensorRt(level=1, workspace=64).compile(model, out, precision="fp32", shapes=SHAPES, context=context)
    assert (out / "model.engine").stat().st_size > 1000
    assert read_record(out).backend == "tensorrt"


def test_without_a_driver_building_and_opening_name_what_is_missing(
    stand_in: Any, model: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "has_driver", lambda: False)
    for attempt in (
        lambda: TensorRt().compile(model, tmp_path, precision="fp32", shapes=SHAPES, context=context),
        lambda: TensorRt().open(tmp_path, threads=1),
    ):
        with pytest.raises(MissingTool, match=r"libcuda\.so\.1"):
            attempt()


def test_an_engine_is_fed_and_read_at_each_shape(runner: TensorRtRunner) -> None:
    with runner:
        for shape in ((1, 3, 8, 8), (2, 3, 16, 24), (1, 3, 8, 8)):
            image = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
            np.testing.assert_array_equal(runner({"data": image})["twice"], image * 2)
        assert runner.computed_in == "fp16"
        assert Device.memory
    assert not Device.memory


def test_a_shape_outside_the_profile_is_refused_and_both_are_named(runner: TensorRtRunner) -> None:
    with runner, pytest.raises(StepFailed, match=r"from \(1, 3, 8, 8\) to \(4, 3, 64, 64\) and was given \(5, 3, 8, 8\)"):
        runner({"data": np.zeros((5, 3, 8, 8), np.float32)})
