"""OpenPose's idea (Cao et al., 2017) at a size that is trained from nothing in minutes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.base import PafArchitecture
from zoo.optional import require

Dilation = Annotated[int, Meta(ge=1, le=16)]


class OpenPoseSmall(PafArchitecture, frozen=True, tag="openpose_small"):
    """Residual blocks with BatchNorm down to stride 8, and stages of dilated residual blocks, each with heatmaps and PAFs."""

    width: Annotated[int, Meta(description="channels at half the input's size; four times as many at stride 8", ge=4, le=128)] = 16
    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 2
    dilations: Annotated[
        tuple[Dilation, ...], Meta(description="a residual block of each stage for each, with so wide a reach", min_length=1)
    ] = (1, 2, 4)

    input: ClassVar[str] = "input"

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) BGR, normalised -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose_small import OpenPoseSmallNet

        return OpenPoseSmallNet(self.width, self.stages, self.dilations, self.num_heatmaps, self.num_pafs).eval()
