"""COCO's results: one list for all images, as its evaluation reads it, and COCO-WholeBody's keys for hands beside. People without
keypoints are COCO's detections, boxes x, y, width, height.

What of it is measured with stands in zoo/pose/coco_results.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from zoo.formats.prediction import Prediction
from zoo.pose.coco_results import box_results, coco_results, triples
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, to_coco

SUFFIX = ".json"
TOGETHER = True

HANDS = {"left_hand": "lefthand_kpts", "right_hand": "righthand_kpts"}


def write(predictions: Sequence[Prediction]) -> str:
    """The JSON text of a list with one result per person. Raises ZooError for a skeleton whose keypoints are none of COCO's.

    `image_id` is the number that a file is called by, as COCO calls its images, or else its name; its name as well where
    others are called by the same number, since evaluations would take them for one image."""
    numbers = [_number(prediction.image) for prediction in predictions]
    count = Counter(numbers)
    ids = [
        prediction.image if number is None or count[number] > 1 else number for prediction, number in zip(predictions, numbers, strict=True)
    ]
    found = [result for prediction, id in zip(predictions, ids, strict=True) for result in results(prediction, id)]
    return json.dumps(found, allow_nan=False) + "\n"


def _number(name: str) -> int | None:
    stem = PurePosixPath(name).stem
    return int(stem) if re.fullmatch("[0-9]+", stem) else None


def results(prediction: Prediction, image: int | str) -> list[dict[str, Any]]:
    """The people of one image, which is called `image`."""
    poses = _cleaned(prediction)
    if not SKELETONS[prediction.skeleton].keypoints:
        return box_results(poses, image)
    entries = coco_results(to_coco(poses, prediction.skeleton), image)
    for name, start, stop in SKELETONS[prediction.skeleton].parts:
        if name in HANDS:
            for entry, points in zip(entries, triples(poses)[:, start:stop], strict=True):
                entry[HANDS[name]] = points.ravel().tolist()
    return entries


def _cleaned(prediction: Prediction) -> Poses:
    """Without what JSON cannot say."""
    poses = prediction.poses
    keypoints = np.where(prediction.found[..., None], poses.keypoints, np.nan)
    ranks = np.asarray(poses.instance_scores, np.float64)
    return Poses(keypoints, poses.scores, poses.boxes, np.where(np.isfinite(ranks), ranks, 0.0))
