"""`CropEstimator`: crops of all images share calls, each person goes back to its image, and nothing of another crop shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.errors import StepFailed, ZooError
from zoo.pipelines.crops import CropEstimator
from zoo.pipelines.estimator import Estimator, Image, Stopwatch
from zoo.pose.decoders import HandPeaksDecoder, HeatmapsDecoder, LandmarksDecoder
from zoo.pose.decoders.crops import Found
from zoo.pose.fits import Box, Stretch
from zoo.pose.geometry import Affine, Turn
from zoo.pose.keypoints import Poses
from zoo.pose.people import People
from zoo.pose.preprocess import Preprocess
from zoo.pose.skeletons import SKELETONS

ALL = People(nms="none")
PREPARE = Preprocess(fit=Box(width=24, height=32))
SQUARE = Preprocess(fit=Box(width=32, height=32))
TURNS: tuple[Turn, ...] = (0, 90, 180, 270)


class Channels(Runner):
    """A network whose maps are the channels of its input, one after another: map k is channel k modulo 3, and `sum` their sum."""

    def __init__(self, batch: int | None = None, maps: int = 17) -> None:
        self.inputs = {"data": TensorSpec((batch, 3, None, None), "float32")}
        self.outputs = {"maps": TensorSpec((batch, maps, None, None), "float32"), "sum": TensorSpec((batch, 1), "float32")}
        self.maps = maps
        self.fed: list[NDArray[np.float32]] = []
        self.closed = 0

    @property
    def computed_in(self) -> str:
        return "fp16"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        data = feeds["data"]
        self.fed.append(data)
        return {"maps": data[:, np.arange(self.maps) % 3], "sum": data.sum(axis=(1, 2, 3))[:, None]}

    def close(self) -> None:
        self.closed += 1

    @property
    def calls(self) -> list[int]:
        return [len(one) for one in self.fed]


HEAT = HeatmapsDecoder(heatmaps="maps", refine="none")


def crops(runner: Runner, *, batch: int = 1, people: People = ALL, flip: bool = False) -> CropEstimator:
    return CropEstimator(runner, PREPARE, HEAT, people, flip, batch=batch)


def scene(*dots: tuple[int, int, int], width: int = 200, height: int = 150) -> Image:
    """A dark image with dots, 5 pixels across: x, y, level."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, level in dots:
        image[y - 2 : y + 3, x - 2 : x + 3] = level
    return image


def around(*dots: tuple[int, int, int]) -> Poses:
    """A box of 30 x 40 pixels around each dot; the first scores 0.9."""
    boxes = np.array([[x - 15, y - 20, x + 15, y + 20] for x, y, _ in dots], np.float64).reshape(-1, 4)
    return Poses.of_boxes(boxes, 0.9 - 0.1 * np.arange(len(dots)))


def same(left: Poses, right: Poses) -> None:
    for one, other in ((left.keypoints, right.keypoints), (left.scores, right.scores), (left.boxes, right.boxes)):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(left.instance_scores, right.instance_scores)


A, B, C = ((40, 50, 100), (100, 60, 150)), (), ((60, 60, 120), (120, 90, 90), (150, 50, 210))


@pytest.mark.parametrize(
    ("fixed", "batch", "calls"), [(None, 1, [1] * 5), (None, 3, [3, 2]), (None, 8, [5]), (3, 1, [3, 3]), (1, 8, [1] * 5)]
)
def test_crops_of_neighbouring_images_share_calls_and_people_keep_their_images(fixed: int | None, batch: int, calls: list[int]) -> None:
    runner = Channels(fixed)
    found = crops(runner, batch=batch).many([scene(*dots) for dots in (A, B, C)], boxes=[around(*dots) for dots in (A, B, C)])
    assert runner.calls == calls
    assert [len(one) for one in found] == [2, 0, 3]
    for one, dots in zip(found, (A, B, C), strict=True):
        np.testing.assert_array_equal(one.boxes, around(*dots).boxes)
        for person, (x, y, level) in enumerate(dots):
            assert np.abs(one.keypoints[person] - (x, y)).max() <= 4
            assert one.scores[person].tolist() == [level] * 17


def test_a_fixed_batch_is_filled_up_with_the_last_crop_and_the_fill_is_nobody() -> None:
    runner = Channels(4)
    (found,) = crops(runner).many([scene(*C)], boxes=[around(*C)])
    (fed,) = runner.fed
    np.testing.assert_array_equal(fed[3], fed[2])
    assert len(found) == 3
    same(found, crops(Channels(1)).many([scene(*C)], boxes=[around(*C)])[0])


