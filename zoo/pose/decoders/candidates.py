"""Candidate keypoints: what peaks are found as, before they belong to anybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: So many candidates of a kind are kept, the strongest: no image has so many people, but a constant map has a peak a pixel,
#: and every pair of candidates is looked at.
MOST = 512


@dataclass(frozen=True, eq=False)
class Candidates:
    """M keypoints that belong to nobody yet, ordered by kind; a candidate's id is its row."""

    points: NDArray[np.float64]
    """(M, 2) x, y in pixels of the map."""
    scores: NDArray[np.float64]
    """(M,) value of the heatmap."""
    starts: NDArray[np.intp]
    """(K + 1,) the candidates of kind k are the rows starts[k] : starts[k + 1]."""

    def ids(self, kind: int) -> NDArray[np.intp]:
        """The rows of one kind of keypoint."""
        return np.arange(self.starts[kind], self.starts[kind + 1])

    def __len__(self) -> int:
        return len(self.scores)

    @staticmethod
    def of(
        x: NDArray[np.intp] | NDArray[np.float64],
        y: NDArray[np.intp] | NDArray[np.float64],
        value: NDArray[np.floating],
        kind: NDArray[np.intp],
        kinds: int,
    ) -> Candidates:
        """From M coordinates, values and kinds, which must be sorted by kind; there are `kinds` of them."""
        points = np.stack([x, y], axis=1).astype(np.float64)
        return Candidates(points, value.astype(np.float64), np.searchsorted(kind, np.arange(kinds + 1)))


def strongest(value: NDArray[np.floating], kind: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Values and kinds (M,) -> the rows of the `most` highest of each kind, ascending; of equals the first."""
    if len(kind) <= most:
        return np.arange(len(kind))
    order = np.lexsort((-value, kind))
    rank = np.arange(len(kind)) - np.searchsorted(kind[order], kind[order])
    return np.sort(order[rank < most])
