"""How far the poses of one variant of a model are from those of another: no annotations needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.pose.keypoints import Poses
from zoo.pose.oks import COCO_SIGMAS, oks

#: Below this (COCO's border between small and medium) a hull says more about how few keypoints were found than about a size.
SMALLEST_AREA = 32.0**2


def drift(
    reference: Sequence[Poses], other: Sequence[Poses], sigmas: Sequence[float] = COCO_SIGMAS, threshold: float = 0.5
) -> dict[str, float]:
    """What became of the people of `reference` in `other`, image by image.

    In each image pairs are made by falling OKS (area: the reference's box), each person once, down to
    `threshold`. Gives `people` (of the reference), `found` (share of them with a partner), `oks` (mean of
    the pairs), `extra` (people of `other` without a partner), `agreement`: the sum of the pairs' OKS over
    people + extra, which is 1 for equal poses and falls with every shift, loss and invention.
    The keypoints of both stand in the order of `sigmas`."""
    matched: list[float] = []
    people = others = 0
    for first, second in zip(reference, other, strict=True):
        people += len(first)
        others += len(second)
        if not len(first) or not len(second):
            continue
        sides = first.boxes[:, 2:] - first.boxes[:, :2]
        similarity = oks(first.keypoints, second.keypoints, np.maximum(sides.prod(axis=1), SMALLEST_AREA), sigmas)
        while (best := similarity.max()) > threshold:
            row, column = np.unravel_index(similarity.argmax(), similarity.shape)
            matched.append(float(best))
            similarity[row] = similarity[:, column] = 0
    extra = others - len(matched)
    everyone = people + extra
    return {
        "people": people,
        "found": len(matched) / people if people else 1.0,
        "oks": float(np.mean(matched)) if matched else 0.0,
        "extra": extra,
        "agreement": sum(matched) / everyone if everyone else 1.0,
    }
