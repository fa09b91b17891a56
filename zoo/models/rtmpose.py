"""RTMPose (Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from zoo.models.base import Architecture
from zoo.optional import require

Side = Annotated[int, Meta(ge=32, multiple_of=32)]
#: variant -> (depth, width) as parts of CSPNeXt-l's
VARIANTS = {"t": (0.167, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}


class RtmPose(Architecture, frozen=True, tag="rtmpose"):
    """CSPNeXt and the RTMCC head: the one person in a crop, by SimCC: each keypoint's x and y are classified by themselves."""

    variant: Annotated[Literal["t", "s", "m", "l"], Meta(description="tiny, small, medium or large")]
    input_size: Annotated[
        tuple[Side, Side], Meta(description="height and width of the input: the head's weights are of this size; [256, 192] or [384, 288]")
    ] = (256, 192)

    stride: ClassVar[int] = 32
    skeleton: ClassVar[str] = "coco_17"
    input: ClassVar[str] = "input"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its input."""
        return self.input_size

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs: (N, 17, 2 W) and (N, 17, 2 H), two bins for each pixel."""
        return {"simcc_x": self.keypoints, "simcc_y": self.keypoints}

    @property
    def gains(self) -> Mapping[str, float]:
        """With the usual gain the output of the two small ones would hardly depend on the image."""
        return {"backbone.": 2.5} if self.variant in ("t", "s") else {}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) normalised RGB of `size` -> `outputs`."""
        require("torch")
        from zoo.models.nets.rtmpose import RtmPoseNet

        return RtmPoseNet(*VARIANTS[self.variant], self.input_size, self.keypoints).eval()

    def ignorable(self, state: Mapping[str, Any]) -> str:
        """Some official files hold the mean and the deviation of their preprocessing, which the recipe states."""
        return r"data_preprocessor\.(mean|std)"
