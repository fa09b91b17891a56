"""Scenes in COCO's words (cocodataset.org, "Data format", object and keypoint detection)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.pose.skeletons import SKELETONS
from zoo.pose.stick_people.scene import CROWD, Scene

#: COCO's own, keypoints counted from 1
SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10)),
    *((9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
CATEGORY: Mapping[str, Any] = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(SKELETONS["coco_17"].keypoints),
    "skeleton": [list(bone) for bone in SKELETON],
}


def coco_annotations(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """The annotations of a scene, without their ids: one for everybody of whom a pixel is seen, then the crowd's."""
    found = []
    for number, person in enumerate(scene.people, 1):
        region = _region(scene.owners == number)
        if region:
            keypoints = [round(value, 2) if axis < 2 else int(value) for row in person.keypoints.tolist() for axis, value in enumerate(row)]
            count = int((person.keypoints[:, 2] > 0).sum())
            found.append({**region, "keypoints": keypoints, "num_keypoints": count, "iscrowd": 0})
    if scene.crowd and (region := _region(scene.owners == CROWD)):
        found.append({**region, "keypoints": [0] * 51, "num_keypoints": 0, "iscrowd": 1})
    return [{**one, "image_id": image_id, "category_id": 1} for one in found]


def _region(mask: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Outline, area and box of the pixels of (H, W) `mask`; None where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    x, y = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"counts": runs(mask), "size": list(mask.shape)},
        "area": int(mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
    }


def runs(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's run lengths of (H, W) `mask`, column by column: of pixels that are not in it, that are, that are not, ..."""
    flat = mask.T.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else list(lengths)