def test_people_come_by_falling_score_and_without_nms_in_the_order_of_their_boxes() -> None:
    boxes = around(*C)
    (found,) = crops(Channels(), people=People()).many([scene(*C)], boxes=[boxes])
    order = np.argsort([-0.9 * 120, -0.8 * 90, -0.7 * 210])
    assert order.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(found.boxes, boxes.boxes[order])
    (found,) = crops(Channels()).many([scene(*C)], boxes=[boxes])
    np.testing.assert_array_equal(found.boxes, boxes.boxes)


def test_where_there_is_no_box_nobody_is_found_and_nothing_runs() -> None:
    runner, watch = Channels(), Stopwatch()
    for one in crops(runner, people=People()).many([scene(), scene()], watch, [around(), around()]):
        assert one.keypoints.shape == (0, 17, 2) and one.boxes.shape == (0, 4) and one.scores.shape == (0, 17)
    assert runner.fed == [] and set(watch.seconds) == {"decoding"}


@pytest.mark.parametrize("boxes", [None, []])
def test_of_no_images_there_is_nothing(boxes: list[Poses] | None) -> None:
    assert crops(Channels()).many([], boxes=boxes) == []


def test_images_and_boxes_that_are_not_as_many_are_refused() -> None:
    with pytest.raises(ZooError, match="boxes for 1 images and not for 2"):
        crops(Channels()).many([scene(), scene()], boxes=[around(*A)])


def test_without_boxes_the_whole_image_is_one_person() -> None:
    images = [scene((30, 60, 200)), scene((70, 40, 100), width=90, height=80)]
    model = crops(Channels(), batch=2)
    for image, found in zip(images, model.many(images), strict=True):
        whole = [[0, 0, image.shape[1], image.shape[0]]]
        same(found, model(image, np.array(whole)))
        assert found.boxes.tolist() == whole


def test_a_model_is_called_with_one_image_and_its_boxes() -> None:
    model = crops(Channels(), people=People())
    boxes = around(*C).boxes
    found = model(scene(*C), boxes.astype(int))
    assert found.boxes.tolist() == boxes[[2, 0, 1]].tolist(), "a box that is given scores 1"
    assert len(model(scene(*C), np.zeros((0, 4)))) == 0 == len(model(scene(*C), []))  # type: ignore[arg-type]
    for wrong in (boxes[0], np.zeros((2, 5))):
        with pytest.raises(ZooError, match=r"boxes are an array \(N, 4\)"):
            model(scene(*C), wrong)


def test_what_is_no_image_is_refused_with_boxes_and_without() -> None:
    for image in (None, np.zeros((8, 8), np.uint8)):
        for boxes in (None, [around(*A)]):
            with pytest.raises(ZooError, match="an image is an array"):
                crops(Channels()).many([image], boxes=boxes)  # type: ignore[list-item]


def test_a_network_that_finds_people_by_itself_refuses_boxes() -> None:
    model = Estimator(Channels(), Preprocess(fit=Stretch(width=8, height=8)), HEAT)
    with pytest.raises(ZooError, match="finds people by itself and was given boxes"):
        model(scene(), around(*A).boxes)


def test_what_it_computes_in_its_skeleton_and_closing_are_its_networks() -> None:
    runner = Channels()
    with crops(runner) as model:
        assert (model.computed_in, model.skeleton) == ("fp16", SKELETONS["coco_17"])
    assert runner.closed == 1


def test_the_stopwatch_knows_every_stage_by_the_role() -> None:
    watch = Stopwatch()
    model = CropEstimator(Channels(), PREPARE, HEAT, ALL, name="pose")
    model.many([scene(*A)], watch, [around(*A)])
    assert list(watch.seconds) == ["pose preparing", "pose network", "pose decoding"] and min(watch.seconds.values()) > 0


