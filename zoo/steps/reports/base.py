"""What all reports have in common: the figures of others, a cell without a figure, and how a report is written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from zoo.record import Choice, Record


class Published(Record, frozen=True, kw_only=True):
    """A figure that others state, with what it was measured in."""

    metric: Annotated[str, Meta(description="what was measured: AP, AP50, AR, images/s ...", min_length=1)]
    value: Annotated[float, Meta(description="the figure; AP and its kin from 0 to 1")]
    protocol: Annotated[str, Meta(description="images, boxes, scales, flip: in words", min_length=1)]
    source: Annotated[str, Meta(description="where it stands", min_length=1)]


class Failure(Choice, frozen=True, kw_only=True, tag="failure"):
    """A cell that could not be measured."""

    word: Annotated[str, Meta(min_length=1)]
    """Why, in a word or two, for the cell: "unreachable", "no GPU", "not run"."""
    message: str
    """Why, in a sentence, for below the table; empty where the row's note says it."""
    dataset: str = ""
    """Of an accuracy: the name of the dataset that it would have been measured on."""
    fingerprint: str = ""
    """Of an accuracy: that of its protocol, where it is known."""
    batch: int = 0
    """Of a latency: the images a call that it would have been timed at, where it is known."""
    protocols: tuple[str, ...] = ()
    """Of an end-to-end rate: the names of those whose way of making poses it would have been."""


def pretty(value: Any) -> bytes:
    """Indented JSON with sorted keys and a newline at the end: the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def refuse_infinite(record: Record, what: str) -> None:
    """JSON would turn nan and infinity into null without a word."""
    for name, value in msgspec.structs.asdict(record).items():
        numbers: Mapping[str, Any] = value if isinstance(value, dict) and name == "figures" else {name: value}
        for key, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{what}: {key} is {number}, which is not a figure")
