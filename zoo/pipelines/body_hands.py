"""Body, then hands: people are found first, and then each of their hands in a crop beyond the wrist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from zoo.pipelines.estimator import Image, PoseModel, Stopwatch
from zoo.pose.hands import HandCrops, joined
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Skeleton
from zoo.record import Choice


class BodyHands(Choice, frozen=True, kw_only=True, tag="body_hands"):
    """A network that finds bodies and one that finds the 21 keypoints of a hand: one result a person, with both hands.

    Source: pytorch-openpose's joint flow.
    """

    body: Annotated[str, Meta(description="the recipe that finds the people; its skeleton is openpose_18")]
    hand: Annotated[str, Meta(description="the recipe that finds a hand in a crop; its skeleton is hand_21")]
    crops: Annotated[HandCrops, Meta(description="where a hand is looked for")] = HandCrops()

    wants: ClassVar[Mapping[str, str]] = {"body": "openpose_18", "hand": "hand_21"}
    boxed: ClassVar[tuple[str, ...]] = ()
    boxes: ClassVar[str] = "none: bottom-up"

    @property
    def parts(self) -> dict[str, str]:
        """Role -> the name of its recipe, in the order in which they run."""
        return {"body": self.body, "hand": self.hand}

    def joined(self, estimators: Mapping[str, PoseModel]) -> PoseModel:
        """The opened networks, by role, as one."""
        return BodyHandsModel(estimators["body"], estimators["hand"], self.crops)


@dataclass(frozen=True)
class BodyHandsModel(PoseModel):
    """The two networks at work: 18 keypoints of the body, 21 of the left hand, 21 of the right."""

    body: PoseModel
    hand: PoseModel
    crops: HandCrops

    @property
    def skeleton(self) -> Skeleton:
        """Body and hands."""
        return SKELETONS["openpose_18_hands"]

    @property
    def computed_in(self) -> str:
        """What both networks compute in."""
        return f"body {self.body.computed_in}; hand {self.hand.computed_in}"

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        """See `PoseModel.many`. The hands of all the people of all the images share the hand network's calls."""
        watch = watch or Stopwatch()
        bodies = self.body.many(images, watch, boxes)
        with watch.stage("cropping"):
            crops = [
                self.crops.crops(poses, self.body.skeleton.name, (image.shape[1], image.shape[0]))
                for poses, image in zip(bodies, images, strict=True)
            ]
            cut = [crop.cut(image) for of_image, image in zip(crops, images, strict=True) for crop in of_image]
        found = iter(self.hand.many(cut, watch) if cut else [])
        return [joined(poses, [(crop, next(found)) for crop in of_image]) for poses, of_image in zip(bodies, crops, strict=True)]

    def close(self) -> None:
        """Close both, the second even where the first fails."""
        try:
            self.body.close()
        finally:
            self.hand.close()