corner = st.floats(-60, 260, allow_nan=False, width=32)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(corner, corner, corner, corner), max_size=4), min_size=1, max_size=4), st.integers(1, 5), st.booleans())
def test_poses_are_those_of_each_crop_alone(several: list[list[tuple[float, ...]]], batch: int, flip: bool) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (150 - 9 * seed, 200, 3), dtype=np.uint8) for seed in range(len(several))]
    boxes = [Poses.of_boxes(np.array(one, np.float64).reshape(-1, 4), np.linspace(1, 0.5, len(one))) for one in several]
    together = crops(Channels(), batch=batch, flip=flip).many(images, boxes=boxes)
    alone = crops(Channels(), flip=flip)
    for image, of_image, found in zip(images, boxes, together, strict=True):
        assert len(found) == len(of_image)
        for person in range(len(found)):
            one = slice(person, person + 1)
            (wanted,) = alone.many([image], boxes=[Poses.of_boxes(of_image.boxes[one], of_image.instance_scores[one])])
            same(Poses(found.keypoints[one], found.scores[one], found.boxes[one], found.instance_scores[one]), wanted)


@dataclass(frozen=True)
class Spy:
    """Remembers what it is given to decode; of mirrored crops it says a thousand."""

    skeleton: ClassVar[str] = "coco_17"
    heatmaps: str = "maps"
    decoded: list[Mapping[str, NDArray[Any]]] = field(default_factory=list)
    mirrored: list[Mapping[str, NDArray[Any]]] = field(default_factory=list)

    def reads(self) -> dict[str, int]:
        return {"heatmaps": 17}

    def unmirrored(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.mirrored.append(outputs)
        return {name: np.full_like(array, 1000) for name, array in outputs.items()}

    def decode_crops(self, outputs: Mapping[str, NDArray[Any]], affines: Sequence[Affine]) -> Found:
        self.decoded.append(outputs)
        return np.zeros((len(affines), 17, 2)), np.ones((len(affines), 17))


def test_flip_averages_what_is_read_with_what_the_decoder_makes_of_mirrored_crops_and_nothing_else() -> None:
    runner, spy = Channels(), Spy()
    model = CropEstimator(runner, PREPARE, spy, ALL, flip=True, batch=2)  # type: ignore[arg-type]
    model.many([scene(*C)], boxes=[around(*C)])
    assert runner.calls == [2, 2, 1, 1]
    for plain, mirrored in ((0, 1), (2, 3)):
        np.testing.assert_array_equal(runner.fed[mirrored], runner.fed[plain][..., ::-1])
        outputs = spy.decoded[plain // 2]
        np.testing.assert_array_equal(outputs["maps"], (runner.fed[plain][:, np.arange(17) % 3] + 1000) / 2)
        np.testing.assert_array_equal(outputs["sum"][:, 0], runner.fed[plain].sum(axis=(1, 2, 3)))
        np.testing.assert_array_equal(spy.mirrored[plain // 2]["maps"], runner.fed[mirrored][:, np.arange(17) % 3])


def test_flip_leaves_a_network_that_knows_no_sides_as_it_is() -> None:
    # grey: left and right joints have one map, and so the mirrored one swapped is the same
    plain, flipped = (crops(Channels(), flip=flip)(scene(*C), around(*C).boxes) for flip in (False, True))
    same(plain, flipped)


class OneCrop:
    """A decoder that takes a crop as it stands."""

    skeleton: ClassVar[str] = "coco_17"

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        raise AssertionError("not reached")


@pytest.mark.parametrize(
    ("asked", "what"), [({"flip": True}, "cannot read a mirrored crop"), ({"turns": TURNS}, "cannot choose among turns")]
)
def test_what_the_decoder_cannot_do_is_refused(asked: dict[str, Any], what: str) -> None:
    model = CropEstimator(Channels(), SQUARE, OneCrop(), ALL, **asked)  # type: ignore[arg-type]
    with pytest.raises(StepFailed, match=f"OneCrop {what}"):
        model(scene(*A), around(*A).boxes)


def test_a_decoder_of_one_hand_is_given_each_crop_as_its_image_and_one_without_a_hand_stays_empty() -> None:
    decoder = HandPeaksDecoder(heatmaps="maps", upsample=1)
    model = CropEstimator(Channels(maps=21), SQUARE, decoder, ALL, batch=4)
    empty = (170, 120, 0)
    found = model(scene(*A), around(A[0], empty, A[1]).boxes)
    assert len(found) == 3
    for person, (x, y, level) in ((0, A[0]), (2, A[1])):
        assert np.abs(found.keypoints[person] - (x, y)).max() <= 4 and (found.scores[person] == level).all()
    assert not found.present[1].any() and (found.scores[1] == 0).all() and found.instance_scores[1] == 0


class Upright(Runner):
    """A network of hands: all 21 landmarks lie on the brightest blue pixel, and it is sure of it where the upper half is red."""

    def __init__(self) -> None:
        self.inputs = {"data": TensorSpec((None, 3, 32, 32), "float32")}
        self.outputs = {"landmarks": TensorSpec((None, 63), "float32"), "presence": TensorSpec((None, 1), "float32")}
        self.calls: list[int] = []

    @property
    def computed_in(self) -> str:
        return "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        data = feeds["data"]
        self.calls.append(len(data))
        at = data[:, 0].reshape(len(data), -1).argmax(axis=1)
        points = np.stack([at % 32, at // 32, 0 * at], axis=1).astype(np.float32)
        return {"landmarks": np.tile(points, 21), "presence": data[:, 2, :12].mean(axis=(1, 2))[:, None] / 255}


@pytest.mark.parametrize("side", ["top", "right", "bottom", "left"])
@pytest.mark.parametrize("batch", [1, 2])
def test_of_several_turns_the_surest_is_taken_and_its_keypoints_land_in_the_image(side: str, batch: int) -> None:
    image = np.zeros((150, 200, 3), np.uint8)
    boxes = np.array([[20, 30, 60, 70], [110, 40, 170, 100]], np.float64)
    dots = [(35, 44), (150, 83)]
    for (x1, y1, x2, y2), (x, y) in zip(boxes.astype(int), dots, strict=True):
        image[y - 1 : y + 2, x - 1 : x + 2, 0] = 255
        middle = (x1 + x2) // 2, (y1 + y2) // 2
        across = {"left": slice(x1, middle[0] - 4), "right": slice(middle[0] + 4, x2)}.get(side, slice(x1, x2))
        down = {"top": slice(y1, middle[1] - 4), "bottom": slice(middle[1] + 4, y2)}.get(side, slice(y1, y2))
        image[down, across, 2] = 255
    decoder = LandmarksDecoder(landmarks="landmarks", presence="presence", threshold=0)
    runner = Upright()
    found = CropEstimator(runner, SQUARE, decoder, ALL, turns=TURNS, batch=batch)(image, boxes)
    assert sum(runner.calls) == 8 and max(runner.calls) == batch
    for person, dot in enumerate(dots):
        assert np.abs(found.keypoints[person] - dot).max() <= 2
    still = CropEstimator(Upright(), SQUARE, decoder, ALL)(image, boxes)
    assert (found.scores > still.scores).all() if side != "top" else (found.scores == still.scores).all()


@dataclass(frozen=True)
class Asked:
    """In place of `People`: remembers how it is asked."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def of(self, keypoints: Any, scores: Any, boxes: Any, box_scores: Any, areas: Any, sigmas: Any) -> Poses:
        self.calls.append((keypoints, scores, boxes, box_scores, areas, sigmas))
        return Poses(keypoints, scores, boxes, box_scores)


def test_people_are_judged_image_by_image_with_the_areas_of_their_crops() -> None:
    asked = Asked()
    model = CropEstimator(Channels(), PREPARE, HEAT, asked, batch=8)  # type: ignore[arg-type]
    wide = Poses.of_boxes(np.array([[10, 20, 70, 60]], np.float64), np.array([0.4]))
    model.many([scene(*A), scene(*C)], boxes=[around(*A), wide])
    first, second = asked.calls
    assert first[0].shape == (2, 17, 2) and first[1].shape == (2, 17) and first[3].tolist() == [0.9, 0.8]
    # 30 x 40 has the shape of the input; 60 x 40 is made higher: 60 x 80
    assert first[4] == pytest.approx([30 * 40 * 1.25**2] * 2) and second[4] == pytest.approx([60 * 80 * 1.25**2])
    assert second[2].tolist() == [[10, 20, 70, 60]] and second[3].tolist() == [0.4]
    assert first[5].tolist() == list(SKELETONS["coco_17"].sigmas)


def test_the_same_person_twice_is_dropped_within_an_image_and_not_between_images() -> None:
    twice = Poses.of_boxes(np.repeat(around(A[0]).boxes, 2, axis=0), np.array([0.5, 0.9]))
    found = crops(Channels(), batch=4, people=People()).many([scene(A[0])] * 2, boxes=[twice, twice])
    assert [one.instance_scores.tolist() for one in found] == [[0.9 * 100]] * 2
