"""What a network is to say: heatmaps of keypoints and part affinity fields of limbs (Cao et al., 2017), on its grid."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.record import Record


class Targets(Record, frozen=True, kw_only=True):
    """How the maps are drawn. The defaults are Lightweight OpenPose's, which its goldens prove."""

    stride: Annotated[int, Meta(description="Pixels of the input for one cell: the architecture's.", ge=1)] = 8
    sigma: Annotated[float, Meta(description="Standard deviation of a keypoint's gaussian, in pixels of the input.", gt=0)] = 7.0
    width: Annotated[
        float, Meta(description="Cells at most so far from a limb's line carry its direction, in pixels of the input.", gt=0)
    ] = 8.0
    people: Annotated[
        Literal["sum", "max"], Meta(description="Where gaussians of one kind meet: their sum, at most 1, or the greater of them.")
    ] = "sum"
    limbs: Annotated[Literal["last", "mean"], Meta(description="Where limbs of one kind meet: the later person's, or the mean.")] = "last"
