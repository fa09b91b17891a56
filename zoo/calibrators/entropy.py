"""Ranges that keep the distribution of the values."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.calibrators.histogram import Histogram
from zoo.record import Choice

STEP = 8  # bins between two thresholds that are tried


class Entropy(Choice, frozen=True, kw_only=True, tag="entropy"):
    """The clipping threshold at which the quantised distribution of magnitudes is nearest to the real one.

    The method of "8-bit inference with TensorRT" (S. Migacz, GTC 2017): for each threshold the histogram of
    |value| under it (all beyond added to its last bin) is P, and Q is the same in `levels` equal portions
    spread over the bins of P that are not empty; the threshold with the least Kullback-Leibler divergence of
    Q from P is taken. The first bin is set to the second, for zeros survive any quantisation and would
    outweigh everything. The range is what was seen, clipped to +-threshold."""

    bins: ClassVar[int] = 4096

    levels: Annotated[int, Meta(description="how many magnitudes the quantised type tells apart", ge=16, le=1024)] = 128

    def range(self, seen: Histogram) -> tuple[float, float]:
        """(least, greatest) value of the range for a tensor of which `seen` is remembered."""
        counts = seen.magnitudes().astype(np.float64)
        counts[0] = counts[1]
        used = np.flatnonzero(counts)
        if not used.size or used[-1] < self.levels:
            return seen.low, seen.high
        ends = [*range(self.levels, int(used[-1]) + 1, STEP), int(used[-1]) + 1]
        distances = [self._distance(counts, end) for end in ends]
        threshold = ends[int(np.argmin(distances))] * seen.width
        return max(seen.low, -threshold), min(seen.high, threshold)

    def _distance(self, counts: NDArray[np.float64], end: int) -> float:
        """The divergence of `counts` quantised to the threshold at bin `end`."""
        inside = counts[:end]
        reference = inside.copy()
        reference[-1] += counts[end:].sum()
        starts = np.arange(self.levels) * end // self.levels
        portion = np.repeat(np.arange(self.levels), np.diff(starts, append=end))
        filled = reference > 0
        total = np.add.reduceat(inside, starts)
        full = np.add.reduceat(filled.astype(np.float64), starts)
        quantised = np.where(filled, (total / np.maximum(full, 1))[portion], 0.0)
        if not quantised.any():
            return float("inf")
        p, q = reference / reference.sum(), quantised / quantised.sum()
        # a bin that holds only what was clipped is empty in Q: as unlikely there as anything is
        return float((p[filled] * np.log(p[filled] / np.maximum(q[filled], 1e-12))).sum())
