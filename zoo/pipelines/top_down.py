"""Detector, then pose: people are found first, and then the keypoints of each in a crop of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from zoo.pipelines.estimator import Image, PoseModel, Stopwatch
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import Skeleton
from zoo.record import Choice


class TopDown(Choice, frozen=True, kw_only=True, tag="top_down"):
    """A network that finds people's boxes and one that finds the keypoints of one person in a crop."""

    detector: Annotated[str, Meta(description="the recipe that finds the boxes; its task is person_detection")]
    pose: Annotated[str, Meta(description="the recipe that finds the keypoints in a box; its fit is box, its skeleton coco_17")]
    least: Annotated[float, Meta(description="boxes of a smaller score are left out", ge=0, le=1)] = 0.3
    most: Annotated[int, Meta(description="of each image only so many boxes, the best", ge=1)] = 100

    wants: ClassVar[Mapping[str, str]] = {"detector": "person", "pose": "coco_17"}
    boxed: ClassVar[tuple[str, ...]] = ("pose",)

    @property
    def parts(self) -> dict[str, str]:
        """Role -> the name of its recipe, in the order in which they run."""
        return {"detector": self.detector, "pose": self.pose}

    @property
    def boxes(self) -> str:
        """Where its boxes come from: figures with another detector do not compare."""
        return f"found by {self.detector}"

    def joined(self, estimators: Mapping[str, PoseModel]) -> PoseModel:
        """The opened networks, by role, as one."""
        return TopDownModel(estimators["detector"], estimators["pose"], self.least, self.most)


@dataclass(frozen=True)
class TopDownModel(PoseModel):
    """The two networks at work."""

    detector: PoseModel
    pose: PoseModel
    least: float
    most: int

    @property
    def skeleton(self) -> Skeleton:
        """That of the pose network."""
        return self.pose.skeleton

    @property
    def computed_in(self) -> str:
        """What both networks compute in."""
        return f"detector {self.detector.computed_in}; pose {self.pose.computed_in}"

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        """See `PoseModel.many`. The people of all the images share the pose network's calls. With `boxes` nothing is detected."""
        watch = watch or Stopwatch()
        found = [self._kept(one) for one in self.detector.many(images, watch)] if boxes is None else boxes
        return self.pose.many(images, watch, found)

    def close(self) -> None:
        """Close both, the second even where the first fails."""
        try:
            self.detector.close()
        finally:
            self.pose.close()

    def _kept(self, found: Poses) -> Poses:
        """The boxes that are looked at, the best first."""
        best = np.argsort(-found.instance_scores, kind="stable")[: self.most]
        best = best[found.instance_scores[best] >= self.least]
        return Poses.of_boxes(found.boxes[best], found.instance_scores[best])
