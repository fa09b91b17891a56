"""Object keypoint similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: The spread of human annotators per keypoint, COCO-17, as published with the COCO keypoint challenge.
COCO_SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089)


def oks(
    reference: NDArray[np.floating],
    other: NDArray[np.floating],
    areas: NDArray[np.floating],
    sigmas: Sequence[float] | NDArray[np.floating] = COCO_SIGMAS,
    *,
    shared: bool = False,
) -> NDArray[np.float64]:
    """(N, M) similarity of N reference people (N, K, 2) to M others (M, K, 2), both with nan for absent keypoints.

    As COCO has it: the mean over the reference's keypoints of exp(-d² / (2 area (2 sigma)²)), `areas` (N,) of the
    reference or (N, M) of each pair in square pixels. A keypoint that only the reference has counts 0, one that only
    the other has not at all. With `shared` neither does, and the mean is over the keypoints that both have. 0 where no keypoint counts."""
    spread = np.sqrt(2) * 2 * np.asarray(sigmas, np.float64)
    if not reference.shape[1] == other.shape[1] == len(spread):
        raise ValueError(f"{reference.shape[1]} and {other.shape[1]} keypoints with {len(spread)} sigmas")
    # people last, in units of the spread, and in place: at a hundred people a copy of all pairs costs as much as the arithmetic
    (ax, ay), (bx, by) = ((people / spread[:, None]).transpose(2, 1, 0).copy() for people in (reference, other))
    similarity = np.square(ax[..., None] - bx[:, None])
    similarity += np.square(ay[..., None] - by[:, None])
    similarity /= -(areas[:, None] if areas.ndim == 1 else areas)
    np.exp(similarity, out=similarity)
    both = ~np.isnan(similarity)
    counted = both if shared else ~np.isnan(ax)[..., None]
    return np.asarray(similarity.sum(axis=0, where=both) / np.maximum(counted.sum(axis=0), 1), np.float64)
