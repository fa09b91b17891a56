"""OpenPose in its first form (Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", 2017; hands:
Simon et al., "Hand Keypoint Detection in Single Images using Multiview Bootstrapping", 2017), as pytorch-openpose ported it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from zoo.models.base import HeatmapArchitecture, PafArchitecture
from zoo.optional import require


class OpenPoseBody(PafArchitecture, frozen=True, tag="openpose_body"):
    """VGG19 to conv4_2, two convolutions more, and six stages of two branches, PAFs and heatmaps, at stride 8."""

    last_relu: Annotated[
        bool,
        Meta(
            description="a ReLU on the last stage's heatmaps, as pytorch-openpose has it by a slip in its list of layers; CMU's own "
            "network and MindSpore's have none"
        ),
    ] = True
    pooling: Annotated[
        Literal["floor", "ceil"],
        Meta(
            description="what a pooling makes of an odd last row or column. floor: it is left out, as by pytorch-openpose; ceil: it is "
            "pooled by itself, as by MindSpore's network. Sizes that are multiples of 8 have none"
        ),
    ] = "floor"
    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 6

    input: ClassVar[str] = "input"

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) BGR / 256 - 0.5 -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose import OpenPoseBodyNet

        return OpenPoseBodyNet(self.stages, self.num_heatmaps, self.num_pafs, self.last_relu, self.pooling == "ceil").eval()


class OpenPoseHand(HeatmapArchitecture, frozen=True, tag="openpose_hand"):
    """VGG19 to conv5_2, one convolution more, and six stages of one branch, heatmaps, at stride 8. One hand fills the image."""

    stages: Annotated[int, Meta(description="stages, the first included", ge=1, le=6)] = 6
    num_heatmaps: Annotated[int, Meta(description="keypoints and the background", ge=2)] = 22

    stride: ClassVar[int] = 8
    skeleton: ClassVar[str] = "hand_21"
    input: ClassVar[str] = "input"

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels of the module's output, (N, channels, H / 8, W / 8): the last stage's."""
        return {"heatmaps": self.num_heatmaps}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) BGR / 256 - 0.5 -> `outputs`."""
        require("torch")
        from zoo.models.nets.openpose import OpenPoseHandNet

        return OpenPoseHandNet(self.stages, self.num_heatmaps).eval()
