"""The table of the whole ways from files to poses that `zoo bench --end-to-end` has timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.board.results import Result

HEADER = (
    "model", "target", "computed in", "protocol", "images/s, whole way from files to poses", "images/s, network alone on the same tensors",
    "whole way / network alone", "layout, whole way", "layout, network alone", "images", "rounds", "noise",
)  # fmt: skip
RIGHT = (4, 5, 6, 9, 10)
"""The places of figures."""


def lines(results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """A line under HEADER for each way in which a model makes poses of images."""
    from zoo.board.columns import NOTHING, number, percent
    from zoo.steps.reports import Failure

    for result in results:
        for way in result.end_to_end:
            name = (result.title, result.target)
            if isinstance(way, Failure):
                yield (*name, NOTHING, ", ".join(way.protocols), way.word, *[NOTHING] * 7)
                continue
            alone = NOTHING if way.network_images_per_second is None else number(way.network_images_per_second)
            yield (
                *name, way.computed_in, ", ".join(way.protocols), number(way.images_per_second), alone,
                NOTHING if way.share is None else percent(way.share), way.layout, way.network_layout or NOTHING, str(way.images),
                str(len(way.rounds)), "; ".join(way.noise) or "quiet",
            )  # fmt: skip


def reasons(results: Sequence[Result]) -> list[str]:
    """Why ways were not timed, a sentence each."""
    from zoo.steps.reports import Failure

    failed = ((result, way) for result in results for way in result.end_to_end if isinstance(way, Failure) and way.message)
    lines = (f"{result.title} on {result.target}: {way.word}: {' '.join(way.message.split()).rstrip('.')}." for result, way in failed)
    return list(dict.fromkeys(lines))
