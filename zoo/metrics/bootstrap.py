"""COCO's average precision of images drawn with replacement, without matching them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.metrics.matching import Matches


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


def resampled(a: Evaluated, b: Evaluated, seed: int, samples: int) -> NDArray[np.float64]:
    """(samples,) AP of `a` minus AP of `b`, each time on the same images, drawn with replacement."""
    generator = np.random.default_rng(seed)
    images = len(a.people)
    differences = np.zeros(samples)
    for index in range(samples):
        times = np.bincount(generator.integers(0, images, images), minlength=images).astype(np.float64)
        differences[index] = average_precision(a, times) - average_precision(b, times)
    return differences
