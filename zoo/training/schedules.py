"""How the learning rate changes. Each is declared as `schedule: {type: ...}` of `train:`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.record import Choice

Warmup = Annotated[int, Meta(description="Over so many first steps the rate rises from nothing in a straight line.", ge=0)]


class Constant(Choice, frozen=True, kw_only=True, tag="constant"):
    """The same rate throughout."""

    warmup: Warmup = 0


class Steps(Choice, frozen=True, kw_only=True, tag="steps"):
    """The rate is multiplied by `factor` at each of `at`."""

    at: Annotated[tuple[int, ...], Meta(description="Where it changes, rising; counted from the first step or epoch on.", min_length=1)]
    unit: Annotated[Literal["steps", "epochs"], Meta(description="What `at` counts.")] = "steps"
    factor: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    warmup: Warmup = 0


class Cosine(Choice, frozen=True, kw_only=True, tag="cosine"):
    """The rate falls to `least` of itself along half a cosine, over all steps (Loshchilov and Hutter, 2017, without restarts)."""

    least: Annotated[float, Meta(description="What part of the rate is left at the end.", ge=0, lt=1)] = 0.0
    warmup: Warmup = 0


Schedule = Constant | Steps | Cosine
