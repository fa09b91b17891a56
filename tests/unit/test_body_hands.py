"""A body and its hands as one model: crops go to the hand network, and what it finds comes back to its person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.context import Context
from zoo.pipelines import BodyHands
from zoo.pipelines.body_hands import BodyHandsModel
from zoo.pipelines.estimator import Estimator, Image, Stopwatch
from zoo.pose.fits import Stretch
from zoo.pose.hands import HandCrops
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess
from zoo.pose.skeletons import SKELETONS
from zoo.record import canonical
from zoo.steps.bundle import PREPROCESS
from zoo.steps.part import Part, open_model

BODY, HANDS = SKELETONS["openpose_18"].keypoints, SKELETONS["openpose_18_hands"]
CROPS = HandCrops()


class Idle(Runner):
    """Runs nothing; remembers that it was closed, or fails to."""

    def __init__(self, stuck: bool = False) -> None:
        self.inputs = {"data": TensorSpec((None, 3, None, None), "float32")}
        self.outputs = {}
        self.closed = 0
        self.stuck = stuck

    @property
    def computed_in(self) -> str:
        return "int8" if self.stuck else "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        raise AssertionError("the estimators of these tests run nothing")

    def close(self) -> None:
        self.closed += 1
        if self.stuck:
            raise OSError("it does not close")


class Landmarks:
    """What an estimator asks of its decoder here."""

    skeleton = "hand_21"


class Bodies:
    skeleton = "openpose_18"


@dataclass(frozen=True)
class Painted(Estimator):
    """Finds people where they are painted: of `people` those whose colour is the image's first pixel."""

    people: Mapping[int, Poses] = field(default_factory=dict)

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        with (watch or Stopwatch()).stage("body network"):
            return [self.people[int(image[0, 0, 0])] for image in images]


@dataclass(frozen=True)
class Brightest(Estimator):
    """Finds one hand in an image: all of its keypoints lie on the brightest pixel, and score what that holds; none in the dark."""

    seen: list[list[tuple[int, ...]]] = field(default_factory=list)

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        self.seen.append([image.shape for image in images])
        with (watch or Stopwatch()).stage("hand network"):
            return [self._one(image[..., 1]) for image in images]

    def _one(self, level: NDArray[np.uint8]) -> Poses:
        y, x = np.unravel_index(level.argmax(), level.shape)
        if not level[y, x]:
            return Poses.of(np.zeros((0, 21, 2)), np.zeros((0, 21)), np.zeros(0))
        return Poses.of(np.full((1, 21, 2), (x, y), float), np.full((1, 21), level[y, x] / 100), np.array([level[y, x] / 100]))


SIZE = Preprocess(fit=Stretch(width=8, height=8))


def arms(*wrists: tuple[str, int, int]) -> Poses:
    """People who stretch one arm down, 100 pixels from joint to joint: the person's own side, and where the wrist is."""
    keypoints = np.full((len(wrists), 18, 2), np.nan)
    for person, (side, x, y) in enumerate(wrists):
        for i, joint in enumerate(("shoulder", "elbow", "wrist")):
            keypoints[person, BODY.index(f"{side}_{joint}")] = (x, y - 200 + 100 * i)
    present = ~np.isnan(keypoints[..., 0])
    return Poses.of(keypoints, np.where(present, 0.5, 0.0), np.linspace(2, 1, len(wrists)))


