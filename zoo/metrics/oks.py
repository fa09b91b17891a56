"""Object keypoint similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: The spread of human annotators per keypoint, COCO-17, as published with the COCO keypoint challenge.
COCO_SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089)


def oks(
    reference: NDArray[np.floating], other: NDArray[np.floating], areas: NDArray[np.floating], sigmas: Sequence[float] = COCO_SIGMAS
) -> NDArray[np.float64]:
    """(N, M) similarity of N reference people (N, K, 2) to M others (M, K, 2), both with nan for absent keypoints.

    As COCO has it: the mean over the reference's keypoints of exp(-d² / (2 area (2 sigma)²)), `areas` (N,) in
    square pixels. A keypoint that only the reference has counts 0, one that only the other has not at all."""
    variance = (2 * np.asarray(sigmas)) ** 2
    if not reference.shape[1] == other.shape[1] == len(variance):
        raise ValueError(f"{reference.shape[1]} and {other.shape[1]} keypoints with {len(variance)} sigmas")
    distance = np.square(reference[:, None].astype(np.float64) - other[None].astype(np.float64)).sum(axis=-1)
    similarity = np.exp(-distance / (2 * areas[:, None, None] * variance))
    counted = ~np.isnan(reference[..., 0])
    total = np.nan_to_num(similarity, nan=0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(counted.sum(axis=1), 1)[:, None], np.float64)
