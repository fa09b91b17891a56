"""Keypoints that a network gives as coordinates, such as MediaPipe's hand landmark network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.crops import Found, placed
from zoo.pose.decoders.outputs import take
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import HAND_KEYPOINTS
from zoo.record import Choice


class LandmarksDecoder(Choice, frozen=True, kw_only=True, tag="landmarks"):
    """One hand or none: x, y, z of every keypoint in pixels of the network's input, and how sure it is that one is there.

    The network has no score by keypoint: each has the hand's.
    """

    landmarks: Annotated[str, Meta(description="output (1, 63): x, y, z of 21 keypoints, in pixels of the input")]
    presence: Annotated[str, Meta(description="output (1, 1): how sure the network is that there is a hand, 0..1")]
    threshold: Annotated[float, Meta(description="the least presence of a hand; 0: there is one, whatever its presence", ge=0, le=1)] = 0.5

    skeleton: ClassVar[str] = "hand_21"

    def reads(self) -> dict[str, int]:
        """Field that names an output -> how many channels of it are read."""
        return {"landmarks": 3 * HAND_KEYPOINTS, "presence": 1}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Outputs (1, C) each -> the hand in image pixels, if there is one; z is left out. NaN gives nobody.

        Raises StepFailed when an output is missing, is not of one input or has too few channels.
        """
        keypoints, scores = self.decode_crops(outputs, [affine])
        there = ~np.isnan(keypoints[:, 0, 0])
        return Poses.of(keypoints[there], scores[there], scores[there, 0])

    def decode_crops(self, outputs: Mapping[str, NDArray[Any]], affines: Sequence[Affine]) -> Found:
        """Outputs (N, C) each of N >= 1 crops and their affines -> keypoints (N, 21, 2) in image pixels and scores (N, 21), all nan
        and all 0 where there is no hand.

        Raises StepFailed as `decode` does.
        """
        presence = self._presence(outputs, len(affines))
        landmarks = take(outputs, self.landmarks, len(affines), 3 * HAND_KEYPOINTS).astype(np.float64)
        points = landmarks.reshape(-1, HAND_KEYPOINTS, 3)[..., :2]
        there = (presence >= self.threshold) & np.isfinite(points).all(axis=(1, 2))
        # whose score is 0 is absent: a threshold of 0 takes whoever is surely none as well
        scores = np.where(there, np.maximum(presence, np.finfo(np.float64).tiny), 0)
        return placed(points, scores[:, None].repeat(HAND_KEYPOINTS, axis=1), affines)

    def decode_turns(self, views: Sequence[View]) -> Poses:
        """The hand of the view whose presence is greatest: the network knows hands whose fingers point upwards.

        Raises StepFailed as `decode` does."""
        return self.decode(*max(views, key=lambda view: np.nan_to_num(self._presence(view.outputs, 1)[0])))

    def _presence(self, outputs: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.float64]:
        """(N,)"""
        return take(outputs, self.presence, count, 1)[:, 0].astype(np.float64)
