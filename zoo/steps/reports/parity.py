"""How far each stage of a conversion is from the one before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from zoo.machine import Machine
from zoo.record import Choice, Record
from zoo.steps.reports.base import refuse_infinite


class Comparison(Record, frozen=True, kw_only=True):
    """One output of `candidate` against the same of `reference`, over all images of a parity check."""

    reference: str
    candidate: str
    output: str
    largest: float
    """The largest absolute difference."""
    scale: float
    """The largest absolute value of the reference."""
    snr_db: float | None
    """10 log10(power of the reference / power of the difference); None where there is no difference."""
    image: str
    """The image with the largest difference."""
    where: tuple[int, ...]
    """Its index in the output."""
    expected: float
    found: float
    measure: Literal["relative", "snr"]
    """What the gate asks for: largest / scale <= limit, or snr_db >= limit."""
    limit: float
    reason: str = ""
    """Why this gate is looser than the default."""

    def __post_init__(self) -> None:
        refuse_infinite(self, "comparison")

    @property
    def relative(self) -> float:
        """The largest difference in parts of the reference's scale (0 for two outputs of zeros)."""
        if not self.largest:
            return 0.0
        return self.largest / self.scale if self.scale else math.inf

    @property
    def passed(self) -> bool:
        """Whether the difference is within the gate."""
        if self.measure == "relative":
            return self.relative <= self.limit
        return self.snr_db is None or self.snr_db >= self.limit

    @property
    def margin(self) -> float:
        """How far the figure is inside the gate: under 1 is a failure; only good for finding the worst."""
        if self.measure == "relative":
            return self.limit / self.relative if self.relative else math.inf
        # decibels are a logarithm already: 10 dB under the limit is as bad as ten times the limit's noise power
        return math.inf if self.snr_db is None else 10 ** ((self.snr_db - self.limit) / 20)

    @property
    def figure(self) -> str:
        """The gate's figure in words: `1.2e-06 of scale`, `45.1 dB`, `equal`."""
        if not self.largest:
            return "equal"
        if self.measure == "relative" or self.snr_db is None:
            return f"{self.relative:.1e} of scale" if self.scale else "not zero where zero was due"
        return f"{self.snr_db:.1f} dB"

    def __str__(self) -> str:
        sign = "at most" if self.measure == "relative" else "at least"
        limit = f"{self.limit:.0e} of scale" if self.measure == "relative" else f"{self.limit:g} dB"
        place = f"{self.output}{list(self.where)} of {self.image}"
        verdict = "" if self.passed else "FAILED: "
        return (
            f"{verdict}{self.reference} -> {self.candidate}: {self.figure} ({sign} {limit}); "
            f"farthest apart at {place}: {self.found:.6g} for {self.expected:.6g}"
        )


class Parity(Choice, frozen=True, kw_only=True, tag="parity"):
    """How far each stage of the conversion is from the one before it, on real images."""

    format: Literal[1] = 1
    comparisons: Annotated[tuple[Comparison, ...], Meta(min_length=1)]
    """In the order of the stages; the last stage is the target."""
    images: int
    machine: Machine
    computed_in: str
    digests: dict[str, str] = {}
    """Name -> digest of what was read: the artifacts and the images."""

    @property
    def passed(self) -> bool:
        """Whether every comparison is within its gate."""
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def worst(self) -> Comparison:
        """The comparison that says most: the worst of those that failed, or else of the last stage."""
        last = self.comparisons[-1].candidate
        failed = [comparison for comparison in self.comparisons if not comparison.passed]
        candidates = failed or [comparison for comparison in self.comparisons if comparison.candidate == last]
        return min(candidates, key=lambda comparison: comparison.margin)


def of_part(role: str, parity: Parity) -> Parity:
    """A parity of one network of several: outputs and what was read are told by its role, for names are unique in one alone."""
    return msgspec.structs.replace(
        parity,
        comparisons=tuple(msgspec.structs.replace(one, output=f"{role} {one.output}") for one in parity.comparisons),
        digests={f"{role}/{name}": digest for name, digest in parity.digests.items()},
    )


def chain(parities: Sequence[Parity]) -> Parity:
    """The reports of consecutive stretches as one: the comparisons of all, the target of the last."""
    return msgspec.structs.replace(
        parities[-1],
        comparisons=tuple(comparison for parity in parities for comparison in parity.comparisons),
        images=min(parity.images for parity in parities),
        digests={key: value for parity in parities for key, value in parity.digests.items()},
    )
