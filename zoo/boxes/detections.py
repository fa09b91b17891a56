"""Boxes that others have found: a file in COCO's format of detections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.coco import Coco
from zoo.datasets.images import Images
from zoo.errors import StepFailed
from zoo.files import Digests
from zoo.large import read_large
from zoo.pose.coco_results import PERSON
from zoo.pose.keypoints import Poses
from zoo.record import Choice


class _Detection(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


class DetectionFile(Choice, frozen=True, kw_only=True, tag="detections"):
    """A detection file that a dataset of zoo.yaml names under `detections:`, as top-down networks are published with."""

    name: Annotated[str, Meta(description="which of the dataset's files", min_length=1)]
    least: Annotated[float, Meta(description="boxes of a smaller score are left out", ge=0, le=1)] = 0.0

    def read(self, dataset: Dataset, images: Images, found: Path | None, context: Context) -> dict[int, Poses]:
        """Image id -> its boxes, in the order of the file. Raises StepFailed where it cannot be read."""
        if reason := self.lacking(dataset, context):
            raise StepFailed(f"the detections are not here: {reason}")
        return boxes_in(self._path(dataset, context), images, self.least)

    def said(self, dataset: Dataset, found: Path | None, context: Context) -> Any:
        """What of it makes figures comparable."""
        return {"type": "detections", "name": self.name, "least": self.least, **self.facts(dataset, context)}

    def lacking(self, dataset: Dataset, context: Context) -> str:
        """Why it has no boxes for a dataset; empty where it has."""
        if not isinstance(dataset, Coco) or self.name not in dataset.detections:
            return f"the dataset names no detections {self.name!r}"
        try:
            path = self._path(dataset, context)
        except StepFailed as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        return "" if path.is_file() else f"no file {path} (declared as {dataset.detections[self.name]})"

    def facts(self, dataset: Dataset, context: Context) -> Mapping[str, Any]:
        """What of its files enters an action's key."""
        if self.lacking(dataset, context):
            return {"detections": "absent"}
        known = Digests(context.cache)
        digest = known.sha256(self._path(dataset, context))
        known.save()
        return {"detections": digest}

    def _path(self, dataset: Dataset, context: Context) -> Path:
        if not isinstance(dataset, Coco):
            raise StepFailed("only a dataset of type coco names detections")
        return context.path(dataset.detections[self.name])


def boxes_in(path: Path, images: Images, least: float, most: int | None = None) -> dict[int, Poses]:
    """Image id -> the people in a file of COCO detections whose score is at least `least`, of each image the first `most`.

    Raises StepFailed where it cannot be read or is no such file."""
    try:
        entries = msgspec.json.decode(read_large(path), type=list[_Detection])
    except OSError as error:
        raise StepFailed(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise StepFailed(
            f"{path}: {error}", "expected COCO's detections: a list of image_id, category_id, bbox (x, y, width, height), score"
        ) from error
    several: dict[int, list[_Detection]] = {id: [] for id in images.ids}
    for entry in entries:
        if entry.category_id == PERSON and entry.score >= least and entry.image_id in several:
            several[entry.image_id].append(entry)
    return {id: _boxes(found[:most]) for id, found in several.items()}


def _boxes(found: list[_Detection]) -> Poses:
    boxes = np.array([one.bbox for one in found], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Poses.of_boxes(boxes, np.array([one.score for one in found], np.float64))
