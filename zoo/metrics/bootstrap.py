"""COCO's average precision of images drawn with replacement, without matching them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    def of(cls, images: Sequence[dict[str, Any] | None], recalls: NDArray[np.float64], thresholds: int) -> Evaluated:
        """From what pycocotools' `evaluateImg` gave for each image of one category and size (None: no one and nothing)."""
        scores: list[float] = []
        matched, ignored = [np.zeros((thresholds, 0), bool)], [np.zeros((thresholds, 0), bool)]
        image: list[int] = []
        people = np.zeros(len(images), np.int64)
        for index, result in enumerate(images):
            if result is None:
                continue
            people[index] = np.count_nonzero(result["gtIgnore"] == 0)
            scores += result["dtScores"]
            image += [index] * len(result["dtScores"])
            matched.append(result["dtMatches"] > 0)
            ignored.append(result["dtIgnore"] > 0)
        order = np.argsort(-np.array(scores, np.float64), kind="stable")
        hits, counted = np.concatenate(matched, axis=1)[:, order], ~np.concatenate(ignored, axis=1)[:, order]
        return cls(hits & counted, ~hits & counted, np.array(image, np.int64)[order], people, recalls)


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
