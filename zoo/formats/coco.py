"""COCO's results: one list for all images, as its evaluation reads it, and COCO-WholeBody's keys for hands beside.

This is the one place where an absent keypoint becomes (0, 0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.formats.prediction import Prediction
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, to_coco

SUFFIX = ".json"
TOGETHER = True

PERSON = 1
HANDS = {"left_hand": "lefthand_kpts", "right_hand": "righthand_kpts"}


def write(predictions: Sequence[Prediction]) -> str:
    """The JSON text of a list with one result per person. Raises ZooError for a skeleton that has none of COCO's keypoints."""
    return json.dumps([result for prediction in predictions for result in results(prediction)], allow_nan=False) + "\n"


def results(prediction: Prediction) -> list[dict[str, Any]]:
    """The people of one image. `image_id` is the number that the file is called by, as COCO calls its images, or else its name."""
    stem = PurePosixPath(prediction.image).stem
    image = int(stem) if re.fullmatch("[0-9]+", stem) else prediction.image
    poses = _cleaned(prediction)
    entries = coco_results(to_coco(poses, prediction.skeleton), image)
    for name, start, stop in SKELETONS[prediction.skeleton].parts:
        if name in HANDS:
            for entry, points in zip(entries, _triples(poses)[:, start:stop], strict=True):
                entry[HANDS[name]] = points.ravel().tolist()
    return entries


def coco_results(poses: Poses, image_id: int | str, order: Sequence[int] | None = None, offset: float = 0.0) -> list[dict[str, Any]]:
    """One COCO keypoint result per person.

    `order[i]` is the place of COCO's keypoint i among the keypoints of `poses` (None: they are in COCO's
    order already). `offset` is added to x and y: 0.5 where a protocol counts from the corner of the first
    pixel. A found keypoint is (x, y, 1), an absent one (0, 0, 0), as Lightweight OpenPose writes them; pycocotools
    takes the area of a person, on which APM and APL hang, from all of these numbers, the zeros too."""
    chosen = poses if order is None else poses.reordered(list(order))
    return [
        {"image_id": image_id, "category_id": PERSON, "keypoints": person.ravel().tolist(), "score": float(score)}
        for person, score in zip(_triples(chosen, offset), chosen.instance_scores, strict=True)
    ]


def _triples(poses: Poses, offset: float = 0.0) -> NDArray[np.float64]:
    """(N, K, 3): x, y, 1, or 0, 0, 0."""
    points = np.zeros((*poses.keypoints.shape[:2], 3))
    points[..., :2] = poses.keypoints + offset
    points[..., 2] = 1
    points[~poses.present] = 0
    return points


def _cleaned(prediction: Prediction) -> Poses:
    """Without what JSON cannot say."""
    poses = prediction.poses
    keypoints = np.where(prediction.found[..., None], poses.keypoints, np.nan)
    ranks = np.asarray(poses.instance_scores, np.float64)
    return Poses(keypoints, poses.scores, poses.boxes, np.where(np.isfinite(ranks), ranks, 0.0))
