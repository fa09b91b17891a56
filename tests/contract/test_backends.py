"""What every backend promises; a new one is found through the union."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from zoo.backends import Backend, OnnxRuntime, OpenVino, TensorRt, TensorRtRtx
from zoo.backends.folder import read_record
from zoo.backends.runner import Runner, TensorSpec, summary
from zoo.backends.tensorrt_runner import layers_compute_in
from zoo.calibrators import MinMax
from zoo.calibrators.quantize import quantize
from zoo.context import Context
from zoo.edits.half import half
from zoo.errors import MissingTool, StepFailed

EXAMPLES: list[Any] = [OnnxRuntime(), OpenVino(), TensorRt(), TensorRtRtx()]
FREE = {"data": ((1, 3, 8, 8), (1, 3, 24, 32), (4, 3, 64, 64))}
FIXED = {"data": ((1, 3, 24, 32),) * 3}

every_backend = pytest.mark.parametrize("backend", EXAMPLES, ids=lambda backend: type(backend).__name__)
every_runtime = pytest.mark.parametrize(
    "backend", [backend for backend in EXAMPLES if backend.runs and not backend.available()], ids=lambda backend: type(backend).__name__
)


def image(height: int = 24, width: int = 32, batch: int = 1, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, (batch, 3, height, width)).astype(np.float32)


def noise(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    return float(((found - wanted) ** 2).mean() / (wanted**2).mean())


@pytest.fixture(scope="module")
def graphs(network: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small network as artifacts: fp32, fp16, u8s8, s8s8."""
    root = tmp_path_factory.mktemp("graphs")
    context = Context(root=root, cache=root, environment={})
    folders = {name: root / name for name in ("fp32", "fp16", "u8s8", "s8s8")}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "preprocess.json").write_text('{"fit": "of the network"}\n')
        (folder / "model.onnx").write_bytes((half(network) if name == "fp16" else network).SerializeToString())
    for scheme in ("u8s8", "s8s8"):
        feeds: Iterator[dict[str, Any]] = ({"data": image(seed=seed)} for seed in range(4))
        path = folders[scheme] / "model.onnx"
        quantize(folders["fp32"] / "model.onnx", path, feeds, calibrator=MinMax(), scheme=scheme, context=context)  # type: ignore[arg-type]
    return folders


@pytest.fixture
def compiled(graphs: dict[str, Path], context: Context, tmp_path: Path) -> Any:
    """`compiled(backend, precision, shapes) -> folder`."""

    def build(backend: Any, precision: str = "fp32", shapes: Any = FREE) -> Path:
        out = tmp_path / f"{type(backend).__name__}-{precision}"
        out.mkdir()
        graph = backend.scheme if precision == "int8" else "fp16" if precision == "fp16" else "fp32"
        backend.compile(graphs[graph], out, precision=precision, shapes=shapes, context=context)
        return out

    return build


def test_every_backend_has_an_example() -> None:
    assert {type(backend) for backend in EXAMPLES} == set(get_args(Backend))


@every_backend
def test_a_backend_survives_being_written_and_read(backend: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(backend), type=Backend) == backend


@every_backend
def test_a_backend_says_what_it_is(backend: Any) -> None:
    assert backend.scheme in ("u8s8", "s8s8")
    assert "fp32" in backend.precisions
    assert all(isinstance(tool, str) for tool in backend.tools)
    assert isinstance(backend.available(), str)


@every_backend
def test_a_backend_that_is_not_here_says_what_to_install(backend: Any, compiled: Any) -> None:
    if not backend.available():
        pytest.skip("it is here")
    with pytest.raises(MissingTool) as failed:
        compiled(backend)
    assert failed.value.hint


