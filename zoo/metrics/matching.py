"""Average precision of any number of images in the memory of a few.

pycocotools matches what was found with what is annotated image by image, and needs for its precision only which detection was
matched and which is ignored. So it is given a few images at a time, those bits are kept, and its own accumulation runs over
them as if they were of one image. The figures are those of all images at once, to the last bit: matching knows no other image,
and the detections stand in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.metrics.truth import Truth, hush

#: images that are matched at a time: few enough to be nothing, enough to make pycocotools' own beginning nothing
TOGETHER = 64
#: under this name an accuracy keeps what it was judged by
NAME = "matches.npz"
EVERYTHING = 1e10
Areas = Sequence[tuple[float, float]]
Kept = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]
"""Scores, matched, ignored and places of images."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What pycocotools decided of D detections by T thresholds, for one range of areas, image by image in the order of their ids,
    in each by falling score; and how many of the annotated ones count in each of the I images."""

    ids: NDArray[np.int64]
    """(I,) of the images, rising."""
    scores: NDArray[np.float64]
    """(D,)"""
    matched: NDArray[np.bool_]
    """(T, D)"""
    ignored: NDArray[np.bool_]
    """(T, D)"""
    image: NDArray[np.int64]
    """(D,) which image, counted from 0."""
    counting: NDArray[np.int64]
    """(I,)"""
    recalls: NDArray[np.float64]
    """The recalls at which precision is read."""

    def within(self, ids: NDArray[np.int64]) -> Self:
        """The same of these images alone, which are some of its own, rising."""
        images = np.isin(self.ids, ids)
        kept, places = images[self.image], np.cumsum(images) - 1
        matched, ignored, image = self.matched[:, kept], self.ignored[:, kept], places[self.image[kept]]
        return type(self)(self.ids[images], self.scores[kept], matched, ignored, image, self.counting[images], self.recalls)

    def save(self, file: Path) -> None:
        """Write an .npz file: some ten bytes for each detection, a few for each image."""
        held: dict[str, Any] = {name: np.packbits(getattr(self, name), axis=1) for name in ("matched", "ignored")}
        held |= {name: getattr(self, name) for name in ("ids", "scores", "image", "counting", "recalls")}
        np.savez_compressed(file, **held)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote."""
        with np.load(file) as held:
            count = len(held["scores"])
            bits = {name: np.unpackbits(held[name], axis=1, count=count).astype(bool) for name in ("matched", "ignored")}
            return cls(**bits, **{name: held[name] for name in held.files if name not in bits})


