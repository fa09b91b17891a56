"""MediaPipe's hand landmark network (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from zoo.models.state import load_state
from zoo.optional import require
from zoo.record import Choice


class HandLandmark(Choice, frozen=True, tag="hand_landmark"):
    """Keypoints of the one hand in a 224x224 square, by regression: no heatmaps. `hand_landmark_full` of 2021.

    The hand is expected upright, fingers towards the top, in the middle of a square about twice its size.
    """

    stride: ClassVar[int] = 32
    size: ClassVar[tuple[int, int] | None] = (224, 224)
    skeleton: ClassVar[str] = "hand_21"
    input: ClassVar[str] = "image"
    keypoints: ClassVar[int] = 21

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

    def load(self, module: Any, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Load a state dict; returns the keys that were left out (none). Raises StepFailed where it is not of this network."""
        return load_state(module, state)
