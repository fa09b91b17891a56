"""`Dice`: everything random of a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Dice:
    """Draws that follow from `seeds` alone.

    All come from evenly distributed doubles: of NumPy's generators that is the stream which never changed."""

    def __init__(self, *seeds: int) -> None:
        self._rng = np.random.default_rng(seeds)

    def real(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return low + (high - low) * float(self._rng.random())

    def either(self, most: float) -> float:
        """A number from -`most` to `most`, rather a small one."""
        return most * (float(self._rng.random()) + float(self._rng.random()) - 1)

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(float(self._rng.random()) * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return float(self._rng.random()) < share

    def sign(self) -> int:
        """1 or -1."""
        return 1 if self.chance(0.5) else -1

    def pick(self, things: Sequence[T]) -> T:
        """One of them."""
        return things[self.whole(0, len(things) - 1)]

    def weighted(self, shares: Mapping[T, float]) -> T:
        """A key, as often as its value says."""
        left = self.real(0, sum(shares.values()))
        for thing, share in shares.items():
            left -= share
            if left < 0:
                return thing
        return next(reversed(list(shares)))

    def reals(self, *shape: int) -> NDArray[np.float32]:
        """An array of numbers from 0 to 1."""
        return self._rng.random(shape, dtype=np.float32)
