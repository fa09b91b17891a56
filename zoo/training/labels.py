"""Who is learnt from: people of COCO's annotations, in the order of keypoints that a network speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.annotations import content
from zoo.datasets.images import BadAnnotations, Images, Sample
from zoo.pose.skeletons import SKELETONS
from zoo.record import Record

_COCO = SKELETONS["coco_17"].keypoints
_SHOULDERS = [_COCO.index("left_shoulder"), _COCO.index("right_shoulder")]
#: where each keypoint of `openpose_18` stands in COCO's with the neck behind them
_ORDER = [(*_COCO, "neck").index(name) for name in SKELETONS["openpose_18"].keypoints]
#: how many of what is at fault are named
_NAMED = 10


@dataclass(frozen=True, eq=False)
class Scene:
    """An image that is learnt from, and everyone in it who has an annotated keypoint, P people in the order of the file."""

    sample: Sample
    size: tuple[int, int]
    """(width, height) of the image, as the annotations have it."""
    people: NDArray[np.float64]
    """(P, 18, 3) x, y in image pixels and v as COCO has it, in the order of `openpose_18`: 0 not annotated, 1 hidden, 2 visible."""
    boxes: NDArray[np.float64]
    """(P, 4) x1, y1, x2, y2 of the annotations in image pixels."""
    counting: tuple[int, ...]
    """Those of them who count, one at least."""
    centres: tuple[tuple[int, ...], ...]
    """An example each, one at least: those who count and of whom one has the crop drawn around them."""


class Labels(Record, frozen=True, kw_only=True):
    """Which people make an example, and what an example is. The defaults are Lightweight OpenPose's; MindSpore's OpenPose has
    `per: image`, `learnt: counting`."""

    per: Annotated[
        Literal["person", "image"],
        Meta(
            description="person: an example for each person that counts, the crop around them; image: one an image, the crop around "
            "someone who counts, drawn anew each time."
        ),
    ] = "person"
    learnt: Annotated[
        Literal["annotated", "counting"],
        Meta(description="Whose keypoints the network is to find: everyone's who has one, or of those alone who count."),
    ] = "annotated"
    min_keypoints: Annotated[int, Meta(description="A person counts who has at least so many annotated keypoints.", ge=1)] = 5
    min_area: Annotated[float, Meta(description="... and whose annotation has at least so many square pixels of the image.", ge=0)] = 1024.0
    apart: Annotated[
        float,
        Meta(
            description="person: nobody makes an example whose box's middle is nearer to that of one who has, before them in the file, "
            "than so many widths of that one's box.",
            ge=0,
        ),
    ] = 0.3

    def scenes(self, images: Images) -> list[Scene]:
        """The images in which somebody counts, in the order of `images`, ready to be learnt from.

        What is kept of the annotation file are the keypoints and boxes. Raises BadAnnotations with everything that is at fault:
        people without keypoints, categories without COCO's keypoints or a skeleton, images that are not there; or where nobody
        counts. Raises StepFailed where the file cannot be read."""
        if images.annotations is None:
            raise BadAnnotations("a dataset without annotations cannot be learnt from", "name one of the type coco")
        file = content(images.annotations, images.ids)
        raws: dict[int, list[msgspec.Raw]] = {}
        for raw in file.raw:
            raws.setdefault(msgspec.json.decode(raw, type=_Of).image_id, []).append(raw)
        sizes = {image["id"]: (image.get("width"), image.get("height")) for image in file.images}
        faults, scenes, categories = _Faults(), list[Scene](), set[int]()
        people, few, small = 0, 0, 0
        # image by image: the numbers of all of COCO at a time would take half a gigabyte
        for sample in images.samples:
            annotations = [one for raw in raws.get(sample.id, ()) if (one := _read(raw, faults))]
            categories.update(one.category_id for one in annotations)
            persons = [one for one in annotations if not one.iscrowd]
            people += len(persons)
            few += sum(one.seen < self.min_keypoints for one in persons)
            small += sum(one.area < self.min_area for one in persons)
            if not any(self._counts(one) for one in persons):
                continue
            width, height = sizes[sample.id]
            if width is None or height is None:
                faults.add("images without width and height", sample.name)
            elif not sample.path.is_file():
                faults.add(f"images that are not in {sample.path.parent}", sample.name)
            else:
                scenes.append(self._scene(sample, (int(width), int(height)), persons))
        _check(file.categories, categories, faults)
        faults.settle(images.annotations)
        if not scenes:
            reasons = f"{few} have fewer than {self.min_keypoints} keypoints, {small} less than {self.min_area:g} square pixels"
            raise BadAnnotations(f"{images.annotations}: nobody counts of {people} people: {reasons}", "ask for less of `labels`")
        return scenes

    def _scene(self, sample: Sample, size: tuple[int, int], persons: Sequence[_Person]) -> Scene:
        shown = [one for one in persons if (self._counts(one) if self.learnt == "counting" else one.seen)]
        boxes = np.array([one.bbox for one in shown], np.float64)
        boxes[:, 2:] += boxes[:, :2]
        counting = tuple(index for index, one in enumerate(shown) if self._counts(one))
        centres = self._apart(counting, boxes) if self.per == "person" else (counting,)
        people = openpose(np.array([one.keypoints for one in shown], np.float64).reshape(len(shown), -1, 3), size)
        return Scene(sample, size, people, boxes, counting, centres)

    def _counts(self, one: _Person) -> bool:
        return one.seen >= self.min_keypoints and one.area >= self.min_area and min(one.bbox[2:]) > 0

    def _apart(self, counting: Sequence[int], boxes: NDArray[np.float64]) -> tuple[tuple[int, ...], ...]:
        """An example for each of those who count, but for who is near to one who has one."""
        middle, width = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2] - boxes[:, 0]
        taken: list[int] = []
        for index in counting:
            if all(np.linalg.norm(middle[index] - middle[other]) >= self.apart * width[other] for other in taken):
                taken.append(index)
        return tuple((index,) for index in taken)


def openpose(keypoints: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """COCO's keypoints (P, 17, 3) in an image of (width, height) pixels -> (P, 18, 3) in the order of `openpose_18`.

    As Lightweight OpenPose has it: what lies outside of the image is not annotated either; the neck is the middle of the shoulders, not
    annotated where one of them is not, and visible where both are."""
    points = keypoints.copy()
    points[((points[..., :2] < 0) | (points[..., :2] >= size)).any(axis=-1), 2] = 0
    shoulders = points[:, _SHOULDERS]
    neck = np.concatenate([shoulders[..., :2].mean(axis=1), shoulders[..., 2].min(axis=1, keepdims=True)], axis=1)
    return np.concatenate([points, neck[:, None]], axis=1)[:, _ORDER]


class _Of(msgspec.Struct):
    image_id: int


class _Person(msgspec.Struct, kw_only=True):
    """What is read of an annotation; the decoder skips the rest."""

    id: int = 0
    category_id: int
    area: float
    bbox: tuple[float, float, float, float]
    iscrowd: int | bool = 0
    keypoints: list[float] = []

    @property
    def seen(self) -> int:
        """How many keypoints are annotated."""
        return sum(v > 0 for v in self.keypoints[2::3])


class _Faults:
    """What is wrong with a dataset, to be told all at once."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, what: str, name: object) -> None:
        self.found.setdefault(what, []).append(str(name))

    def settle(self, path: Path) -> None:
        """Raise BadAnnotations if anything is wrong."""
        if self.found:
            told = "; ".join(f"{what}: {_listed(names)}" for what, names in self.found.items())
            hint = "COCO's person_keypoints_*.json has what is needed; its instances_*.json has outlines alone"
            raise BadAnnotations(f"{path} cannot be learnt from: {told}", hint)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _read(raw: msgspec.Raw, faults: _Faults) -> _Person | None:
    """An annotation; None for one that is at fault."""
    try:
        one = msgspec.json.decode(raw, type=_Person)
    except msgspec.ValidationError as error:
        faults.add("annotations that are not COCO's", f"{msgspec.json.decode(raw).get('id')} ({error})")
        return None
    if not one.keypoints and not one.iscrowd:
        faults.add("people without keypoints: annotations", one.id)
        return None
    if len(one.keypoints) not in (0, 3 * len(_COCO)):
        faults.add(f"people with another number of keypoints than {len(_COCO)}: annotations", one.id)
        return None
    return one


def _check(categories: Sequence[dict[str, Any]], used: set[int], faults: _Faults) -> None:
    """What the categories lack that the annotations are of."""
    known = {category.get("id"): category for category in categories}
    for id in sorted(used):
        category = known.get(id, {})
        name = category.get("name", id)
        if tuple(category.get("keypoints") or ()) != _COCO:
            faults.add(f"categories without COCO's {len(_COCO)} keypoints", name)
        if not category.get("skeleton"):
            faults.add("categories without a skeleton", name)
