"""Detectors' outputs become people with boxes: as the plain loops of their authors' definitions, and as good on real images."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.document import read
from zoo.errors import StepFailed
from zoo.metrics import CocoBoxes
from zoo.pose.decoders import RtmdetDecoder, YoloxDecoder
from zoo.pose.decoders.boxes import people, suppressed
from zoo.pose.fits import Letterbox
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess

ROOT = Path(__file__).parents[2]
RTMDET = RtmdetDecoder(stride_8="a", stride_16="b", stride_32="c")
YOLOX = YoloxDecoder(output="o")
#: an image of 96 x 60 pixels becomes 64 x 40 of the input
AFFINE = Letterbox(width=64, height=64, place="corner").affine((96, 60))

Box = tuple[float, float, float, float]
Candidate = tuple[float, Box]


def iou(a: Box, b: Box) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(across, 0) * max(down, 0)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def plain(candidates: list[Candidate], affine: Affine, threshold: float, overlap: float, most: int) -> list[Candidate]:
    """Scale back, cut at the image's edges, and keep the surest of those that overlap: one candidate after another."""
    (x, y), (width, height) = (affine.matrix[0, 0], affine.matrix[1, 1]), affine.image
    found: list[Candidate] = []
    for score, box in sorted(candidates, key=lambda one: -one[0]):
        if score < threshold:
            continue
        x1, x2 = (min(max(side / x, 0), width) for side in box[0::2])
        y1, y2 = (min(max(side / y, 0), height) for side in box[1::2])
        if x2 > x1 and y2 > y1 and all(iou(other, (x1, y1, x2, y2)) <= overlap for _, other in found):
            found.append((score, (x1, y1, x2, y2)))
    return found[:most]


def plain_rtmdet(outputs: dict[str, Any]) -> list[Candidate]:
    found = []
    for name, stride in (("a", 8), ("b", 16), ("c", 32)):
        for row, line in enumerate(outputs[name][0].tolist()):
            for column, (logit, left, top, right, bottom) in enumerate(line):
                x, y = column * stride, row * stride
                found.append((1 / (1 + math.exp(-logit)), (x - left, y - top, x + right, y + bottom)))
    return found


