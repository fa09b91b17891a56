"""Lightweight OpenPose (Osokin, "Real-time 2D Multi-Person Pose Estimation on CPU: Lightweight OpenPose", 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.base import PafArchitecture
from zoo.optional import require


class LightweightOpenPose(PafArchitecture, frozen=True, tag="lightweight_openpose"):
    """MobileNetV1, a CPM block, one initial stage and refinement stages, each with heatmaps and PAFs at stride 8."""

    refinement_stages: Annotated[int, Meta(description="stages after the initial one; the published network has one", ge=0, le=6)] = 1
    reduce: Annotated[
        bool,
        Meta(
            description="Intel's form (human-pose-estimation-0001): one more 1x1 convolution in the CPM block, ELU and biases throughout it"
        ),
    ] = False
    channels: Annotated[int, Meta(description="channels of the CPM block and of the refinement stages", ge=1)] = 128

    input: ClassVar[str] = "data"

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels, H / 8, W / 8)."""
        names: dict[str, int] = {}
        for stage in range(self.refinement_stages + 1):
            names |= {f"stage_{stage}_output_1_heatmaps": self.num_heatmaps, f"stage_{stage}_output_0_pafs": self.num_pafs}
        return names

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) normalised BGR -> `outputs`."""
        require("torch")
        from zoo.models.nets.lightweight_openpose import LightweightOpenPoseNet

        return LightweightOpenPoseNet(self.refinement_stages, self.reduce, self.channels, self.num_heatmaps, self.num_pafs).eval()

    @property
    def gains(self) -> Mapping[str, float]:
        """Refinement stages add to their input."""
        return {"refinement_stages.": 1.0}

    def ignorable(self, state: Mapping[str, Any]) -> str:
        """The official file holds three refinement stages where the published network has one: later stages may be left out."""
        from itertools import count, takewhile

        later = list(
            takewhile(lambda stage: any(key.startswith(f"refinement_stages.{stage}.") for key in state), count(self.refinement_stages))
        )
        pattern = "|".join(str(stage) for stage in later)
        return rf"refinement_stages\.({pattern})\..+" if later else ""
