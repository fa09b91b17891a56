"""Ranges that leave a few of the values out."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from zoo.calibrators.histogram import Histogram
from zoo.record import Choice


class Percentile(Choice, frozen=True, kw_only=True, tag="percentile"):
    """The range that holds `percentile` of the values; half of the others lie under it, half over it.

    Half of those left out are taken from each end, as ONNX Runtime does; the ends are those of the bins
    (4096 over a span of at most four times the greatest magnitude), within what was seen."""

    bins: ClassVar[int] = 4096

    percentile: Annotated[float, Meta(description="how many of a tensor's values its range holds, in percent", gt=0, le=100)] = 99.999

    def range(self, seen: Histogram) -> tuple[float, float]:
        """(least, greatest) value of the range for a tensor of which `seen` is remembered."""
        below = np.cumsum(seen.counts)
        outside = (100 - self.percentile) / 200 * float(below[-1])
        first = int(np.searchsorted(below, outside, side="right"))
        last = int(np.searchsorted(below, float(below[-1]) - outside, side="left"))
        low, high = (first - seen.bins) * seen.width, (last + 1 - seen.bins) * seen.width
        return max(low, seen.low), min(high, seen.high)