def test_openvino_where_it_is_not_installed_says_what_to_install(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("zoo.optional.importlib.import_module", absent)
    with pytest.raises(MissingTool) as failed:
        compiled(OpenVino())
    assert failed.value.hint == "pip install 'pose-zoo[openvino]'"


@every_runtime
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "bf16"])
def test_outputs_are_those_of_the_network(backend: Any, precision: str, compiled: Any, network: Any, compute: Any) -> None:
    if precision not in backend.precisions:
        pytest.skip("not a precision of it")
    wanted = compute(network, image())
    with backend.open(compiled(backend, precision), threads=1) as runner:
        assert list(runner.outputs) == ["heat", "final"]
        found = runner({"data": image()})
        assert list(found) == ["heat", "final"]
        for name, array in found.items():
            assert array.dtype == np.float32
            assert noise(array, wanted[name]) < {"fp32": 1e-10, "fp16": 1e-3, "bf16": 1e-3, "int8": 1e-2}[precision]
        assert runner.computed_in


@every_runtime
def test_records_travel_with_the_model(backend: Any, compiled: Any) -> None:
    folder = compiled(backend)
    assert (folder / "preprocess.json").read_text() == '{"fit": "of the network"}\n'
    record = read_record(folder)
    assert record.precision == "fp32"
    assert record.outputs == ("heat", "final")


@every_runtime
def test_compiling_twice_gives_the_same_bytes(backend: Any, graphs: dict[str, Path], context: Context, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        backend.compile(graphs["u8s8"], out, precision="int8", shapes=FREE, context=context)
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert found[0] == found[1]
    assert str(tmp_path).encode() not in b"".join(found[0].values())


@every_runtime
def test_a_free_model_takes_other_sizes_and_batches(backend: Any, compiled: Any, network: Any, compute: Any) -> None:
    with backend.open(compiled(backend), threads=1) as runner:
        assert runner.inputs == {"data": TensorSpec((None, 3, None, None), "float32")}
        for shape in ((24, 32, 1), (16, 48, 3)):
            found, wanted = runner({"data": image(*shape)}), compute(network, image(*shape))
            assert all(noise(found[name], wanted[name]) < 1e-10 for name in wanted)


@every_runtime
@pytest.mark.parametrize("streams", [1, 2])
def test_calls_from_many_threads_at_once_each_get_their_own_outputs(backend: Any, compiled: Any, streams: int) -> None:
    images = [image() + place for place in range(6)]
    folder = compiled(backend)
    with backend.open(folder, threads=1) as runner:
        alone = [runner({"data": one}) for one in images]
    with backend.open(folder, threads=2, streams=streams) as runner, ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(lambda one: runner({"data": one}), images), alone, strict=True):
                assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@every_runtime
def test_a_fixed_model_refuses_another_batch_and_says_both(backend: Any, compiled: Any) -> None:
    with backend.open(compiled(backend, "fp32", FIXED), threads=1) as runner:
        assert runner.inputs["data"].shape == (1, 3, 24, 32)
        assert runner({"data": image()})["heat"].shape == (1, 4, 12, 16)
        with pytest.raises(StepFailed, match=r"\(1, 3, 24, 32\) and was given float32 \(2, 3, 24, 32\)"):
            runner({"data": image(batch=2)})


@every_runtime
def test_a_model_opened_for_a_shape_takes_that_alone(backend: Any, compiled: Any) -> None:
    folder = compiled(backend)
    for shape in ({"data": (2, 3, 16, 16)}, {"": (2, 3, 16, 16)}):
        with backend.open(folder, threads=1, shape=shape) as runner:
            assert runner({"data": image(16, 16, 2)})["final"].shape == (2, 2, 8, 8)
            with pytest.raises(StepFailed, match=r"was given float32 \(1, 3, 16, 16\)"):
                runner({"data": image(16, 16)})


@every_runtime
def test_a_fixed_model_cannot_be_opened_for_another_shape(backend: Any, compiled: Any) -> None:
    with pytest.raises(StepFailed, match=r"axis 0 .* is 1 .* cannot be 2"):
        backend.open(compiled(backend, "fp32", FIXED), threads=1, shape={"": (2, 3, 24, 32)})


@every_runtime
@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "was given none"),
        ({"image": image()}, "takes the inputs data and was given image"),
        ({"data": image().astype(np.float64)}, "was given float64"),
    ],
)
def test_wrong_feeds_are_refused(backend: Any, feeds: Any, said: str, compiled: Any) -> None:
    with backend.open(compiled(backend), threads=1) as runner, pytest.raises(StepFailed, match=said):
        runner(feeds)


