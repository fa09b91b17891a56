"""The limbs that the 38 part affinity channels of OpenPose's COCO layout describe."""

from __future__ import annotations

from typing import NamedTuple


class Limb(NamedTuple):
    """The directed limb from keypoint `a` to keypoint `b`; `channel` is the field's x, `channel + 1` its y."""

    a: int
    b: int
    channel: int
    fills_gaps: bool = False
    """Such a limb only gives a keypoint to people who lack it; it makes nobody and counts for nothing."""


# Shared by Lightweight OpenPose, pytorch-openpose, Open Model Zoo 0001, MindSpore OpenPose and mobilenet_thin,
# in the order of assembly. Without the two that fill gaps it is a tree rooted in the neck: every keypoint is
# the end `b` of one limb at most, which `assemble.attach` relies on.
OPENPOSE_18_LIMBS: tuple[Limb, ...] = (
    Limb(1, 2, 12),
    Limb(1, 5, 20),
    Limb(2, 3, 14),
    Limb(3, 4, 16),
    Limb(5, 6, 22),
    Limb(6, 7, 24),
    Limb(1, 8, 0),
    Limb(8, 9, 2),
    Limb(9, 10, 4),
    Limb(1, 11, 6),
    Limb(11, 12, 8),
    Limb(12, 13, 10),
    Limb(1, 0, 28),
    Limb(0, 14, 30),
    Limb(14, 16, 34),
    Limb(0, 15, 32),
    Limb(15, 17, 36),
    Limb(2, 16, 18, fills_gaps=True),
    Limb(5, 17, 26, fills_gaps=True),
)

#: Heatmaps that are read: one a keypoint, those of the skeleton `openpose_18`.
KEYPOINTS = 18
#: Part affinity channels: x and y of each limb.
FIELDS = 2 * len(OPENPOSE_18_LIMBS)
