"""What is remembered of a tensor: a histogram whose size does not grow with the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 18  # values looked at together: bounds the memory that the looking needs
LEAST_REACH = 2.0**-100


class Histogram:
    """Counts of the values of one tensor in `2 * bins` bins of equal width around 0, and its extremes.

    The bins span [-reach, reach) where `reach` is a power of two, and so is `bins`: when a greater value
    comes, neighbours are added up and nothing is lost. What is remembered is therefore the same in
    whatever order and in whatever portions the values come.

    With `bins` 0 only the extremes are kept.
    """

    def __init__(self, bins: int = 0) -> None:
        if bins & (bins - 1):
            raise ValueError(f"{bins} bins: a power of two is wanted")
        self.bins = bins
        self.counts: NDArray[np.int64] = np.zeros(2 * bins, np.int64)
        self.reach = LEAST_REACH
        self.low = float("inf")
        self.high = float("-inf")

    @property
    def width(self) -> float:
        """The width of a bin: counts[bins + k] are the values in [k * width, (k + 1) * width)."""
        return self.reach / self.bins

    def add(self, values: NDArray[np.float32]) -> None:
        """Count `values`, of any shape. Raises ValueError where one is nan or infinite."""
        flat = values.reshape(-1)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("nan or infinity")
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not self.bins:
            return
        self._stretch(max(-low, high))
        scale = np.float32(self.bins / self.reach)
        for start in range(0, flat.size, BLOCK):
            # scaling by a power of two is exact (but for subnormal numbers) and so is floor: a value's bin does not
            # depend on when it came
            places = np.floor(flat[start : start + BLOCK] * scale).astype(np.int32)
            places += self.bins
            self.counts += np.bincount(places, minlength=2 * self.bins)

    def magnitudes(self) -> NDArray[np.int64]:
        """(bins,) counts of |value|: entry k is of [k * width, (k + 1) * width]."""
        return self.counts[self.bins :] + self.counts[: self.bins][::-1]

    def _stretch(self, greatest: float) -> None:
        """Make room for `greatest` (not negative) by adding up neighbours."""
        if greatest < self.reach:
            return
        # greatest = fraction * 2**exponent with fraction < 1
        wanted = 2.0 ** int(np.frexp(greatest)[1])
        doublings = round(float(np.log2(wanted / self.reach)))
        places = (np.arange(-self.bins, self.bins) >> min(doublings, 62)) + self.bins
        counts = np.zeros_like(self.counts)
        np.add.at(counts, places, self.counts)
        self.counts, self.reach = counts, wanted