def plain_yolox(outputs: dict[str, Any]) -> list[Candidate]:
    values, found = iter(outputs["o"][0].tolist()), []
    for stride in (8, 16, 32):
        for row in range(64 // stride):
            for column in range(64 // stride):
                dx, dy, dw, dh, there, *classes = next(values)
                x, y, w, h = (column + dx) * stride, (row + dy) * stride, math.exp(dw) * stride, math.exp(dh) * stride
                if max(classes) == classes[0]:
                    found.append((there * classes[0], (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
    return found


def rtmdet_outputs(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def output(cells: int, stride: int) -> Any:
        logits, sides = random.normal(0, 2, (1, cells, cells, 1)), random.uniform(-0.3, 3, (1, cells, cells, 4)) * stride
        return np.concatenate([logits, sides], axis=3).astype(np.float32)

    return {"a": output(8, 8), "b": output(4, 16), "c": output(2, 32)}


def yolox_outputs(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    values = np.concatenate([random.normal(0, 0.7, (1, 84, 4)), random.uniform(0, 1, (1, 84, 81))], axis=2)
    values[..., 5] += random.uniform(0, 0.5, (1, 84))
    values[..., 4:] /= 1.6  # probabilities
    return {"o": values.astype(np.float32)}


DECODERS = [
    pytest.param(RTMDET, rtmdet_outputs, plain_rtmdet, id="rtmdet"),
    pytest.param(YOLOX, yolox_outputs, plain_yolox, id="yolox"),
]
each_decoder = pytest.mark.parametrize(("decoder", "outputs", "reference"), DECODERS)
Decoder = RtmdetDecoder | YoloxDecoder
Made = Callable[..., dict[str, Any]]
Reference = Callable[[dict[str, Any]], list[Candidate]]


@each_decoder
@pytest.mark.parametrize("changes", [{}, {"threshold": 0.3}, {"overlap": 0.2}, {"overlap": 1.0, "most": 1000}, {"most": 3}])
def test_it_finds_whom_a_plain_loop_finds(decoder: Decoder, outputs: Made, reference: Reference, changes: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(decoder, **changes)
    for seed in range(3):
        made = outputs(seed)
        poses = changed.decode(made, AFFINE)
        expected = plain(reference(made), AFFINE, changed.threshold, changed.overlap, changed.most)
        assert len(expected) > 2
        np.testing.assert_allclose(poses.boxes, [box for _, box in expected], atol=1e-4)
        np.testing.assert_allclose(poses.instance_scores, [score for score, _ in expected], atol=1e-6)
        assert poses.keypoints.shape == (len(expected), 0, 2) and poses.scores.shape == (len(expected), 0)


@each_decoder
def test_outputs_are_only_read_and_always_give_the_same(decoder: Decoder, outputs: Made, reference: Reference) -> None:
    made = outputs()
    for array in made.values():
        array.setflags(write=False)
    np.testing.assert_array_equal(decoder.decode(made, AFFINE).boxes, decoder.decode(made, AFFINE).boxes)


@each_decoder
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_nobody_and_hides_no_one_else(decoder: Decoder, outputs: Made, reference: Reference, value: float) -> None:
    made = outputs()
    assert len(decoder.decode({name: np.full_like(array, value) for name, array in made.items()}, AFFINE)) == 0
    random = np.random.default_rng(3)
    bad = {name: array.copy() for name, array in made.items()}
    clean = {name: array.copy() for name, array in made.items()}
    for name, array in bad.items():
        cells = random.random(array.shape[:-1]) < 0.3
        array[cells, random.integers(0, 5, int(cells.sum()))] = value
        # the same cells say that nobody is there
        clean[name][cells] = -100 if isinstance(decoder, RtmdetDecoder) else 0
    ours, theirs = decoder.decode(bad, AFFINE), decoder.decode(clean, AFFINE)
    if value == -np.inf and isinstance(decoder, YoloxDecoder):
        assert np.isfinite(ours.boxes).all() and np.isfinite(ours.instance_scores).all()  # exp(-inf) is 0: a box without an extent
    else:
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)


@each_decoder
def test_values_that_overflow_warn_of_nothing(decoder: Decoder, outputs: Made, reference: Reference) -> None:
    for value in (3e38, -3e38, 800, -800):
        poses = decoder.decode({name: np.full_like(array, value) for name, array in outputs().items()}, AFFINE)
        assert np.isfinite(poses.boxes).all() and np.isfinite(poses.instance_scores).all()


@each_decoder
def test_nobody_has_boxes_of_no_one(decoder: Decoder, outputs: Made, reference: Reference) -> None:
    poses = msgspec.structs.replace(decoder, threshold=1.0).decode(outputs(), AFFINE)
    assert (poses.keypoints.shape, poses.boxes.shape, poses.instance_scores.shape) == ((0, 0, 2), (0, 4), (0,))


@each_decoder
def test_outputs_of_another_shape_and_missing_ones_are_refused(decoder: Decoder, outputs: Made, reference: Reference) -> None:
    made = outputs()
    name = next(iter(made))
    for wrong in (made[name][:, 1:], made[name][..., 1:], made[name][0], np.concatenate([made[name]] * 2)):
        with pytest.raises(StepFailed, match=f"the output '{name}' has the shape"):
            decoder.decode({**made, name: wrong}, AFFINE)
    with pytest.raises(StepFailed, match=f"the decoder asks for the output '{name}'"):
        decoder.decode({key: value for key, value in made.items() if key != name}, AFFINE)
    with pytest.raises(StepFailed, match="must be multiples of 8"):
        decoder.decode(made, Letterbox(width=60, height=64).affine((96, 60)))


def test_an_input_need_not_be_square() -> None:
    affine = Letterbox(width=96, height=32, place="corner").affine((192, 64))
    made = {name: np.full((1, 32 // stride, 96 // stride, 5), -9, np.float32) for name, stride in (("a", 8), ("b", 16), ("c", 32))}
    made["a"][0, 1, 10] = (3, 4, 2, 8, 10)  # the point 80, 8
    poses = RTMDET.decode(made, affine)
    np.testing.assert_allclose(poses.boxes, [[152, 12, 176, 36]])
    assert YOLOX.decode({"o": np.zeros((1, 63, 85), np.float32)}, affine).boxes.shape == (0, 4)


def test_a_cell_speaks_for_its_surest_class() -> None:
    made = {"o": np.zeros((1, 84, 85), np.float32)}
    made["o"][0, :2, 4:7] = [(1, 0.5, 0.4), (1, 0.5, 0.6)]
    assert YOLOX.decode(made, AFFINE).instance_scores.tolist() == [0.5]


def found(corners: Any, scores: Any, threshold: float = 0.1, overlap: float = 0.5, most: int = 100) -> Poses:
    return people(np.array(corners, float).reshape(-1, 4), np.array(scores, float), AFFINE, threshold, overlap, most)


def test_boxes_are_cut_at_the_image_and_those_beside_it_are_no_one() -> None:
    """The image is the upper 40 rows of the input; a factor of 2/3."""
    corners = [(-5, -5, 200, 200), (0, 41, 60, 64), (-9, 3, -1, 9), (8, 4, 8, 20), (30, 4, 20, 20), (60, 36, 66, 44)]
    poses = found(corners, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    np.testing.assert_allclose(poses.boxes, [[0, 0, 96, 60], [90, 54, 96, 60]])
    assert poses.instance_scores.tolist() == [0.9, 0.4]


def test_of_equal_scores_the_first_stays_first() -> None:
    corners = [(0, 0, 10, 10), (1, 0, 11, 10), (20, 0, 30, 10), (40, 0, 50, 10)]
    poses = found(corners, [0.5] * 4)
    np.testing.assert_allclose(poses.boxes[:, 0], [0, 30, 60])
    # 64 bits decide, not the 32 that are compared while boxes are suppressed
    poses = found(corners[:2], [0.5, 0.5 + 1e-12])
    np.testing.assert_allclose(poses.boxes, [[1.5, 0, 16.5, 15]])


def test_a_score_and_an_overlap_that_are_just_met_stay() -> None:
    """Two boxes that share a half of their union exactly."""
    corners = [(0, 0, 20, 10), (0, 0, 20, 20)]
    assert len(found(corners, [0.9, 0.1])) == 2
    assert len(found(corners, [0.9, 0.1], overlap=0.49)) == 1
    assert len(found(corners, [0.9, 0.1], threshold=0.11)) == 1
    assert len(found(corners, [0.9, 0.0], threshold=0.0)) == 2


def test_who_is_suppressed_suppresses_no_one() -> None:
    poses = found([(0, 0, 20, 20), (0, 8, 20, 28), (0, 16, 20, 36)], [0.9, 0.8, 0.7], overlap=0.3)
    np.testing.assert_allclose(poses.boxes[:, 1], [0, 24])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.65, 1.0]))
def test_the_most_are_the_first_of_all(seed: int, most: int, overlap: float) -> None:
    """Looking at few candidates first changes nothing."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 30, (80, 4))
    corners[:, 2:] += corners[:, :2]
    scores = random.choice(np.linspace(0.1, 1, 9), 80)
    np.testing.assert_array_equal(found(corners, scores, 0.0, overlap, most).boxes, found(corners, scores, 0.0, overlap).boxes[:most])


def test_no_boxes_are_suppressed_among_none() -> None:
    assert suppressed(np.zeros((0, 4)), 0.5).shape == (0,)


# real networks, real images

#: the weights, their preprocessing, their decoder, AP with the evaluation's defaults, its difference that is allowed
REAL = {
    "rtmdet-nano-person-320": (
        Preprocess(fit=Letterbox(width=320, height=320, place="corner"), mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395)),
        RtmdetDecoder(stride_8="1211", stride_16="1213", stride_32="1215"),
        (0.42, 0.01),
    ),
    # measured here: there is no figure of the original's on these images
    "yolox-nano-416": (Preprocess(fit=Letterbox(width=416, height=416, place="corner")), YoloxDecoder(output="output"), (0.393, 0.003)),
}


@pytest.mark.assets
@pytest.mark.parametrize("name", REAL)
def test_real_detectors_are_as_good_as_they_are_known_to_be(assets: Path, context: Context, name: str) -> None:
    import onnxruntime

    preprocess, decoder, (expected, allowed) = REAL[name]
    declared = msgspec.convert(read(ROOT / "zoo.yaml").data["datasets"]["coco_mini_detection"], Dataset)
    images = declared.open(replace(context, environment={"ZOO_ASSETS": str(assets)}))
    sources = json.loads((assets / "coco_mini/sources.json").read_text())
    assert images.ids == sorted(int(id) for id, source in sources.items() if source == "coco-mini")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(assets / f"weights/{name}.onnx"), options, providers=["CPUExecutionProvider"])
    names, metric, results = [output.name for output in session.get_outputs()], CocoBoxes(), []
    for sample in images.samples:
        tensor, affine = preprocess.prepare(images.read(sample))
        outputs = dict(zip(names, session.run(None, {"images": tensor}), strict=True))
        results += metric.results(decoder.decode(outputs, affine), decoder.skeleton, sample.id)
    assert images.annotations is not None
    assert metric.evaluate(images.annotations, images.ids, results)["AP"] == pytest.approx(expected, abs=allowed)
