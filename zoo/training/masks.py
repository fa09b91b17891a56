"""What is not scored: the regions of an image whose people are not annotated one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.datasets.images import BadAnnotations
from zoo.record import Record
from zoo.training.segmentations import Drawable, covered, drawable

Mask = NDArray[np.bool_]
"""(H, W) of an image, True where a pixel is not scored."""
NONE = (b"", b"null", b"[]")
"""The JSON of a segmentation or a box that is not there."""


class Annotation(msgspec.Struct):
    """What of an annotation says whether it is scored, and where it is. What is Any may still be JSON (`msgspec.Raw`)."""

    id: int
    iscrowd: int | bool = 0
    num_keypoints: int | None = None
    keypoints: Any = ()
    area: float | None = None
    segmentation: Any = None
    bbox: Any = None


class Ignore(Record, frozen=True, kw_only=True):
    """Whose pixels do not enter the loss."""

    rule: Annotated[
        Literal["crowds", "crowds_and_poor", "nothing"],
        Meta(
            description="crowds: of crowds, as Lightweight OpenPose has it; crowds_and_poor: of crowds, less who was annotated before "
            "them, and of people with few keypoints or a small area, as MindSpore's OpenPose has it."
        ),
    ] = "crowds"
    min_keypoints: Annotated[int, Meta(description="Fewer are few.", ge=0)] = 5
    min_area: Annotated[float, Meta(description="This much or less is small, in square pixels of the image.", ge=0)] = 1024.0

    def ignored(self, annotations: Sequence[Mapping[str, Any]], height: int, width: int) -> Mask:
        """(H, W), True where a pixel of the image is not scored.

        `annotations`: those of the image as COCO's file has them, and in its order: a crowd loses the pixels of whoever was annotated
        before it, and of nobody after. Who has no segmentation covers their box.
        Raises `BadAnnotations` with the id of an annotation that matters and whose segmentation is malformed or of another size.
        Sources: the mask generator of MindSpore's OpenPose (`crowds_and_poor`), Lightweight OpenPose's dataset (`crowds`)."""
        try:
            read = [msgspec.convert({"id": 0, **one}, Annotation) for one in annotations]
        except msgspec.ValidationError as error:
            raise BadAnnotations(f"these are not COCO's annotations: {error}") from error
        return drawn(self.chosen(read), height, width)

    def chosen(self, annotations: Sequence[Annotation]) -> list[Chosen]:
        """Whose regions have to be drawn, in the order of `annotations`; nobody's where nothing of the image is ignored."""
        if self.rule == "nothing":
            return []
        crowds = [index for index, one in enumerate(annotations) if one.iscrowd]
        last = crowds[-1] if crowds and self.rule == "crowds_and_poor" else -1
        found = [Chosen(one, bool(one.iscrowd) or self._poor(one), index < last) for index, one in enumerate(annotations)]
        return [one for one in found if one.ignored or one.covers]

    def _poor(self, one: Annotation) -> bool:
        return self.rule == "crowds_and_poor" and (_keypoints(one) < self.min_keypoints or _area(one) <= self.min_area)


@dataclass(frozen=True)
class Chosen:
    """An annotation whose region matters."""

    annotation: Annotation
    ignored: bool
    """Its pixels are not scored."""
    covers: bool
    """A crowd is annotated after it, and loses these pixels."""

    def drawable(self, height: int, width: int) -> Drawable:
        """Its region in an image of that size. Raises `BadAnnotations` with its id where that is malformed."""
        one = self.annotation
        if _absent(one.segmentation):
            return _box(one, height, width)
        try:
            return drawable(one.segmentation, height, width)
        except ValueError as error:
            raise BadAnnotations(f"annotation {one.id}: its segmentation {error}") from error


def drawn(chosen: Sequence[Chosen], height: int, width: int) -> Mask:
    """The mask of those regions; raises as `Chosen.drawable`."""
    # by columns, as regions come: rows would take each operation several times as long
    mask = np.zeros((width, height), np.bool_).T
    seen = np.zeros_like(mask)
    for one in chosen:
        region = covered(one.drawable(height, width), height, width)
        if one.ignored and one.annotation.iscrowd:
            mask |= region & ~seen
        elif one.ignored:
            mask |= region
        if one.covers:
            seen |= region
    return np.ascontiguousarray(mask)


def _absent(value: Any) -> bool:
    return bytes(value) in NONE if isinstance(value, msgspec.Raw) else not value


def _read(value: Any) -> Any:
    return (None if _absent(value) else msgspec.json.decode(value)) if isinstance(value, msgspec.Raw) else value


def _keypoints(one: Annotation) -> int:
    if one.num_keypoints is not None:
        return one.num_keypoints
    try:
        return sum(seen > 0 for seen in (_read(one.keypoints) or ())[2::3])
    except TypeError as error:
        raise BadAnnotations(f"annotation {one.id}: its keypoints are no list of numbers") from error


def _area(one: Annotation) -> float:
    if one.area is None:
        raise BadAnnotations(f"annotation {one.id} has no area", "it says whether the person is small; the rule `crowds` needs none")
    return one.area


def _box(one: Annotation, height: int, width: int) -> Drawable:
    """The box of an annotation without a segmentation, as a polygon."""
    try:
        x, y, wide, high = msgspec.convert(_read(one.bbox), tuple[float, float, float, float])
        return drawable([[x, y, x + wide, y, x + wide, y + high, x, y + high]], height, width)
    except ValueError as error:
        raise BadAnnotations(f"annotation {one.id} has no segmentation, and no box of this image either: {error}") from error