class Judge:
    """The matching of one kind of things (`keypoints`, `bbox`) with the annotations of `truth`, a few images at a time."""

    def __init__(
        self,
        truth: Truth,
        kind: Literal["keypoints", "bbox"],
        category: int | None,
        most: int,
        areas: Areas,
        sigmas: Sequence[float] = (),
    ) -> None:
        """`most` detections of an image count; `areas` are ranges in square pixels; `category`: the only one, or None for the first."""
        self.ids = truth.ids
        """Of the images that are judged."""
        self._truth, self._kind, self._most, self._areas, self._sigmas = truth, kind, most, areas, sigmas
        self._category = category
        self._place = {id: place for place, id in enumerate(truth.ids)}
        self._seen = False
        self._chunks: list[list[Kept]] = [[] for _ in areas]
        self._counting = np.zeros((len(areas), len(truth.ids)), np.int64)
        self.found = 0
        """How many detections were given."""

    def add(self, ids: Sequence[int], found: Sequence[dict[str, Any]]) -> None:
        """Match all that was `found` in the images `ids`, of which none has been given before."""
        evaluation = self._evaluation(self._truth.coco(ids), self._truth.detected(found, ids))
        evaluation.params.imgIds = list(ids)
        evaluation.evaluate()
        self.found += len(found)
        images = len(evaluation.params.imgIds)
        for area, chunks in enumerate(self._chunks):
            # None: nobody is there and nobody was found
            results = [one for one in evaluation.evalImgs[area * images : (area + 1) * images] if one]
            for result in results:
                self._counting[area, self._place[int(result["image_id"])]] = np.count_nonzero(result["gtIgnore"] == 0)
            self._seen = self._seen or bool(results)
            chunks.extend(_joined([self._kept(result) for result in results if result["dtScores"]]))

    def _kept(self, result: dict[str, Any]) -> Kept:
        scores = np.array(result["dtScores"], np.float64)
        return scores, result["dtMatches"] > 0, result["dtIgnore"] > 0, np.full(len(scores), self._place[int(result["image_id"])])

    def matches(self, area: int = 0) -> Matches:
        """All that was matched so far, of the range of areas of this number."""
        blank = self._evaluation(None, None)
        nothing = np.zeros((len(blank.params.iouThrs), 0), bool)
        none: Kept = (np.zeros(0), nothing, nothing, np.zeros(0, np.int64))
        ((scores, matched, ignored, image),) = _joined([none, *self._chunks[area]])
        order = np.argsort(image, kind="stable")
        ids, recalls = np.array(self.ids, np.int64), blank.params.recThrs
        return Matches(ids, scores[order], matched[:, order], ignored[:, order], image[order], self._counting[area], recalls)

    def accumulated(self) -> Any:
        """pycocotools' evaluation, accumulated over all images that were given: one range of areas and one threshold at a time,
        since that takes several numbers for each detection."""
        whole = self._evaluation(None, None)
        parts = []
        for area in range(len(self._areas)):
            one = self.matches(area)
            parts.append([self._accumulated(one, threshold) for threshold in range(len(one.matched))])
        # (T, R, K, A, M) and (T, K, A, M)
        for name, axis in (("precision", 3), ("recall", 2)):
            rows = [np.concatenate([part[name] for part in thresholds]) for thresholds in parts]
            whole.eval[name] = np.concatenate(rows, axis=axis)
        return whole

    def _accumulated(self, one: Matches, threshold: int) -> dict[str, NDArray[np.float64]]:
        evaluation = self._evaluation(None, None)
        evaluation.params.catIds, evaluation.params.imgIds = [0], [0]
        evaluation.params.areaRng = [evaluation.params.areaRng[0]]
        evaluation.params.iouThrs = evaluation.params.iouThrs[threshold : threshold + 1]
        # of each image no more than `most` are left: of this one image all count
        evaluation.params.maxDets = [max(1, len(one.scores))]
        row = slice(threshold, threshold + 1)
        merged = {"dtScores": one.scores, "dtMatches": one.matched[row], "dtIgnore": one.ignored[row]}
        evaluation.evalImgs = [{**merged, "gtIgnore": np.zeros(int(one.counting.sum()), np.int64)} if self._seen else None]
        evaluation._paramsEval = evaluation.params
        evaluation.accumulate()
        accumulated: dict[str, NDArray[np.float64]] = evaluation.eval
        return accumulated

    def _evaluation(self, truth: Any, found: Any) -> Any:
        from pycocotools import cocoeval

        hush(cocoeval)
        evaluation = cocoeval.COCOeval(truth, found, self._kind)
        evaluation.params.catIds = [self._category] if self._category is not None else evaluation.params.catIds[:1]
        evaluation.params.maxDets = [self._most]
        evaluation.params.areaRng = [list(area) for area in self._areas]
        if self._sigmas:
            evaluation.params.kpt_oks_sigmas = np.array(self._sigmas)
        return evaluation


def _joined(pieces: Sequence[Kept]) -> list[Kept]:
    """All pieces as one, or none of none."""
    if not pieces:
        return []
    scores, matched, ignored, image = zip(*pieces, strict=True)
    return [(np.concatenate(scores), np.concatenate(matched, axis=1), np.concatenate(ignored, axis=1), np.concatenate(image))]


def together(
    ids: Sequence[int], detections: Iterable[dict[str, Any]], count: int = TOGETHER
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """All of the images `ids`, so many at a time, with the detections of each; those of other images are left out.

    A list of detections may stand in any order. Of any other iterable no more than these are held: all detections of an image have
    to follow each other there. Raises StepFailed where they do not."""
    count = count or TOGETHER
    left = dict.fromkeys(ids)
    images: list[int] = []
    held: list[dict[str, Any]] = []
    for image, found in by_image(detections):
        if image not in left:
            continue
        del left[image]
        images.append(image)
        held += found
        if len(images) == count:
            yield images, held
            images, held = [], []
    rest = [*images, *left]
    for first in range(0, len(rest), count):
        yield rest[first : first + count], held if not first else []


def by_image(detections: Iterable[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(image id, its detections in their order); see `together`."""
    if isinstance(detections, Sequence):
        several: dict[int, list[dict[str, Any]]] = {}
        for one in detections:
            several.setdefault(one["image_id"], []).append(one)
        yield from sorted(several.items(), key=itemgetter(0))
        return
    seen: set[int] = set()
    for image, found in groupby(detections, key=itemgetter("image_id")):
        if image in seen:
            raise StepFailed(f"the detections of image {image} do not follow each other", "sort them by image, or give them as a list")
        seen.add(image)
        yield image, list(found)
