"""OpenPose's idea (Cao et al., 2017) at a size that is trained from nothing in minutes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.base import HeatmapArchitecture
from zoo.optional import require

Dilation = Annotated[int, Meta(ge=1, le=16)]


class OpenPoseSmall(HeatmapArchitecture, frozen=True, tag="openpose_small"):
    """Residual blocks with BatchNorm down to stride 8, and stages of dilated residual blocks, each with heatmaps and PAFs."""

    width: Annotated[int, Meta(description="channels at half the input's size; four times as many at stride 8", ge=4, le=128)] = 16
    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 2
    dilations: Annotated[
        tuple[Dilation, ...], Meta(description="a residual block of each stage for each, with so wide a reach", min_length=1)
    ] = (1, 2, 4)
    num_pafs: Annotated[int, Meta(description="two channels for each limb", ge=2, multiple_of=2)] = 38

    stride: ClassVar[int] = 8
    skeleton: ClassVar[str] = "openpose_18"
    input: ClassVar[str] = "input"

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels, H / 8, W / 8): the last stage's."""
        return {"pafs": self.num_pafs, "heatmaps": self.num_heatmaps}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) BGR, normalised -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose_small import OpenPoseSmallNet

        return OpenPoseSmallNet(self.width, self.stages, self.dilations, self.num_heatmaps, self.num_pafs).eval()
