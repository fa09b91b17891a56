"""How the learning rate changes. Each is declared as `schedule: {type: ...}` of `train:`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from zoo.record import Choice

Warmup = Annotated[int, Meta(description="Over so many first steps the rate rises from nothing in a straight line.", ge=0)]


class Constant(Choice, frozen=True, kw_only=True, tag="constant"):
    """The same rate throughout."""

    warmup: Warmup = 0

    def multiplier(self, step: int, per_epoch: int, total: int) -> float:
        """What the rate is multiplied by in `step` (from 0 on) of `total`, of which an epoch has `per_epoch`."""
        return _warmed(step, self.warmup)


class Steps(Choice, frozen=True, kw_only=True, tag="steps"):
    """The rate is multiplied by `factor` at each of `at`."""

    at: Annotated[tuple[int, ...], Meta(description="Where it changes, rising; counted from the first step or epoch on.", min_length=1)]
    unit: Annotated[Literal["steps", "epochs"], Meta(description="What `at` counts.")] = "steps"
    factor: Annotated[float, Meta(description="What it is multiplied by each time.", gt=0, lt=1)] = 0.1
    warmup: Warmup = 0

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in pairwise((0, *self.at))):
            raise ValueError("at: has to rise, from 1 on")

    def multiplier(self, step: int, per_epoch: int, total: int) -> float:
        """What the rate is multiplied by in `step` (from 0 on) of `total`, of which an epoch has `per_epoch`."""
        counted = step if self.unit == "steps" else step // per_epoch
        return _warmed(step, self.warmup) * self.factor ** sum(counted >= at for at in self.at)


class Cosine(Choice, frozen=True, kw_only=True, tag="cosine"):
    """The rate falls to `least` of itself along half a cosine, over all steps after `warmup` (Loshchilov and Hutter, 2017, no restarts)."""

    least: Annotated[float, Meta(description="What part of the rate is left at the end.", ge=0, lt=1)] = 0.0
    warmup: Warmup = 0

    def multiplier(self, step: int, per_epoch: int, total: int) -> float:
        """What the rate is multiplied by in `step` (from 0 on) of `total`, of which an epoch has `per_epoch`."""
        done = max(0, step - self.warmup) / max(1, total - self.warmup)
        return _warmed(step, self.warmup) * (self.least + (1 - self.least) * (1 + math.cos(math.pi * done)) / 2)


def _warmed(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / (warmup + 1))


Schedule = Constant | Steps | Cosine
