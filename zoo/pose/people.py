"""How the persons of an image are scored, and who of them is the same one found twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.keypoints import Floats, Poses
from zoo.pose.oks import oks
from zoo.record import Record

Sigmas = Sequence[float] | NDArray[np.floating]
Indices = NDArray[np.intp]

SCORE = (
    "A person's score: the box's (bbox); the box's times the mean of the keypoint scores above `least` (bbox_keypoint); the sum of"
    " the box's, the mean and the greatest keypoint score (bbox_rle); the mean keypoint score (keypoint)"
)
NMS = (
    "Who is the same person twice: drop those too similar to a surer one (oks); take in turn the surest, scores falling with the"
    " similarity to those taken (soft_oks); keep all (none)"
)


class People(Record, frozen=True, kw_only=True):
    """Persons that were found one by one, each in a box of its own: their scores, and doubles dropped.

    Source: mmpose's CocoMetric (`score_mode`, `keypoint_score_thr`, `nms_mode`, `nms_thr`), whose defaults these are and which
    took bbox_keypoint with OKS-NMS from HRNet's evaluation."""

    score: Annotated[Literal["bbox", "bbox_keypoint", "bbox_rle", "keypoint"], Meta(description=SCORE)] = "bbox_keypoint"
    least: Annotated[float, Meta(description="Of bbox_keypoint: scores not above it do not count; 0 for a person who has no other")] = 0.2
    nms: Annotated[Literal["oks", "soft_oks", "none"], Meta(description=NMS)] = "oks"
    threshold: Annotated[float, Meta(description="The OKS above which oks drops; the width of soft_oks' gaussian", gt=0, le=1)] = 0.9
    most: Annotated[int, Meta(description="Of soft_oks: how many people of an image stay", ge=1)] = 20

    def of(self, keypoints: Floats, scores: Floats, boxes: Floats, box_scores: Floats, areas: Floats, sigmas: Sigmas) -> Poses:
        """The people who stay, in the original's order: by falling score, softened or not; as they came where `nms` is none.

        keypoints (N, K, 2) in image pixels with nan where absent, scores (N, K) with 0 there; boxes (N, 4) x1, y1, x2, y2 and
        box_scores (N,) of the detector; areas (N,) for the OKS in square pixels (mmpose: of the box with its padding, in the
        aspect of the crop); sigmas (K,). Which keypoints count between two persons: see `oks_nms`. soft_oks orders and
        limits; the instance scores stay those of `score`."""
        instance_scores = self._scored(scores.astype(np.float64), box_scores.astype(np.float64))
        match self.nms:
            case "oks":
                keep = oks_nms(keypoints, instance_scores, areas, sigmas, self.threshold)
            case "soft_oks":
                keep = soft_oks_nms(keypoints, instance_scores, areas, sigmas, self.threshold, self.most)
            case "none":
                keep = np.arange(len(keypoints))
        return Poses(keypoints[keep], scores[keep], boxes[keep], instance_scores[keep])

    def _scored(self, scores: NDArray[np.float64], box_scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) of scores (N, K) and box_scores (N,)."""
        scored: NDArray[np.float64]
        match self.score:
            case "bbox":
                scored = box_scores
            case "keypoint":
                scored = scores.mean(axis=1)
            case "bbox_rle":
                scored = box_scores + scores.mean(axis=1) + scores.max(axis=1)
            case "bbox_keypoint":
                counted = scores > self.least
                # added from the first to the last, as the original does: numpy's own sum takes another order and rounds otherwise
                total = np.where(counted, scores, 0).cumsum(axis=1)[:, -1]
                scored = box_scores * (total / np.maximum(counted.sum(axis=1), 1))
        return scored


def oks_nms(keypoints: Floats, scores: Floats, areas: Floats, sigmas: Sigmas, threshold: float) -> Indices:
    """Who stays, by falling score; of equal scores, who came last goes first. keypoints (N, K, 2), scores (N,), areas (N,), sigmas (K,).

    From the surest on, each drops those after it whose OKS with it is greater than `threshold`. The OKS of two persons has the
    mean of their areas, and counts the keypoints that both have: others are nan, be it that they are absent or that they are
    too unsure for the caller (`vis_thr` of the original). Without a common keypoint it is 0.
    Source: HRNet and mmpose, `oks_nms`."""
    order = np.argsort(scores, kind="stable")[::-1]
    same = _similarity(keypoints[order], areas[order], sigmas) > threshold
    alive = np.ones(len(order), np.bool_)
    for place, doubles in enumerate(same):
        if alive[place]:
            alive[place + 1 :] &= ~doubles[place + 1 :]
    return order[alive]


def soft_oks_nms(keypoints: Floats, scores: Floats, areas: Floats, sigmas: Sigmas, threshold: float, most: int) -> Indices:
    """Who stays, in the order of being taken, at most `most`; arguments and OKS as in `oks_nms`.

    The surest is taken; the scores of those left fall by exp(-OKS² / threshold) with their OKS to it; and so on. Nobody is dropped
    but by `most`. Source: Bodla et al., 2017 (Soft-NMS, gaussian), and HRNet and mmpose, `soft_oks_nms`."""
    order = np.argsort(scores, kind="stable")[::-1]
    softened = np.exp(-np.square(_similarity(keypoints, areas, sigmas)) / threshold)
    left = scores[order].astype(np.float64)
    taken: list[int] = []
    while len(order) and len(taken) < most:
        first, order = order[0], order[1:]
        taken.append(int(first))
        left = left[1:] * softened[first, order]
        # sorted anew, not searched for its maximum: each time, the original turns those of equal scores round
        again = np.argsort(left, kind="stable")[::-1]
        order, left = order[again], left[again]
    return np.array(taken, np.intp)


def _similarity(keypoints: Floats, areas: Floats, sigmas: Sigmas) -> NDArray[np.float64]:
    """(N, N) OKS of everyone with everyone; an area of 0 is possible, and only equal keypoints are similar then."""
    means = (areas[:, None] + areas) / 2 + np.spacing(1)
    return oks(keypoints, keypoints, means, sigmas, shared=True)
