"""What the decoders of crops share: one person in each crop, all crops of a call at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses

#: The skeletons that a network of one person may have.
PersonSkeleton = Literal["coco_17", "hand_21", "openpose_18", "openpose_18_hands"]

#: Keypoints (N, K, 2) in image pixels, nan where absent, and their scores (N, K), 0 where absent.
Found = tuple[NDArray[np.float64], NDArray[np.float64]]


def input_size(affines: Sequence[Affine]) -> tuple[int, int]:
    """(width, height) of the input that all the crops have. Raises StepFailed where they differ, or where there is none."""
    sizes = {affine.input for affine in affines}
    if len(sizes) != 1:
        told = ", ".join("{} x {}".format(*size) for size in sorted(sizes)) or "none"
        raise StepFailed(f"crops of one size were expected, these are: {told}", "what shares a call of the network is of one size")
    return sizes.pop()


def highest(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """(M, n) -> (M,) where each row is greatest, the first of equals, and (M,) the value there. A row with NaN gives NaN."""
    at = rows.argmax(axis=1)
    return at, rows[np.arange(len(rows)), at]


def placed(points: NDArray[np.float64], scores: NDArray[Any], affines: Sequence[Affine]) -> Found:
    """(N, K, 2) in pixels of each crop's input and (N, K) -> the keypoints in image pixels, absent where the score is not
    positive or no finite number."""
    matrices = np.array([affine.matrix for affine in affines])
    backward = np.linalg.inv(matrices[:, :, :2])
    present = (scores > 0) & (scores < np.inf)
    points = np.where(present[..., None], points, np.nan)
    keypoints = (points - matrices[:, None, :, 2]) @ backward.transpose(0, 2, 1)
    return keypoints, np.where(present, scores, 0).astype(np.float64)


def people(found: Found) -> Poses:
    """The persons of those crops in which any keypoint was found; a person's score is the mean of the found keypoints'."""
    keypoints, scores = found
    present = ~np.isnan(keypoints[..., 0])
    somebody = present.any(axis=1)
    keypoints, scores = keypoints[somebody], scores[somebody]
    return Poses.of(keypoints, scores, scores.sum(axis=1) / present[somebody].sum(axis=1))
