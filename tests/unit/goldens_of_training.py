"""What the code of Lightweight OpenPose makes of three images for training, as the reference data has it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.coco import annotated
from zoo.datasets.images import Images

IDS = (217285, 541055, 488673)


class Golden(NamedTuple):
    """One image, unvaried (`noaug`), or with every random number equal to 0.5 (`aug_half`)."""

    keypoint_maps: NDArray[np.float32]
    paf_maps: NDArray[np.float32]
    mask: NDArray[np.float32]
    image_shape: NDArray[np.int64]
    """channels, height, width."""
    image_stats: NDArray[np.float64]
    image_every8: NDArray[np.float32]
    """Every eighth pixel of (BGR - 128) / 256."""


def golden(assets: Path, id: int, case: str) -> Golden:
    file = np.load(assets / "goldens/pre_post/lightweight_train_targets.npz")
    return Golden(*(file[f"{id}.{case}.{name}"] for name in Golden._fields))


def about(assets: Path) -> dict[str, Any]:
    """By image id: the label that was prepared."""
    told: dict[str, Any] = json.loads((assets / "goldens/pre_post/lightweight_train_targets.json").read_text())
    return told


@cache
def coco_mini(assets: Path) -> Images:
    return annotated(assets / "coco_mini/images", assets / "coco_mini/annotations/person_keypoints_val_mini.json")


class Half(np.random.Generator):
    """Every number that is drawn evenly between 0 and 1 is 0.5."""

    def __init__(self, *_: Any) -> None:
        super().__init__(np.random.PCG64(0))

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return np.full(size, 0.5) if size else 0.5