@every_runtime
def test_the_next_call_does_not_write_into_what_came_out(backend: Any, compiled: Any) -> None:
    with backend.open(compiled(backend), threads=1) as runner:
        first = runner({"data": image(seed=0)})["final"]
        before = first.copy()
        runner({"data": image(seed=1)})
        np.testing.assert_array_equal(first, before)


@every_backend
def test_a_precision_that_the_graph_was_not_made_for_is_refused(
    backend: Any, graphs: dict[str, Path], context: Context, tmp_path: Path
) -> None:
    if backend.available():
        pytest.skip(f"not here: {backend.available()}")
    for graph, precision, said in (
        ("fp32", "int8", "not quantised"),
        ("u8s8", "fp32", "is quantised"),
        ("fp16", "fp32", "float16"),
        ("fp32", "int3", "does not build"),
    ):
        with pytest.raises(StepFailed, match=said):
            backend.compile(graphs[graph], tmp_path, precision=precision, shapes=FREE, context=context)
    assert not any(tmp_path.iterdir())


@every_backend
def test_shapes_of_an_unknown_input_are_refused(backend: Any, graphs: dict[str, Path], context: Context, tmp_path: Path) -> None:
    if backend.available():
        pytest.skip(f"not here: {backend.available()}")
    with pytest.raises(StepFailed, match="'image', which is no input"):
        backend.compile(graphs["fp32"], tmp_path, precision="fp32", shapes={"image": FREE["data"]}, context=context)


def test_onnxruntime_says_that_a_float16_file_is_computed_in_float32(compiled: Any) -> None:
    with OnnxRuntime().open(compiled(OnnxRuntime(), "fp16"), threads=1) as runner:
        assert runner.computed_in in ("fp32 (a float16 file, cast)", "fp16")


@every_runtime
def test_int8_is_computed_in_int8_but_for_what_was_kept(
    backend: Any, compiled: Any, graphs: dict[str, Path], context: Context, tmp_path: Path
) -> None:
    with backend.open(compiled(backend, "int8"), threads=1) as runner:
        assert runner.computed_in == "int8"
    kept = tmp_path / "kept"
    kept.mkdir()
    quantize(
        graphs["fp32"] / "model.onnx",
        kept / "model.onnx",
        [{"data": image()}],
        calibrator=MinMax(),
        scheme="u8s8",
        keep=("head", "last"),
        context=context,
    )
    out = tmp_path / "out"
    out.mkdir()
    backend.compile(kept, out, precision="int8", shapes=FREE, context=context)
    with backend.open(out, threads=1) as runner:
        assert runner.computed_in in ("fp32 (2 of 4), int8", "int8 (2 of 4), fp32")


def test_openvino_computes_in_float32_when_asked_to_whatever_the_cpu_has(compiled: Any) -> None:
    with OpenVino().open(compiled(OpenVino()), threads=1) as runner:
        assert runner.computed_in == "fp32"


@every_runtime
def test_a_model_that_cannot_be_opened_says_so(backend: Any, compiled: Any) -> None:
    folder = compiled(backend)
    for path in folder.iterdir():
        if path.suffix in (".onnx", ".xml"):
            path.write_bytes(b"")
    with pytest.raises(StepFailed):
        backend.open(folder, threads=1)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_rtx_builds_what_tensorrt_will_be_given(precision: str, compiled: Any) -> None:
    pytest.importorskip("tensorrt_rtx")
    folder = compiled(TensorRtRtx(), precision)
    assert (folder / "model.engine").stat().st_size > 1000
    assert read_record(folder).precision == precision
    with pytest.raises(StepFailed, match="not run"):
        TensorRtRtx().open(folder, threads=1)


