"""What every test may ask for."""

import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from workspaces import Said, Zoo

from zoo.cli import run
from zoo.context import Context
from zoo.steps.end_to_end import MeasureEndToEnd

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def assets() -> Path:
    """The reference data: real weights, real images, goldens."""
    folder = Path(os.environ.get("ZOO_ASSETS", ROOT / "../shared/assets")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no reference data in {folder} (set ZOO_ASSETS)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _quick_whole_ways() -> Iterator[None]:
    """Wherever a whole way is timed: nobody reads it, and turns of a few milliseconds show nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.engine.network.MeasureEndToEnd", partial(MeasureEndToEnd, seconds=0.01))
        patch.setattr("zoo.steps.end_to_end.IMPOSSIBLE", math.inf)
        yield


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A context in an empty workspace, without the network."""
    return Context(root=tmp_path, cache=tmp_path / "cache", offline=True, environment={})


@pytest.fixture
def zoo(capfd: pytest.CaptureFixture[str]) -> Zoo:
    """`zoo(*words) -> (exit code, standard output, standard error)`."""

    def call(*words: str) -> Said:
        capfd.readouterr()
        code = run(list(words))
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def network() -> Any:
    """A small network in OpenPose's shape, as an ONNX model: `data` (batch, 3, H, W) -> `heat` (4 channels), which
    is also read inside, and `final` (2 channels), at half the size. Convolutions `stem`, `depth`, `head`, `last`."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    constants = []

    def conv(name: str, source: str, result: str, shape: tuple[int, ...], **attributes: Any) -> Any:
        fan = int(np.prod(shape[1:]))
        for suffix, values in (("weight", random.normal(0, fan**-0.5, shape)), ("bias", random.normal(0, 0.1, shape[0]))):
            constants.append(numpy_helper.from_array(values.astype(np.float32), f"{name}.{suffix}"))
        pad = shape[2] // 2
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Conv", inputs, [result], name, pads=[pad] * 4, kernel_shape=shape[2:], **attributes)

    nodes = [
        conv("stem", "data", "stem_out", (8, 3, 3, 3), strides=[2, 2]),
        helper.make_node("Relu", ["stem_out"], ["stem_relu"], "relu1"),
        conv("depth", "stem_relu", "depth_out", (8, 1, 3, 3), group=8),
        helper.make_node("Relu", ["depth_out"], ["features"], "relu2"),
        conv("head", "features", "heat", (4, 8, 1, 1)),
        helper.make_node("Concat", ["features", "heat"], ["both"], "concat", axis=1),
        conv("last", "both", "final", (2, 12, 3, 3)),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("data", floats, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info(name, floats, ["batch", channels, "h", "w"]) for name, channels in (("heat", 4), ("final", 2))],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def compute() -> Any:
    """`compute(model, image) -> {output: array}` in ONNX Runtime, nothing optimised."""

    def run(model: Any, image: Any) -> dict[str, Any]:
        from zoo.edits.graph import load

        session = load(model)
        names = [value.name for value in session.get_outputs()]
        return dict(zip(names, session.run(names, {session.get_inputs()[0].name: image}), strict=True))

    return run
