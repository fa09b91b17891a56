"""Ranges that hold everything that was seen."""

from __future__ import annotations

from typing import ClassVar

from zoo.calibrators.histogram import Histogram
from zoo.record import Choice


class MinMax(Choice, frozen=True, kw_only=True, tag="minmax"):
    """From the least to the greatest value that was seen."""

    bins: ClassVar[int] = 0

    def range(self, seen: Histogram) -> tuple[float, float]:
        """(least, greatest) value of the range for a tensor of which `seen` is remembered."""
        return seen.low, seen.high