def test_tensorrt_rtx_refuses_the_scheme_of_the_cpu_runtimes(graphs: dict[str, Path], context: Context, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(StepFailed, match=r"does not read the graph: .*zero point") as failed:
        TensorRtRtx().compile(graphs["u8s8"], tmp_path, precision="int8", shapes=FREE, context=context)
    assert "s8s8" in failed.value.hint


def test_tensorrt_rtx_refuses_a_gpu_that_it_does_not_know(graphs: dict[str, Path], context: Context, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(StepFailed, match=r"compute capability 1\.0"):
        TensorRtRtx(compute_capabilities=("1.0",)).compile(graphs["fp32"], tmp_path, precision="fp32", shapes=FREE, context=context)


def test_tensorrt_wants_bounds_for_every_free_axis(graphs: dict[str, Path], context: Context, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(StepFailed, match="least and the greatest size of 'data'"):
        TensorRtRtx().compile(graphs["fp32"], tmp_path, precision="fp32", shapes={}, context=context)


def test_what_a_tensorrt_engine_computes_in_is_read_from_its_layers() -> None:
    def layer(kind: str, type_: str) -> dict[str, Any]:
        return {"Name": "x", "LayerType": kind, "Inputs": [{"Name": "i", "Format/Datatype": type_}], "Outputs": []}

    half_, int8, other = (
        layer("CaskConvolution", "Channel major FP16 format where channel % 8 == 0"),
        layer("CaskConvolution", "Row major Int8"),
        layer("Reformat", "Row major linear FP32"),
    )
    assert layers_compute_in(json.dumps({"Layers": [half_, other]})) == "fp16"
    assert layers_compute_in(json.dumps({"Layers": [int8, int8, half_, other]})) == "int8 (2 of 3), fp16"
    assert layers_compute_in(json.dumps({"Layers": ["conv1"]})).startswith("unknown")
    # since TensorRT 11 the type stands by itself
    fused = {"LayerType": "fusion", "TacticName": "sm80_xmma_gemm_i8i8", "Inputs": [{"Format": "Row major", "DataType": "Int8"}]}
    assert layers_compute_in(json.dumps({"Layers": [fused]})) == "int8"


def test_a_summary_names_the_most_frequent_first() -> None:
    assert summary({"fp32": 8, "int8": 113}) == "int8 (113 of 121), fp32"
    assert summary({"fp32": 3}) == "fp32"
    assert summary({}) == "no convolutions"


def test_polygraphy_compares_our_runners(compiled: Any) -> None:
    comparator = import_module("polygraphy.comparator")
    from zoo.backends.polygraphy import PolygraphyRunner

    feeds = [{"data": image(seed=seed)} for seed in range(2)]
    with OnnxRuntime().open(compiled(OnnxRuntime()), threads=1) as one, OpenVino().open(compiled(OpenVino()), threads=1) as other:
        runs = comparator.Comparator.run([PolygraphyRunner(one, "ort"), PolygraphyRunner(other, "openvino")], data_loader=feeds)
    assert [name for name, _ in runs] == ["ort", "openvino"]
    assert len(runs["ort"]) == 2
    np.testing.assert_allclose(runs["ort"][1]["final"], runs["openvino"][1]["final"], atol=1e-5)


def test_a_torch_module_is_a_runner() -> None:
    torch = pytest.importorskip("torch")
    from zoo.backends.torch import Torch

    class Twice(torch.nn.Module):  # type: ignore[misc]
        def forward(self, given: Any) -> Any:
            return given, given * 2

    with Torch(Twice(), ("one", "two")) as runner:
        assert isinstance(runner, Runner)
        found = runner({"data": image()})
        np.testing.assert_array_equal(found["two"], image() * 2)
        assert runner.computed_in == "fp32"
    with Torch(Twice(), ("one",)) as runner, pytest.raises(StepFailed, match="gives 2 outputs"):
        runner({"data": image()})


def test_opening_needs_no_compiled_record_in_onnxruntime(graphs: dict[str, Path]) -> None:
    with OnnxRuntime().open(graphs["fp32"], threads=1) as runner:
        assert runner({"data": image()})["final"].shape == (1, 2, 12, 16)
    assert not (graphs["fp32"] / "compiled.json").exists()
    assert onnx.load(graphs["fp32"] / "model.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_onnx_runtime_keeps_no_memory_for_each_size_that_it_has_seen(graphs: dict[str, Path]) -> None:
    # that this is what keeps memory flat was measured: it takes two callers and a network that is large (benchmarks/eval_images.py)
    runner: Any = OnnxRuntime().open(graphs["fp32"], threads=2, streams=2)
    assert not runner._session.get_session_options().enable_mem_pattern
    runner.close()
