"""Poses as COCO results: the one place where an absent keypoint becomes (0, 0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.pose.keypoints import Poses

PERSON = 1


def coco_results(poses: Poses, image_id: int, order: Sequence[int] | None = None, offset: float = 0.0) -> list[dict[str, Any]]:
    """One COCO keypoint result per person.

    `order[i]` is the place of COCO's keypoint i among the keypoints of `poses` (None: they are in COCO's
    order already). `offset` is added to x and y: 0.5 where a protocol counts from the corner of the first
    pixel. A found keypoint is (x, y, 1), an absent one (0, 0, 0), as Lightweight OpenPose writes them; pycocotools
    takes the area of a person, on which APM and APL hang, from all of these numbers, the zeros too."""
    chosen = poses if order is None else poses.reordered(list(order))
    points = np.zeros((*chosen.keypoints.shape[:2], 3))
    points[..., :2] = chosen.keypoints + offset
    points[..., 2] = 1
    points[~chosen.present] = 0
    return [
        {"image_id": image_id, "category_id": PERSON, "keypoints": person.ravel().tolist(), "score": float(score)}
        for person, score in zip(points, chosen.instance_scores, strict=True)
    ]
