"""People as COCO's evaluation takes them: the one place where an absent keypoint becomes (0, 0).

Apart from `zoo.formats.coco`, which writes files: accuracy is measured with this, and what a file says besides must not outdate it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.pose.keypoints import Poses

PERSON = 1


def coco_results(poses: Poses, image_id: int | str) -> list[dict[str, Any]]:
    """One COCO keypoint result per person, whose 17 keypoints are in COCO's order (`skeletons.to_coco`).

    A found keypoint is (x, y, 1), an absent one (0, 0, 0), as Lightweight OpenPose writes them; pycocotools
    takes the area of a person, on which APM and APL hang, from all of these numbers, the zeros too."""
    return [
        {"image_id": image_id, "category_id": PERSON, "keypoints": person.ravel().tolist(), "score": float(score)}
        for person, score in zip(triples(poses), poses.instance_scores, strict=True)
    ]


def box_results(poses: Poses, image_id: int | str) -> list[dict[str, Any]]:
    """One COCO detection per person whose box is known, as x, y, width, height."""
    known = np.isfinite(poses.boxes).all(axis=1)
    return [
        {"image_id": image_id, "category_id": PERSON, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(score)}
        for (x1, y1, x2, y2), score in zip(poses.boxes[known].tolist(), poses.instance_scores[known], strict=True)
    ]


def triples(poses: Poses) -> NDArray[np.float64]:
    """(N, K, 3): x, y, 1, or 0, 0, 0."""
    points = np.zeros((*poses.keypoints.shape[:2], 3))
    points[..., :2] = poses.keypoints
    points[..., 2] = 1
    points[~poses.present] = 0
    return points
