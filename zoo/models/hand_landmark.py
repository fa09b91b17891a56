"""MediaPipe's hand landmark network (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020)."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.models.base import Architecture
from zoo.optional import require


class HandLandmark(Architecture, frozen=True, tag="hand_landmark"):
    """Keypoints of the one hand in a 224x224 square, by regression: no heatmaps. `hand_landmark_full` of 2021.

    The hand is expected upright, fingers towards the top, in the middle of a square about twice its size.
    """

    stride: ClassVar[int] = 32
    skeleton: ClassVar[str] = "hand_21"
    input: ClassVar[str] = "image"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its input."""
        return 224, 224

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels).

        landmarks: x, y, z of each keypoint, in pixels of the input, z from the wrist on; presence: how sure it is that there
        is a hand, 0..1; handedness: 1 for a right hand in an image that is not mirrored, else 0; world_landmarks: x, y, z in
        metres from the hand's middle."""
        return {"landmarks": 3 * self.keypoints, "presence": 1, "handedness": 1, "world_landmarks": 3 * self.keypoints}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, 224, 224) RGB 0..1 -> `outputs`."""
        require("torch")
        from zoo.models.nets.hand_landmark import HandLandmarkNet

        return HandLandmarkNet(self.keypoints).eval()
