"""From candidates and part affinity fields to people: how limbs are scored, chosen and put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.limbs import Limb
from zoo.pose.decoders.maps import Maps
from zoo.pose.decoders.peaks import Candidates
from zoo.record import Record


@dataclass(frozen=True, eq=False)
class People:
    """N people as ids of candidates."""

    ids: NDArray[np.intp]
    """(N, K) the candidate of each keypoint, -1 for none."""
    scores: NDArray[np.float64]
    """(N,) the sum of the scores of keypoints and limbs."""
    counts: NDArray[np.intp]
    """(N,) one more than the limbs that were put together: the keypoints, less those that only filled gaps."""

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, mask: NDArray[np.bool_]) -> People:
        """Those people only, in the same order."""
        return People(self.ids[mask], self.scores[mask], self.counts[mask])


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
    direction. The score is the mean of those above `threshold`, of which there must be more than `passed`; it must be positive.
    Source: Lightweight OpenPose, `group_keypoints`.
    """

    samples: Annotated[int, Meta(description="Points along the limb, both ends included.", ge=2)] = 10
    threshold: Annotated[float, Meta(description="A sample counts when the projection is above this.")] = 0.05
    passed: Annotated[float, Meta(description="More than this share of the samples must count.", ge=0, lt=1)] = 0.8
    prior: Annotated[
        Literal["none", "half_height"],
        Meta(description="half_height: min(0.5 H / length - 1, 0) is added, H the height of the map: long limbs are unlikely."),
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
            scores = np.where(counted, along, 0).sum(axis=-1) / (count + 1e-6)
        if self.prior == "half_height":
            scores = scores + np.minimum((field.shape[0] // 2) / np.maximum(length[..., 0, 0], 1e-6) - 1, 0)
        return scores, np.isfinite(scores) & (scores > 0) & (count / self.samples > self.passed)


def connect(candidates: Candidates, limb: Limb, pafs: Maps, scoring: LimbScoring) -> Connections:
    """The limbs of one kind: the best pair first, then the best of those whose ends are both still free."""
    a, b = candidates.ids(limb.a), candidates.ids(limb.b)
    scores, valid = scoring.score(candidates.points[a], candidates.points[b], pafs[:, :, limb.channel : limb.channel + 2])
    of_b, of_a = np.nonzero(valid)
    found = scores[of_b, of_a]
    taken_a, taken_b, kept = set[int](), set[int](), []
    for i in np.argsort(found, kind="stable")[::-1]:
        if of_a[i] not in taken_a and of_b[i] not in taken_b:
            taken_a.add(of_a[i])
            taken_b.add(of_b[i])
            kept.append(i)
    return Connections(a[of_a[kept]], b[of_b[kept]], found[kept])


Assemble = Callable[[Candidates, Sequence[tuple[Limb, Connections]], int], People]


def attach(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> People:
    """Each limb goes to the person who has its start; where nobody has, it begins a new person. Two people never become one.

    Relies on limbs that form a tree (see limbs.py): so an id has one owner and a limb's connections can be placed all at once.
    Source: Lightweight OpenPose, `group_keypoints`.
    """
    ids = np.full((0, keypoints), -1, dtype=np.intp)
    scores, counts = np.zeros(0), np.zeros(0, dtype=np.intp)
    owner = np.full(len(candidates), -1, dtype=np.intp)
    for limb, (a, b, found) in connected:
        if limb.fills_gaps:
            _fill(ids, limb, a, b)
            continue
        mine = owner[a] >= 0
        person = owner[a[mine]]
        ids[person, limb.b] = b[mine]
        scores[person] += candidates.scores[b[mine]] + found[mine]
        counts[person] += 1
        new = np.full((int((~mine).sum()), keypoints), -1, dtype=np.intp)
        new[:, limb.a], new[:, limb.b] = a[~mine], b[~mine]
        owner[a[~mine]] = len(ids) + np.arange(len(new))
        owner[b] = owner[a]
        ids = np.concatenate([ids, new])
        scores = np.concatenate([scores, candidates.scores[a[~mine]] + candidates.scores[b[~mine]] + found[~mine]])
        counts = np.concatenate([counts, np.full(len(new), 2, dtype=np.intp)])
    return People(ids, scores, counts)


def _fill(ids: NDArray[np.intp], limb: Limb, a: NDArray[np.intp], b: NDArray[np.intp]) -> None:
    for start, end in zip(a, b, strict=True):
        has_start, has_end = ids[:, limb.a] == start, ids[:, limb.b] == end
        lacks_start, lacks_end = ids[:, limb.a] < 0, ids[:, limb.b] < 0
        ids[has_start & lacks_end, limb.b] = end
        ids[has_end & lacks_start, limb.a] = start


def merge(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> People:
    """Each limb goes to the person who has either end; two people become one when they share no kind of keypoint that differs.

    All limbs count alike, those that fill gaps too. Source: Open Model Zoo, `OpenPoseDecoder.update_poses`.
    """
    people: list[tuple[NDArray[np.intp], float, int]] = []
    for limb, (a, b, found) in connected:
        for start, end, score in zip(a, b, found, strict=True):
            first = max((i for i, (ids, _, _) in enumerate(people) if ids[limb.a] == start), default=-1)
            second = max((i for i, (ids, _, _) in enumerate(people) if ids[limb.b] == end), default=-1)
            if first < 0 and second < 0:
                ids = np.full(keypoints, -1, dtype=np.intp)
                ids[limb.a], ids[limb.b] = start, end
                people.append((ids, candidates.scores[start] + candidates.scores[end] + score, 2))
            elif first == second:
                ids, total, count = people[first]
                people[first] = (ids, total + score, count)
            elif first >= 0 and second >= 0:
                (ids, total, count), (others, more, further) = people[first], people[second]
                if ((ids == others) | (ids < 0) | (others < 0)).all():
                    people[first] = (np.maximum(ids, others), total + more + score, count + further)
                    del people[second]
            else:
                place, kind, new = (first, limb.b, end) if first >= 0 else (second, limb.a, start)
                ids, total, count = people[place]
                gained = candidates.scores[new] if ids[kind] < 0 else 0.0
                ids[kind] = new
                people[place] = (ids, total + gained + score, count + 1)
    if not people:
        return People(np.zeros((0, keypoints), dtype=np.intp), np.zeros(0), np.zeros(0, dtype=np.intp))
    rows, totals, counts = zip(*people, strict=True)
    return People(np.stack(rows), np.array(totals), np.array(counts))
