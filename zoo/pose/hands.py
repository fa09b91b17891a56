"""From bodies to their hands and back: where to look for a hand, and both put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import HAND_KEYPOINTS, SKELETONS
from zoo.record import Record

Side = Literal["left", "right"]


@dataclass(frozen=True)
class HandCrop:
    """A square in an image around one hand of one person, in whole pixels; it lies within the image."""

    person: int
    """The person's place in the poses that it was made from."""
    side: Side
    """The person's own left or right."""
    x: int
    y: int
    """The pixel at the top left corner."""
    size: int
    """Width and height."""

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """image (H, W, ...) -> (size, size, ...), a view."""
        return image[self.y : self.y + self.size, self.x : self.x + self.size]


class HandCrops(Record, frozen=True, kw_only=True):
    """A square for each hand whose shoulder, elbow and wrist were found.

    Its centre lies beyond the wrist, on the line from the elbow. What sticks out on the left or above moves the square in; what
    then sticks out on the right or below makes it smaller. Hands of the left are not mirrored.

    Source: OpenPose's hand rectangles as pytorch-openpose simplifies them; the defaults are its numbers.
    """

    shift: Annotated[float, Meta(description="From the wrist to the centre, in parts of the way from elbow to wrist.", ge=0)] = 0.33
    side: Annotated[float, Meta(description="The square's side, in parts of the longer of forearm and scaled upper arm.", gt=0)] = 1.5
    upper_arm: Annotated[float, Meta(description="A forearm's usual length, in parts of the upper arm.", ge=0)] = 0.9
    least: Annotated[float, Meta(description="Squares with a smaller side, in pixels, are left out.", ge=1)] = 20

    def crops(self, poses: Poses, skeleton: str, image: tuple[int, int]) -> list[HandCrop]:
        """The squares in an image of (width, height) pixels, person by person, left before right.

        `skeleton` is the name of any that has shoulders, elbows and wrists. Raises ZooError for others.
        """
        names = SKELETONS[skeleton].keypoints
        crops = []
        sides: tuple[Side, Side] = ("left", "right")
        arms = [(side, [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")]) for side in sides]
        if lacking := [joint for _, joints in arms for joint in joints if joint not in names]:
            raise ZooError(f"{skeleton} has no {', '.join(lacking)}", "hands are looked for beyond the arms of a body")
        for person, keypoints in enumerate(poses.keypoints.astype(np.float64)):
            for side, joints in arms:
                arm = keypoints[[names.index(joint) for joint in joints]]
                if np.isfinite(arm).all() and (square := self._square(arm, image)):
                    crops.append(HandCrop(person, side, *square))
        return crops

    def _square(self, arm: NDArray[np.float64], image: tuple[int, int]) -> tuple[int, int, int] | None:
        """(3, 2) shoulder, elbow, wrist -> x, y, size."""
        shoulder, elbow, wrist = arm
        size = self.side * max(np.hypot(*(wrist - elbow)), self.upper_arm * np.hypot(*(elbow - shoulder)))
        x, y = np.maximum(wrist + self.shift * (wrist - elbow) - size / 2, 0)
        size = min(size, image[0] - x, image[1] - y)
        # truncated one by one, and judged before, as the original does
        return (int(x), int(y), int(size)) if size >= self.least else None


def joined(bodies: Poses, hands: Sequence[tuple[HandCrop, Poses]]) -> Poses:
    """Bodies of `openpose_18` with what was found in their hands' crops -> the same people as `openpose_18_hands`.

    The hands are `hand_21` in pixels of their crop; of several in one crop the one with the best score is taken, and where
    there is none its keypoints are absent. Boxes and scores of the people stay the bodies'.
    Raises ZooError for poses of other skeletons.
    """
    skeleton = SKELETONS["openpose_18_hands"]
    parts = {part.name: part for part in skeleton.parts}
    for poses, count in [(bodies, parts["body"].stop), *((hand, HAND_KEYPOINTS) for _, hand in hands)]:
        if poses.keypoints.shape[1] != count:
            raise ZooError(f"{count} keypoints were expected, these poses have {poses.keypoints.shape[1]}", "join openpose_18 and hand_21")
    people, count = len(bodies), len(skeleton.keypoints)
    keypoints, scores = np.full((people, count, 2), np.nan), np.zeros((people, count))
    body = slice(*parts["body"][1:])
    keypoints[:, body], scores[:, body] = bodies.keypoints, bodies.scores
    for crop, hand in hands:
        if len(hand):
            best = int(hand.instance_scores.argmax())
            place = slice(*parts[f"{crop.side}_hand"][1:])
            keypoints[crop.person, place] = hand.keypoints[best] + (crop.x, crop.y)
            scores[crop.person, place] = hand.scores[best]
    return Poses(keypoints, scores, bodies.boxes, bodies.instance_scores)
