"""What an evaluation found, how far it is from another on the same images, and what it could find at most."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from zoo.machine import Machine
from zoo.metrics.paired import Paired
from zoo.record import Choice, Record, canonical, fingerprint
from zoo.steps.reports.base import refuse_infinite


class Data(Record, frozen=True, kw_only=True):
    """A dataset as it was evaluated."""

    name: str
    title: str
    digest: str
    """Of the images and labels that were used."""
    subset: str = "all"
    """Which of its images, in words."""
    demonstration: bool = False
    """Too small to compare models with: its table says so."""
    drawn: bool = False
    """Its people are drawn figures: its table says so."""


class Shortfall(Record, frozen=True, kw_only=True):
    """A figure under what the recipe promises."""

    metric: str
    value: float
    least: float


class Accuracy(Choice, frozen=True, kw_only=True, tag="accuracy"):
    """What one evaluation found, and everything that its figures mean."""

    format: Literal[1] = 1
    figures: dict[str, float | None]
    """The metric's own; None where the dataset has nothing of that kind (pycocotools says -1)."""
    ranked_by: str = "AP"
    """The one of them by which rows are ranked, the greatest first."""
    title: str
    """The protocol in words."""
    protocol: dict[str, Any]
    """Everything that would make the figures others: subset, boxes, flip, scales, fit, decoder, evaluator."""
    fingerprint: str = ""
    """The sha256 of the protocol; filled in when the report is made, refused when it is another's."""
    dataset: Data
    images: int
    """Evaluated; those that were skipped are not among them."""
    skipped: tuple[str, ...] = ()
    """Bad images that `--skip-bad-images` passed over."""
    detections: int
    shortfalls: tuple[Shortfall, ...] = ()
    machine: Machine
    computed_in: str
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        refuse_infinite(self, "accuracy")
        right = fingerprint(self.protocol)
        if self.fingerprint not in ("", right):
            raise ValueError(f"the fingerprint {self.fingerprint[:12]} is not that of the protocol ({right[:12]})")
        # as plain data, so that a report equals itself read back
        msgspec.structs.force_setattr(self, "protocol", msgspec.json.decode(canonical(self.protocol)))
        msgspec.structs.force_setattr(self, "fingerprint", right)


class Difference(Paired, frozen=True, kw_only=True, tag_field="type", tag="difference"):
    """How far a protocol's figure is from another's on the same images."""

    format: Literal[1] = 1
    figure: str = "AP"
    protocol: str
    """The name of the one, and ..."""
    fingerprint: str
    """... its sha256, as its accuracy has it."""
    against: str
    """The name of the other, and ..."""
    against_title: str
    """... what it is in words."""
    dataset: Data
    apart: int = 0
    """Images that only one was judged on: they are left out."""
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        refuse_infinite(self, "difference")


class Ceiling(Choice, frozen=True, kw_only=True, tag="ceiling"):
    """What a protocol's decoder makes of perfect targets: the figures of a network that says exactly what it is trained to say."""

    format: Literal[1] = 1
    figures: dict[str, float | None]
    """The metric's own, as those of the accuracies beside which it stands."""
    protocol: str
    """The name of the protocol."""
    dataset: Data
    targets: dict[str, Any]
    """How they are drawn."""
    detections: int

    def __post_init__(self) -> None:
        refuse_infinite(self, "ceiling")
