"""From candidates and part affinity fields to limbs: how a limb is scored, and which are chosen."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.limbs import Limb
from zoo.pose.decoders.maps import Maps
from zoo.record import Record


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
        Literal["none", "half_height", "exact_half_height"],
        Meta(
            description="half_height: min(h / length - 1, 0) is added, h half the height of the map, rounded down: long limbs are "
            "unlikely; exact_half_height: h is not rounded."
        ),
    ] = "none"

    def score(self, a: NDArray[np.float64], b: NDArray[np.float64], field: Maps) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """a (n, 2), b (m, 2) pixels x, y of the field (H, W, 2) -> scores (m, n) and which of them are limbs (m, n)."""
        # In float32 and in the original's order of operations: the last digits decide what is above a threshold.
        start = a.astype(np.float32)[None, :, None, :]
        vector = b.astype(np.float32)[:, None, None, :] - start
        points = (np.float32(1 / (self.samples - 1)) * vector) * np.arange(self.samples, dtype=np.float32)[:, None] + start
        x, y = np.moveaxis(points.round().astype(np.intp), -1, 0)
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", over="ignore"):  # fields may hold inf; a limb that reads one is none
            along = (field[y, x] * (vector / (length + np.float32(1e-6)))).sum(axis=-1)
            counted = along > self.threshold
            count = counted.sum(axis=-1)
            scores = along.mean(axis=-1) if self.average == "all" else np.where(counted, along, 0).sum(axis=-1) / (count + 1e-6)
        if self.prior != "none":
            half = field.shape[0] // 2 if self.prior == "half_height" else field.shape[0] / 2
            scores = scores + np.minimum(half / np.maximum(length[..., 0, 0], 1e-6) - 1, 0)
        return scores, np.isfinite(scores) & (scores > 0) & (count / self.samples > self.passed)


def connect(candidates: Candidates, limb: Limb, pafs: Maps, scoring: LimbScoring) -> Connections:
    """The limbs of one kind: the best pair first, then the best of those whose ends are both still free."""
    a, b = candidates.ids(limb.a), candidates.ids(limb.b)
    scores, valid = scoring.score(candidates.points[a], candidates.points[b], pafs[:, :, limb.channel : limb.channel + 2])
    of_b, of_a = np.nonzero(valid)
    found = scores[of_b, of_a]
    order = np.argsort(found, kind="stable")[::-1]
    return greedy(a[of_a[order]], b[of_b[order]], found[order])


def greedy(a: NDArray[np.intp], b: NDArray[np.intp], scores: NDArray[np.float64]) -> Connections:
    """Of possible limbs (a, b: ids of their ends), the best first, each whose ends are both still free."""
    taken_a, taken_b, kept = set[int](), set[int](), []
    for i, (start, end) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        if start not in taken_a and end not in taken_b:
            taken_a.add(start)
            taken_b.add(end)
            kept.append(i)
    return Connections(a[kept], b[kept], scores[kept])
