"""COCO's annotation files: what stands in them, and which instances of an image a top-down network is given.

It lies below metrics and box sources because both have to mean the same instances in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.large import read_large

Part = Literal["person", "hands", "image"]


@dataclass(frozen=True, eq=False)
class Instance:
    """One annotated person or hand."""

    image: int
    """The id of its image."""
    box: NDArray[np.float64]
    """(4,) x1, y1, x2, y2 in image pixels."""
    keypoints: NDArray[np.float64]
    """(K, 3) x, y in image pixels, and v: 0 where it is not annotated, 1 hidden, 2 visible."""
    area: float
    """Square pixels of the annotation, which for a hand is its person's."""


@dataclass(frozen=True, eq=False)
class Content:
    """The images of an annotation file that were asked for, and their annotations, both in the order of the file."""

    images: list[dict[str, Any]]
    """Their ids, and width and height where the file has them."""
    raw: list[msgspec.Raw]
    """The annotations as they stand in the file, whose bytes they hold on to."""
    categories: list[dict[str, Any]]

    @property
    def annotations(self) -> Iterator[dict[str, Any]]:
        """One after the other, unchanged: all at a time take ten times the file's size."""
        return map(msgspec.json.decode, self.raw)


class _Image(msgspec.Struct, omit_defaults=True):
    id: int
    width: float | None = None
    height: float | None = None


class _Of(msgspec.Struct):
    image_id: int


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[msgspec.Raw]
    categories: list[dict[str, Any]]


def content(path: Path, image_ids: Sequence[int]) -> Content:
    """Of the images `image_ids`, what `path` holds.

    Raises StepFailed where it cannot be read, is no JSON, is not laid out as COCO's, or lacks an image."""
    asked = set(image_ids)
    if not asked:
        raise StepFailed("there are no images to score", "check --limit, and the bad images that were left out")
    try:
        file = msgspec.json.decode(read_large(path), type=_File)
        chosen = [one for one in file.annotations if msgspec.json.decode(one, type=_Of).image_id in asked]
    except OSError as error:
        raise StepFailed(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise _unread(path, error) from error
    images = [msgspec.to_builtins(image) for image in file.images if image.id in asked]
    if missing := sorted(asked - {image["id"] for image in images}):
        raise StepFailed(f"{path}: it has no image {', '.join(map(str, missing[:10]))}")
    return Content(images, chosen, file.categories)


def _unread(path: Path, error: msgspec.DecodeError) -> StepFailed:
    """The failure of a file that is no JSON, or not what COCO's layout has: that shows first where both are so."""
    try:
        msgspec.json.decode(read_large(path))
    except msgspec.DecodeError as fault:
        return StepFailed(f"{path} is not JSON: {fault}")
    return not_coco(path, error)


def not_coco(path: Path, error: Exception) -> StepFailed:
    """The failure of a file that is JSON and not what COCO's layout has."""
    return StepFailed(f"{path}: these are not COCO's keypoint annotations: {type(error).__name__} {error}")


def instances(path: Path, image_ids: Sequence[int], part: Part = "person") -> dict[int, list[Instance]]:
    """What a top-down network is given and judged by: for each of the images its instances, in the order of the file.

    As mmpose chooses them: an instance counts that is no crowd and has a keypoint that is annotated and a box with an
    extent. `person`: the box of the annotation, clipped to the centres of the first and of the last pixel where the file says
    how large the image is. `hands`: COCO-WholeBody's valid hands, of each person the left before the right, with boxes as they
    stand. `image`: as `person`, with the box of the whole image, which mmpose takes for FreiHAND.
    Raises StepFailed as `content` does, and where an annotation lacks what is needed."""
    read = content(path, image_ids)
    sizes = {image["id"]: (image.get("width"), image.get("height")) for image in read.images}
    found: dict[int, list[Instance]] = {image: [] for image in sorted(sizes)}
    try:
        for annotation in read.annotations:
            image = annotation["image_id"]
            if not annotation.get("iscrowd", 0):
                found[image] += _hands(annotation) if part == "hands" else _person(annotation, sizes[image], part)
    except (KeyError, TypeError, ValueError) as error:
        raise not_coco(path, error) from error
    return found


def _person(annotation: dict[str, Any], size: tuple[float | None, float | None], part: Part) -> list[Instance]:
    if annotation.get("num_keypoints") == 0:
        return []
    if part == "image":
        if None in size:
            raise KeyError("width, height")
        return _counted(annotation, annotation["keypoints"], np.array([0, 0, *size], np.float64))
    box = corners(annotation["bbox"])
    if None not in size:
        box = np.clip(box, 0, np.tile(np.array(size, np.float64) - 1, 2))
    return _counted(annotation, annotation["keypoints"], box)


def _hands(annotation: dict[str, Any]) -> list[Instance]:
    valid = [side for side in ("lefthand", "righthand") if annotation[f"{side}_valid"]]
    return [hand for side in valid for hand in _counted(annotation, annotation[f"{side}_kpts"], corners(annotation[f"{side}_box"]))]


def _counted(annotation: dict[str, Any], keypoints: Sequence[float], box: NDArray[np.float64]) -> list[Instance]:
    """The instance, or none where it is not one that counts."""
    points = np.array(keypoints, np.float64).reshape(-1, 3)
    if (points[:, 2] <= 0).all() or (box[2:] <= box[:2]).any():
        return []
    return [Instance(annotation["image_id"], box, points, float(annotation["area"]))]


def corners(box: Sequence[float]) -> NDArray[np.float64]:
    """COCO's x, y, width, height -> x1, y1, x2, y2."""
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], np.float64)
