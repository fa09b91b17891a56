"""Calibration and quantisation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from zoo.calibrators import Calibrator, Entropy, MinMax, Percentile, collect
from zoo.calibrators.histogram import Histogram
from zoo.calibrators.quantize import Quantized, observe, quantize
from zoo.context import Context
from zoo.errors import StepFailed

METHODS = [MinMax(), Entropy(), Percentile()]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
PORTIONS = st.lists(st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=30), min_size=1, max_size=6)


def images(count: int = 4) -> Iterator[dict[str, NDArray[np.float32]]]:
    random = np.random.default_rng(1)
    for index in range(count):
        # of different sizes, as photographs are
        yield {"data": random.normal(0, 1, (1, 3, 24, 32 + 8 * index)).astype(np.float32)}


@pytest.fixture
def build(network: Any, context: Context, tmp_path: Path) -> Any:
    """`build(**options) -> (the quantised model, what was done)`."""
    (tmp_path / "model.onnx").write_bytes(network.SerializeToString())

    def run(feeds: Any = None, **options: Any) -> tuple[Any, Quantized]:
        options = {"calibrator": MinMax(), "scheme": "u8s8", **options}
        done = quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", images() if feeds is None else feeds, context=context, **options)
        model = onnx.load(tmp_path / "int8.onnx")
        onnx.checker.check_model(model, full_check=True)
        return model, done

    return run


def constants(model: Any) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def zero_points(model: Any) -> list[NDArray[Any]]:
    known = constants(model)
    return [known[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]


def producers(model: Any) -> dict[str, Any]:
    return {name: node for node in model.graph.node for name in node.output}


def node_named(model: Any, name: str) -> Any:
    return next(node for node in model.graph.node if node.name == name)


def test_every_calibrator_is_tried_here() -> None:
    assert {type(method) for method in METHODS} == set(get_args(Calibrator))


@given(portions=PORTIONS, seed=st.integers(0, 99))
def test_a_histogram_does_not_depend_on_order_or_portions(portions: list[list[float]], seed: int) -> None:
    values = np.array([value for portion in portions for value in portion], np.float32)
    in_portions, at_once = Histogram(64), Histogram(64)
    for portion in portions:
        in_portions.add(np.array(portion, np.float32))
    at_once.add(np.random.default_rng(seed).permutation(values))
    np.testing.assert_array_equal(in_portions.counts, at_once.counts)
    assert (in_portions.low, in_portions.high, in_portions.reach) == (at_once.low, at_once.high, at_once.reach)


@given(values=st.lists(st.floats(-100, 100, width=32, allow_subnormal=False), min_size=1, max_size=50))
def test_every_value_is_in_the_bin_that_spans_it(values: list[float]) -> None:
    histogram = Histogram(64)
    array = np.array(values, np.float32)
    histogram.add(array)
    edges = (np.arange(129) - 64) * histogram.width
    np.testing.assert_array_equal(histogram.counts, np.histogram(array.astype(np.float64), edges)[0])


def test_a_histogram_stays_small_when_values_grow() -> None:
    histogram = Histogram(4096)
    for power in range(-60, 60):
        histogram.add(np.full(3, 2.0**power, np.float32))
    assert histogram.counts.shape == (8192,)
    assert histogram.counts.sum() == 360


@every_method
def test_what_was_observed_once_serves_every_way_to_quantise(build: Any, context: Context, tmp_path: Path, method: Any) -> None:
    seen = observe(tmp_path / "model.onnx", images(), bins=4096, context=context)
    for options in ({}, {"keep": ["last"]}, {"scheme": "s8s8"}):
        plain, _ = build(calibrator=method, **options)
        reused, done = build((), calibrator=method, seen=seen, **options)
        assert reused == plain
        assert done.images == 0


@every_method
def test_a_range_is_within_what_was_seen(method: Any) -> None:
    for values in (
        np.zeros(9),
        np.full(9, 3.0),
        np.random.default_rng(0).normal(1, 2, 5000),
        -np.random.default_rng(1).exponential(1, 5000),
    ):
        histogram = Histogram(method.bins)
        histogram.add(values.astype(np.float32))
        low, high = method.range(histogram)
        assert histogram.low <= low <= high <= histogram.high


@pytest.mark.parametrize("method", [Entropy(), Percentile(percentile=99.9)], ids=lambda method: type(method).__name__)
def test_a_lonely_outlier_is_clipped(method: Any) -> None:
    values = np.abs(np.random.default_rng(0).normal(0, 1, 100_000)).astype(np.float32)
    histogram = Histogram(method.bins)
    histogram.add(np.append(values, np.float32(60)))
    low, high = method.range(histogram)
    assert low >= 0
    assert 2.5 < high < 6


def test_the_percentile_is_that_of_the_values() -> None:
    values = np.random.default_rng(0).normal(0, 1, 200_000).astype(np.float32)
    histogram = Histogram(Percentile.bins)
    histogram.add(values)
    wanted = np.percentile(values, [0.5, 99.5])
    np.testing.assert_allclose(Percentile(percentile=99.0).range(histogram), wanted, atol=2 * histogram.width)


def test_minmax_finds_the_ranges_that_onnxruntime_s_own_calibration_finds(network: Any, context: Context, tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = images()

        def get_next(self) -> Any:
            return next(self.feeds, None)

    (tmp_path / "model.onnx").write_bytes(network.SerializeToString())
    calibrator = create_calibrator(
        tmp_path / "model.onnx",
        ["Conv", "Relu", "Concat"],
        augmented_model_path=str(tmp_path / "augmented.onnx"),
        calibrate_method=CalibrationMethod.MinMax,
    )
    calibrator.collect_data(Reader())
    theirs = {name: data.range_value for name, data in calibrator.compute_data().items()}
    seen, count = collect.collect(onnx.shape_inference.infer_shapes(network), list(theirs), images(), 0, context)
    assert count == 4
    for name, (low, high) in theirs.items():
        np.testing.assert_allclose(MinMax().range(seen[name]), (np.min(low), np.max(high)), rtol=1e-5, atol=1e-6)


@every_method
def test_a_quantised_network_computes_nearly_the_same(method: Any, build: Any, network: Any, compute: Any) -> None:
    model, done = build(calibrator=method)
    assert done.images == 4
    image = next(images())["data"]
    wanted = compute(network, image)
    for name, found in compute(model, image).items():
        noise = ((found - wanted[name]) ** 2).mean()
        assert 1e-8 * (wanted[name] ** 2).mean() < noise < 0.01 * (wanted[name] ** 2).mean()


def test_u8s8_has_unsigned_activations_and_signed_weights_per_channel(build: Any) -> None:
    model, _ = build()
    assert {str(point.dtype) for point in zero_points(model)} == {"uint8"}
    known = constants(model)
    assert known["stem.weight_quantized"].dtype == np.int8
    assert known["stem.weight_scale"].shape == (8,)
    assert known["stem.bias_quantized"].dtype == np.int32
    assert "Relu" not in {node.op_type for node in model.graph.node}


def test_without_per_channel_a_weight_has_one_scale(build: Any) -> None:
    model, _ = build(per_channel=False)
    assert constants(model)["stem.weight_scale"].size == 1


def test_s8s8_is_symmetric_with_float_biases_and_nothing_between_a_convolution_and_its_relu(build: Any) -> None:
    model, _ = build(scheme="s8s8")
    points = [constants(model)[node.input[2]] for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {str(point.dtype) for point in points} == {"int8"}
    assert not any(point.any() for point in points)
    known = constants(model)
    assert known["stem.bias"].dtype == np.float32
    made = producers(model)
    for name in ("relu1", "relu2"):
        assert made[node_named(model, name).input[0]].op_type == "Conv"
    for name in ("stem", "depth", "head", "last"):
        assert [made[given].op_type for given in node_named(model, name).input[:2]] == ["DequantizeLinear"] * 2


@pytest.mark.parametrize("pattern", ["last", "la*"])
def test_a_kept_node_reads_float_weights(pattern: str, build: Any) -> None:
    model, done = build(keep=[pattern])
    assert done.kept == ("last",)
    assert "last.weight" in node_named(model, "last").input
    assert "head.weight" not in node_named(model, "head").input


def test_a_keep_that_matches_nothing_is_refused_with_names_to_choose_from(build: Any) -> None:
    with pytest.raises(StepFailed, match="no node is called 'conv5_\\*'") as failed:
        build(keep=["conv5_*"])
    assert "stem, depth, head" in failed.value.hint


def test_keeping_everything_is_refused(build: Any) -> None:
    with pytest.raises(StepFailed, match="no convolution"):
        build(keep=["*"])


def test_reduced_range_uses_seven_bits_of_the_weights(build: Any) -> None:
    full, reduced = (constants(build(reduce_range=flag)[0])["stem.weight_quantized"] for flag in (False, True))
    assert int(np.abs(full.astype(int)).max()) == 127
    assert int(np.abs(reduced.astype(int)).max()) == 64


def test_outputs_keep_all_that_was_seen_whatever_the_method(build: Any) -> None:
    wanted, found = (constants(build(calibrator=method)[0]) for method in (MinMax(), Percentile(percentile=50.0)))
    assert found["heat_scale"] == wanted["heat_scale"]
    assert found["features_scale"] < wanted["features_scale"]


def test_no_images_is_an_error(build: Any) -> None:
    with pytest.raises(StepFailed, match="no calibration images"):
        build(feeds=iter(()))


def test_an_activation_that_is_nan_is_named(build: Any) -> None:
    with pytest.raises(StepFailed, match="'data' holds nan or infinity on calibration image 1"):
        build(feeds=[{"data": np.full((1, 3, 8, 8), np.nan, np.float32)}])


def test_a_network_too_large_to_look_at_at_once_is_looked_at_in_parts(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(calibrator=Percentile())[0].SerializeToString(deterministic=True)
    sessions = []
    original = collect._session
    monkeypatch.setattr(collect, "_session", lambda model, names, threads: sessions.append(names) or original(model, names, threads))
    monkeypatch.setattr(collect, "BUDGET", 20_000)
    parts = build(calibrator=Percentile())[0].SerializeToString(deterministic=True)
    assert len(sessions) > 1
    assert parts == whole


def test_metadata_of_the_float_graph_is_kept_and_that_of_tools_is_not(network: Any, context: Context, tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.metadata_props.add(key="zoo.preprocess", value="{}")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", images(), calibrator=MinMax(), scheme="u8s8", context=context)
    assert [(entry.key, entry.value) for entry in onnx.load(tmp_path / "int8.onnx").metadata_props] == [("zoo.preprocess", "{}")]


def test_quantising_reports_each_image(network: Any, tmp_path: Path) -> None:
    heard: list[Any] = []
    listening = Context(root=tmp_path, cache=tmp_path, listener=heard.append)
    (tmp_path / "model.onnx").write_bytes(network.SerializeToString())
    quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", images(3), calibrator=MinMax(), scheme="u8s8", context=listening)
    assert [progress.done for progress in heard if progress.what == "calibrating"] == [1, 2, 3]
