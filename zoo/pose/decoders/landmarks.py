"""Keypoints that a network gives as coordinates, such as MediaPipe's hand landmark network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.record import Choice

KEYPOINTS = 21


class LandmarksDecoder(Choice, frozen=True, kw_only=True, tag="landmarks"):
    """One hand or none: x, y, z of every keypoint in pixels of the network's input, and how sure it is that one is there.

    The network has no score by keypoint: each has the hand's.
    """

    landmarks: Annotated[str, Meta(description="output (1, 63): x, y, z of 21 keypoints, in pixels of the input")]
    presence: Annotated[str, Meta(description="output (1, 1): how sure the network is that there is a hand, 0..1")]
    threshold: Annotated[float, Meta(description="the least presence of a hand", ge=0, le=1)] = 0.5

    skeleton: ClassVar[str] = "hand_21"

    def reads(self) -> dict[str, int]:
        """Field that names an output -> how many channels of it are read."""
        return {"landmarks": 3 * KEYPOINTS, "presence": 1}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Outputs (1, C) each -> the hand in image pixels, if there is one; z is left out. NaN gives nobody.

        Raises StepFailed when an output is missing or has too few channels.
        """
        presence = _values(outputs, self.presence, 1)[0]
        points = _values(outputs, self.landmarks, 3 * KEYPOINTS).reshape(KEYPOINTS, 3)[None, :, :2]
        if not (presence >= self.threshold and np.isfinite(points).all()):
            return Poses.of(np.zeros((0, KEYPOINTS, 2)), np.zeros((0, KEYPOINTS)), np.zeros(0))
        return Poses.of(affine.to_image(points), np.full((1, KEYPOINTS), presence), np.full(1, presence))

    def decode_turns(self, views: Sequence[View]) -> Poses:
        """The hand of the view whose presence is greatest: the network knows hands whose fingers point upwards.

        Raises StepFailed as `decode` does."""
        return self.decode(*max(views, key=lambda view: np.nan_to_num(_values(view.outputs, self.presence, 1)[0])))


def _values(outputs: Mapping[str, NDArray[Any]], name: str, channels: int) -> NDArray[np.float64]:
    """The first `channels` numbers of the output `name`."""
    if name not in outputs:
        raise StepFailed(f"the decoder asks for the output {name!r}", f"the network gives: {', '.join(outputs) or 'none'}")
    output = outputs[name]
    if output.ndim != 2 or output.shape[0] != 1 or output.shape[1] < channels:
        raise StepFailed(f"the output {name!r} has the shape {list(output.shape)}", f"the decoder needs [1, {channels} or more]")
    return np.asarray(output[0, :channels], np.float64)
