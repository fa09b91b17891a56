"""From candidates and part affinity fields to limbs: how a limb is scored, and which are chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.fields import Field
from zoo.pose.decoders.limbs import Limb
from zoo.record import Record

Points = NDArray[np.float64]
Array = NDArray[np.float64]
#: Places of the ends a, b (P, 2) and even channels (P,) -> scores (P,) and which of the pairs are limbs (P,).
Score = Callable[[Points, Points, NDArray[np.intp]], tuple[Array, NDArray[np.bool_]]]
#: Pairs that are scored together: a crowd's need not be in memory at once.
TOGETHER = 1 << 14


class Connections(NamedTuple):
    """C limbs of one kind; no candidate is in two of them."""

    a: NDArray[np.intp]
    """(C,) ids"""
    b: NDArray[np.intp]
    """(C,) ids"""
    scores: NDArray[np.float64]
    """(C,) descending"""


class LimbScoring(Record, frozen=True, kw_only=True):
    """How well the part affinity field supports a limb between two candidates.

    The field is read at `samples` points from one end to the other, nearest pixel; each gives the projection on the limb's
    direction. The score is a mean of these; it must be positive, and more than `passed` of them above `threshold`.
    Sources: Lightweight OpenPose, `group_keypoints`, whose values the defaults are; pytorch-openpose, `body.py`.
    """

    samples: Annotated[int, Meta(description="Points along the limb, both ends included.", ge=2)] = 10
    threshold: Annotated[float, Meta(description="A sample counts when the projection is above this.")] = 0.05
    passed: Annotated[float, Meta(description="More than this share of the samples must count.", ge=0, lt=1)] = 0.8
    average: Annotated[
        Literal["counted", "all"], Meta(description="The score is the mean of the samples that count, or of all, those below 0 too.")
    ] = "counted"
    prior: Annotated[
        Literal["none", "half_height", "exact_half_height", "width"],
        Meta(
            description="half_height: min(h / length - 1, 0) is added, h half the height of the map, rounded down: long limbs are "
            "unlikely; exact_half_height: h is not rounded; width: h is the width of the map."
        ),
    ] = "none"

    def reach(self, height: int, width: int) -> float:
        """Limbs of maps of this size that are longer lose by `prior`; in pixels of the map."""
        reaches = {"none": math.inf, "half_height": height // 2, "exact_half_height": height / 2, "width": width}
        return float(reaches[self.prior])

    def probes(self) -> Sequence[int]:
        """The samples that are read first: a limb passes at one of them at least, or else too few of its samples do."""
        return _probes(self.samples, self.passed)

    def score(self, a: Points, b: Points, channel: NDArray[np.intp], field: Field) -> tuple[Array, NDArray[np.bool_]]:
        """a, b (P, 2) pixels x, y, channel (P,) of the field -> scores (P,) and which of the pairs are limbs (P,).

        The score of a pair that is none may be 0 instead of what it would be.
        """
        # In float32 and in the original's order of operations: the last digits decide what is above a threshold.
        start = a.astype(np.float32).T
        vector = b.astype(np.float32).T - start
        length = np.sqrt(vector[0] * vector[0] + vector[1] * vector[1])
        lines = np.concatenate([start, np.float32(1 / (self.samples - 1)) * vector, vector / (length + np.float32(1e-6))])
        with np.errstate(invalid="ignore", over="ignore"):  # fields may hold inf; a limb that reads one is none
            # most pairs of a crowd are of two people
            alive = np.flatnonzero((_along(lines, np.array(self.probes()), channel, field) > self.threshold).any(axis=-1))
            along = _along(lines[:, alive], np.arange(self.samples), channel[alive], field)
            counted = along > self.threshold
            count = counted.sum(axis=-1)
            found = along.mean(axis=-1) if self.average == "all" else np.where(counted, along, 0).sum(axis=-1) / (count + 1e-6)
            if self.prior != "none":
                reach = self.reach(field.height, field.width)
                found = found + np.minimum(reach / np.maximum(length[alive], 1e-6) - 1, 0)
            passed = np.isfinite(found) & (found > 0) & (count / self.samples > self.passed)
        scores, valid = np.zeros(len(a)), np.zeros(len(a), dtype=bool)
        scores[alive], valid[alive] = found, passed
        return scores, valid


@cache
def _probes(samples: int, passed: float) -> tuple[int, ...]:
    spare = sum(count / samples > passed for count in range(samples + 1)) - 1
    return tuple(i * samples // (spare + 2) for i in range(1, spare + 2))


def _along(lines: NDArray[np.float32], samples: NDArray[np.intp], channel: NDArray[np.intp], field: Field) -> NDArray[np.float32]:
    """lines (6, P): x and y of start, step and direction -> (P, samples) projections of the field on the direction."""
    start_x, start_y, step_x, step_y, right, down = lines[:, :, None]
    times = samples.astype(np.float32)
    x, y = (np.rint(step * times + start).astype(np.intp) for step, start in ((step_x, start_x), (step_y, start_y)))
    across, along = field.at(x, y, np.broadcast_to(channel[:, None], x.shape))
    return np.asarray(across * right + along * down)


def connect(candidates: Candidates, limbs: Sequence[Limb], score: Score) -> list[tuple[Limb, Connections]]:
    """Of each kind of limb the best pair first, then the best of those whose ends are both still free."""
    firsts, sizes = candidates.starts, np.diff(candidates.starts)
    kind_a, kind_b, channels = np.array([(limb.a, limb.b, limb.channel) for limb in limbs]).T
    ends = np.cumsum(sizes[kind_a] * sizes[kind_b])
    begins = np.concatenate([[0], ends])
    found = []
    for first in range(0, int(ends[-1]) or 1, TOGETHER):
        # Every pair of candidates that could be a limb has a number: within a kind of limb they go by b, then by a.
        pair = np.arange(first, min(first + TOGETHER, int(ends[-1])))
        kind = np.searchsorted(ends, pair, side="right")
        b, a = np.divmod(pair - begins[kind], sizes[kind_a[kind]])
        a, b = a + firsts[kind_a[kind]], b + firsts[kind_b[kind]]
        scores, valid = score(candidates.points[a], candidates.points[b], channels[kind])
        found.append((kind[valid], a[valid], b[valid], scores[valid]))
    kind, a, b, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((scores, -kind))[::-1]
    kind, scores = kind[order], scores[order]
    # a candidate may be in one limb of each kind
    first_id = kind * len(candidates)
    a, b, scores = greedy(a[order] + first_id, b[order] + first_id, scores)
    kind = a // max(len(candidates), 1)
    a, b = a - kind * len(candidates), b - kind * len(candidates)
    bounds = pairwise(np.searchsorted(kind, np.arange(len(limbs) + 1)).tolist())
    return [(limb, Connections(a[i:j], b[i:j], scores[i:j])) for limb, (i, j) in zip(limbs, bounds, strict=True)]


def greedy(a: NDArray[np.intp], b: NDArray[np.intp], scores: NDArray[np.float64]) -> Connections:
    """Of possible limbs (a, b: ids of their ends), the best first, each whose ends are both still free."""
    taken_a, taken_b, kept = set[int](), set[int](), []
    for i, (start, end) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        if start not in taken_a and end not in taken_b:
            taken_a.add(start)
            taken_b.add(end)
            kept.append(i)
    return Connections(a[kept], b[kept], scores[kept])
