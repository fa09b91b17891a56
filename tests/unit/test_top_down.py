"""A detector and a pose network as one model: which boxes go from one to the other, and what is closed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pytest

from zoo.pipelines import TopDown
from zoo.pipelines.estimator import Image, PoseModel, Stopwatch
from zoo.pipelines.top_down import TopDownModel
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Skeleton

IMAGE = np.zeros((20, 30, 3), np.uint8)


@dataclass
class Finds(PoseModel):
    """Finds, in an image whose first pixel is i, the boxes i of `people`; or what it is given, and remembers that."""

    people: dict[int, Poses] = field(default_factory=dict)
    stuck: bool = False
    asked: list[Sequence[Poses] | None] = field(default_factory=list)
    closed: int = 0

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS["person" if self.people else "coco_17"]

    @property
    def computed_in(self) -> str:
        return "int8" if self.people else "fp32"

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        self.asked.append(boxes)
        with (watch or Stopwatch()).stage("detector network" if self.people else "pose network"):
            return list(boxes) if boxes is not None else [self.people[int(image[0, 0, 0])] for image in images]

    def close(self) -> None:
        self.closed += 1
        if self.stuck:
            raise OSError("it does not close")


def people(*scores: float) -> Poses:
    """Boxes of these scores; the i-th begins at x = i."""
    boxes = np.array([[i, 0, i + 5, 9] for i in range(len(scores))], np.float64).reshape(-1, 4)
    return Poses.of_boxes(boxes, np.array(scores))


def model(detector: PoseModel, pose: PoseModel, least: float = 0.3, most: int = 100) -> PoseModel:
    return TopDown(detector="d", pose="p", least=least, most=most).joined({"detector": detector, "pose": pose})


@pytest.mark.parametrize(
    ("least", "most", "kept"),
    [(0.3, 100, [2, 0, 3, 4]), (0.3, 3, [2, 0, 3]), (0.5, 100, [2, 0]), (0, 100, [2, 0, 3, 4, 1]), (0.95, 1, []), (0.3, 1, [2])],
)
def test_boxes_that_are_sure_enough_are_looked_at_best_first_up_to_the_number_asked_for(least: float, most: int, kept: list[int]) -> None:
    found = people(0.5, 0.2, 0.9, 0.3, 0.3)
    (looked,) = model(Finds({0: found}), Finds(), least, most).many([IMAGE])
    assert looked.boxes[:, 0].tolist() == kept
    assert looked.instance_scores.tolist() == found.instance_scores[kept].tolist()


def test_all_images_go_to_both_networks_in_one_call_and_keep_their_order() -> None:
    detector, pose = Finds({0: people(0.9, 0.8), 1: people(), 2: people(0.1, 0.7)}), Finds()
    watch = Stopwatch()
    found = model(detector, pose).many([np.full_like(IMAGE, level) for level in (2, 1, 0)], watch)
    assert [one.instance_scores.tolist() for one in found] == [[0.7], [], [0.9, 0.8]]
    assert len(detector.asked) == len(pose.asked) == 1
    assert list(watch.seconds) == ["detector network", "pose network"]


def test_where_boxes_are_given_nothing_is_detected_and_none_is_left_out() -> None:
    detector, pose = Finds({0: people(0.9)}), Finds()
    given = people(0.1, 0.9)
    assert model(detector, pose).many([IMAGE], boxes=[given]) == [given] and detector.asked == []
    assert model(detector, pose)(IMAGE, given.boxes).boxes.tolist() == given.boxes.tolist()


def test_keypoints_are_those_of_the_pose_network_and_both_say_what_they_compute_in() -> None:
    whole = model(Finds({0: people()}), Finds())
    assert whole.skeleton is SKELETONS["coco_17"] and whole.computed_in == "detector int8; pose fp32"


@pytest.mark.parametrize("stuck", [False, True])
def test_both_are_closed_even_where_the_first_does_not_close(stuck: bool) -> None:
    detector, pose = Finds({0: people()}, stuck=stuck), Finds()
    with pytest.raises(OSError, match="does not close") if stuck else nullcontext(), model(detector, pose):
        pass
    assert (detector.closed, pose.closed) == (1, 1)


def test_the_record_says_who_gives_what_and_whose_the_boxes_are() -> None:
    pipeline = TopDown(detector="rtmdet", pose="rtmpose")
    assert list(pipeline.parts.items()) == [("detector", "rtmdet"), ("pose", "rtmpose")]
    assert pipeline.wants.keys() == pipeline.parts.keys() and pipeline.boxed == ("pose",)
    assert pipeline.boxes == "found by rtmdet"
    assert isinstance(pipeline.joined({"detector": Finds(), "pose": Finds()}), TopDownModel)