def scene(colour: int, *hands: tuple[int, int, int]) -> Image:
    """A dark image of that colour with bright pixels: x, y, level."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0] = colour
    for x, y, level in hands:
        image[y, x, 1] = level
    return image


def model(people: Mapping[int, Poses], body: Runner | None = None, hand: Runner | None = None) -> BodyHandsModel:
    bodies = Painted(body or Idle(), SIZE, Bodies(), people=people)  # type: ignore[arg-type]
    found = BodyHands(body="b", hand="h").joined({"body": bodies, "hand": Brightest(hand or Idle(), SIZE, Landmarks())})  # type: ignore[arg-type]
    assert isinstance(found, BodyHandsModel)
    return found


def hand_of(poses: Poses, person: int, side: str) -> set[tuple[float, ...]]:
    """Where the keypoints of one hand lie."""
    part = next(part for part in HANDS.parts if part.name == f"{side}_hand")
    points = poses.keypoints[person, part.start : part.stop]
    return {tuple(point) for point in points[~np.isnan(points[:, 0])].tolist()}


def test_hands_come_back_in_pixels_of_the_image_to_the_person_and_side_that_they_belong_to() -> None:
    both = model({1: arms(("left", 200, 260), ("right", 450, 300))})
    poses = both(scene(1, (210, 300, 90), (440, 350, 60)))
    assert poses.keypoints.shape == (2, 60, 2) and both.skeleton is HANDS
    assert hand_of(poses, 0, "left") == {(210.0, 300.0)} and hand_of(poses, 1, "right") == {(440.0, 350.0)}
    assert not hand_of(poses, 0, "right") and not hand_of(poses, 1, "left")
    assert poses.scores[0, 18:39].tolist() == [0.9] * 21 and poses.scores[1, 39:].tolist() == [0.6] * 21


def test_the_hand_network_sees_the_squares_that_the_crops_cut_out_and_nothing_else() -> None:
    both = model({1: arms(("left", 200, 260), ("right", 620, 300))})
    both(scene(1))
    assert isinstance(both.hand, Brightest)
    wanted = [(crop.size, crop.size, 3) for crop in CROPS.crops(both.body(scene(1)), "openpose_18", (640, 480))]
    assert both.hand.seen == [wanted] and wanted[0] == (150, 150, 3) and wanted[1][0] < 150, "the second sticks out"


def test_several_images_share_the_call_of_the_hands_and_keep_their_order_and_people() -> None:
    people = {
        1: arms(("left", 200, 260), ("left", 400, 260)),
        2: arms(),
        3: arms(("right", 300, 300)),
    }
    images = [scene(3, (310, 340, 50)), scene(2, (300, 300, 99)), scene(1, (205, 290, 10), (410, 300, 20))]
    both = model(people)
    found = both.many(images)
    assert isinstance(both.hand, Brightest)
    assert [len(one) for one in found] == [1, 0, 2] and [len(call) for call in both.hand.seen] == [3]
    assert hand_of(found[0], 0, "right") == {(310.0, 340.0)}
    assert hand_of(found[2], 0, "left") == {(205.0, 290.0)} and hand_of(found[2], 1, "left") == {(410.0, 300.0)}
    for image, one in zip(images, found, strict=True):
        alone = both(image)
        np.testing.assert_array_equal(alone.keypoints, one.keypoints)
        np.testing.assert_array_equal(alone.scores, one.scores)


def test_bodies_boxes_and_scores_are_those_of_the_body_network() -> None:
    bodies = arms(("left", 200, 260), ("right", 450, 300))
    poses = model({1: bodies})(scene(1, (210, 300, 90)))
    np.testing.assert_array_equal(poses.keypoints[:, :18], bodies.keypoints)
    np.testing.assert_array_equal(poses.scores[:, :18], bodies.scores)
    np.testing.assert_array_equal(poses.boxes, bodies.boxes)
    np.testing.assert_array_equal(poses.instance_scores, bodies.instance_scores)


def test_nobody_and_people_without_hands_are_people_all_the_same() -> None:
    noseless = np.full((1, 18, 2), np.nan)
    noseless[0, 0] = (50, 60)
    both = model({1: arms(), 2: Poses.of(noseless, np.where(np.isnan(noseless[..., 0]), 0.0, 0.4), np.ones(1))})
    watch = Stopwatch()
    nobody, someone = both.many([scene(1), scene(2)], watch)
    assert nobody.keypoints.shape == (0, 60, 2)
    assert someone.present.sum() == 1 and someone.keypoints[0, 0].tolist() == [50, 60]
    assert isinstance(both.hand, Brightest) and both.hand.seen == [], "the hand network was called with nothing"
    assert set(watch.seconds) == {"body network", "cropping"}
    assert both.many([]) == []


def test_a_crop_in_which_no_hand_is_found_leaves_its_keypoints_absent() -> None:
    poses = model({1: arms(("left", 200, 260))})(scene(1))
    assert len(poses) == 1 and not poses.present[0, 18:].any() and np.isnan(poses.keypoints[0, 18:]).all()
    assert (poses.scores[0, 18:] == 0).all()


def test_the_stopwatch_knows_every_stage_of_both_networks_by_its_role() -> None:
    watch = Stopwatch()
    both = model({1: arms(("left", 200, 260))})
    both.many([scene(1)], watch)
    assert list(watch.seconds) == ["body network", "cropping", "hand network"]


def test_what_both_compute_in_is_said() -> None:
    assert model({}, hand=Idle(stuck=True)).computed_in == "body fp32; hand int8"


@pytest.mark.parametrize("stuck", [False, True])
def test_both_are_closed_even_where_the_first_does_not_close(stuck: bool) -> None:
    body, hand = Idle(stuck), Idle()
    with pytest.raises(OSError, match="does not close") if stuck else nullcontext(), model({}, body, hand):
        pass
    assert (body.closed, hand.closed) == (1, 1)


@dataclass(frozen=True)
class Fake:
    """In place of a backend: opens what is in `runners`, and fails where there is none."""

    runners: Mapping[str, Runner]

    def open(self, folder: Path, *, threads: int, streams: int = 1) -> Runner:
        if folder.name not in self.runners:
            raise OSError(f"nothing lies in {folder.name}")
        return self.runners[folder.name]


def compiled(root: Path) -> Path:
    for role in ("body", "hand"):
        (root / role).mkdir()
        (root / role / PREPROCESS).write_bytes(canonical(Preprocess(fit=Stretch(width=16, height=24), colour="rgb")))
    return root


def parts(runners: Mapping[str, Runner]) -> dict[str, Part]:
    def one(skeleton: Any) -> Part:
        # a record does not look at what it is given by hand
        return Part(backend=Fake(runners), fit=SIZE.fit, order=SIZE.order, decode=skeleton)  # type: ignore[arg-type]

    return {"body": one(Bodies()), "hand": one(Landmarks())}


def test_each_role_is_opened_from_its_own_folder_as_its_part_says(tmp_path: Path, context: Context) -> None:
    runners = {"body": Idle(), "hand": Idle()}
    with open_model(compiled(tmp_path), parts(runners), BodyHands(body="b", hand="h"), context, batch=3) as opened:
        assert isinstance(opened, BodyHandsModel)
        assert (opened.body.name, opened.hand.name) == ("body", "hand") and opened.body.runner is runners["body"]
        assert opened.hand.preprocess == Preprocess(fit=SIZE.fit, colour="rgb"), "fit of the part, colour of the artifact"
        assert (opened.body.batch, opened.hand.batch) == (3, 3)
    assert {role: runner.closed for role, runner in runners.items()} == {"body": 1, "hand": 1}


def test_what_was_opened_is_closed_again_where_a_later_part_does_not_open(tmp_path: Path, context: Context) -> None:
    body = Idle()
    with pytest.raises(OSError, match="nothing lies in hand"):
        open_model(compiled(tmp_path), parts({"body": body}), BodyHands(body="b", hand="h"), context)
    assert body.closed == 1
