"""COCO's average precision of images drawn with replacement, without matching them again, and how far two of them are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.metrics.matching import Matches
from zoo.metrics.paired import Paired


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The matches of every image, D detections by falling score, T thresholds of OKS."""

    hit: NDArray[np.bool_]
    """(T, D) matched with a person that counts."""
    miss: NDArray[np.bool_]
    """(T, D) matched with no one."""
    image: NDArray[np.int64]
    """(D,) which image, counted from 0."""
    people: NDArray[np.int64]
    """(I,) how many people of each image count."""
    recalls: NDArray[np.float64]
    """The recalls at which precision is read."""

    @classmethod
    def of(cls, matches: Matches) -> Evaluated:
        """From what was matched of one range of areas."""
        order = np.argsort(-matches.scores, kind="stable")
        hits, counted = matches.matched[:, order], ~matches.ignored[:, order]
        return cls(hits & counted, ~hits & counted, matches.image[order], matches.counting, matches.recalls)


def average_precision(evaluated: Evaluated, times: NDArray[np.floating]) -> float:
    """AP where image i was drawn `times[i]` times: equal to COCO's accumulation of a list in which it stands so often.

    A detection that is drawn k times stands k times in a row; precision is read only at the best point
    from a recall on, which is never inside such a row, so one step of weight k is the same. 0 where no person was drawn."""
    total = float(evaluated.people @ times)
    if not total or not len(evaluated.image):
        return 0.0
    weight = times[evaluated.image]
    hits, misses = np.cumsum(evaluated.hit * weight, axis=1), np.cumsum(evaluated.miss * weight, axis=1)
    precision = hits / (hits + misses + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
    read = [best[row, np.searchsorted(recall, evaluated.recalls)] for row, recall in enumerate(hits / total)]
    return float(np.mean(read))


def paired(one: Matches, other: Matches, seed: int = 0, samples: int = 200) -> Paired:
    """How far `one` is from `other`, by a paired bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993): as many
    images as there are are drawn with replacement, the same for both, `samples` times.

    Raises StepFailed where they have no image in common, or other people are annotated in those that they have."""
    common = np.intersect1d(one.ids, other.ids)
    if not len(common):
        raise StepFailed("the two were judged on different images: they have none in common")
    one, other = one.within(common), other.within(common)
    if not np.array_equal(one.counting, other.counting):
        raise StepFailed("the two were judged by different annotations of the same images")
    pair, count = (Evaluated.of(one), Evaluated.of(other)), len(common)

    def apart(times: NDArray[np.float64]) -> float:
        first, second = (average_precision(each, times) for each in pair)
        return first - second

    generator = np.random.default_rng(seed)
    drawn = (np.bincount(generator.integers(0, count, count), minlength=count).astype(np.float64) for _ in range(samples))
    differences = np.array([apart(times) for times in drawn])
    low, high = np.quantile(differences, (0.025, 0.975))
    error = float(np.std(differences, ddof=1))
    return Paired(
        difference=apart(np.ones(count)),
        standard_error=error,
        low=float(low),
        high=float(high),
        samples=samples,
        seed=seed,
        images=count,
    )
