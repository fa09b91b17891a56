"""The masks of a dataset: read where they were written beside the images, drawn where they were not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np

from zoo.datasets.images import BadAnnotations, Images, Sample
from zoo.files import digest_file
from zoo.journal import Journal
from zoo.large import read_large
from zoo.record import Record
from zoo.training.masks import Annotation, Chosen, Ignore, Mask, drawn

JOURNAL = "masks.jsonl"
"""Beside written masks: what they were made of, and then of each image that is done its id and how many pixels are not scored."""
MADE = "made of"
"""The name of the journal's first line."""


class _Unread(Annotation, kw_only=True):
    """An annotation of a file, of which only what is small has been read."""

    image_id: int
    keypoints: msgspec.Raw = msgspec.Raw()
    segmentation: msgspec.Raw = msgspec.Raw()
    bbox: msgspec.Raw = msgspec.Raw()


class _Listed(msgspec.Struct):
    id: int
    width: float | None = None
    height: float | None = None


class _File(msgspec.Struct):
    images: list[_Listed]
    annotations: list[_Unread]


@dataclass(frozen=True)
class Shown:
    """What an annotation file says of one image: its height and width, where it has them, and its annotations, in order."""

    id: int
    height: int | None
    width: int | None
    annotations: list[Annotation]


def shown(images: Images) -> Iterator[Shown]:
    """The images of a dataset with what its annotation file says of them, in the order of their ids.

    Raises `BadAnnotations` where the file is not laid out as COCO's, or there is none."""
    file, asked = images.annotations, set(images.ids)
    if file is None:
        raise BadAnnotations("these images have no annotations: nobody says what of them is not scored")
    try:
        content = msgspec.json.decode(read_large(file), type=_File)
    except OSError as error:
        raise BadAnnotations(f"{file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadAnnotations(f"{file}: these are not COCO's annotations: {error}") from error
    people: dict[int, list[Annotation]] = {}
    for one in content.annotations:
        if one.image_id in asked:
            people.setdefault(one.image_id, []).append(one)
    for image in sorted(content.images, key=lambda one: one.id):
        if image.id in asked:
            yield Shown(image.id, _whole(image.height), _whole(image.width), people.get(image.id, []))


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and number.is_integer() else None


def within(error: BadAnnotations, file: Path | None) -> BadAnnotations:
    """`error` with the file that the annotation stands in."""
    return BadAnnotations(f"{file}: {error.message}", error.hint)


class Made(Record, frozen=True, kw_only=True):
    """What written masks were made of."""

    ignore: Ignore
    annotations: str
    """The sha256 of the annotation file."""


def folder_of(images: Images) -> Path:
    """The folder of the images: what their names are relative to."""
    first = images.samples[0]
    return first.path.parents[len(PurePath(first.name).parts) - 1]


def called(images: Path) -> str:
    """The folder of the masks for the folder `images`: ignore_mask_train of train2017, as MindSpore's OpenPose lays them out."""
    return f"ignore_mask_{images.name.rstrip('0123456789') or images.name}"


def mask_file(folder: Path, image: int) -> Path:
    """The file of an image's mask: 0 and 255, of the image's size; it is there only where something is not scored."""
    return folder / f"{image:012d}.png"


def made_of(folder: Path) -> Made | None:
    """What the masks in `folder` were made of; None where `zoo masks` has not written there."""
    for name, value in Journal(folder / JOURNAL):
        return msgspec.convert(value, Made) if name == MADE else None
    return None


class Masks:
    """The masks of a dataset's images. Those beside the images are read where they were written by the same rule and of the same
    annotations (those of other tools are taken for MindSpore's, whose rule is known), and the others are drawn."""

    def __init__(self, ignore: Ignore, images: Images) -> None:
        """Reads the annotations, and looks at each region that will be drawn.

        Raises `BadAnnotations`, with file and annotation, at the first one that is malformed."""
        self._file = images.annotations
        self._chosen: dict[int, list[Chosen]] = {}
        for image in shown(images) if ignore.rule != "nothing" else ():
            try:
                chosen = ignore.chosen(image.annotations)
                if image.height and image.width:
                    for one in chosen:
                        one.drawable(image.height, image.width)
            except BadAnnotations as error:
                raise within(error, self._file) from error
            if chosen:
                self._chosen[image.id] = [replace(one, annotation=_kept(one.annotation)) for one in chosen]
        folder = folder_of(images).parent / called(folder_of(images)) if self._chosen else None
        self._folder = folder if folder and self._fits(ignore, folder) else None

    def mask_of(self, sample: Sample, height: int, width: int) -> Mask:
        """(H, W), True where the image `sample`, which is of that size, is not scored.

        Raises `BadAnnotations` where its annotations are of an image of another size."""
        if sample.id not in self._chosen:
            return np.zeros((height, width), np.bool_)
        written = _read(mask_file(self._folder, sample.id)) if self._folder else None
        if written is not None and written.shape == (height, width):
            return written
        try:
            return drawn(self._chosen[sample.id], height, width)
        except BadAnnotations as error:
            raise within(error, self._file) from error

    def _fits(self, ignore: Ignore, folder: Path) -> bool:
        """Whether masks that lie in `folder` are those that would be drawn."""
        if self._file is None or not folder.is_dir():
            return False
        made = made_of(folder)
        if made is None:
            return ignore == Ignore(rule="crowds_and_poor")
        return made == Made(ignore=ignore, annotations=digest_file(self._file))


def _kept(one: Annotation) -> Annotation:
    """The annotation for as long as training goes on, without the file that it was read in."""
    return Annotation(one.id, iscrowd=one.iscrowd, segmentation=_copied(one.segmentation), bbox=_copied(one.bbox))


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, msgspec.Raw) else value


def _read(path: Path) -> Mask | None:
    """A written mask; None where there is none, or no image."""
    import cv2

    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except cv2.error:
        return None
    return None if image is None else image >= 128
