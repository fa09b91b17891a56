"""The annotations that a metric scores against, as pycocotools wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from zoo.annotations import content, not_coco
from zoo.errors import StepFailed

NEEDED = ("area", "bbox", "category_id", "iscrowd")


class Truth:
    """The annotations of the images that are scored; `ids` are those images, sorted.

    What is judged of an annotation is held as JSON: as lists and dictionaries it would take ten times the memory."""

    def __init__(self, path: Path, image_ids: Sequence[int], keypoints: int | None, part: str = "keypoints") -> None:
        """Read `path`; `part` is the key of the keypoints: COCO-WholeBody has others for hands, face and feet. None of
        `keypoints` is for boxes, which need none.

        Raises StepFailed where it cannot be read, is no JSON, lacks a key or an image, or its people have another number of
        keypoints than `keypoints`."""
        self.ids = sorted(set(image_ids))
        read = content(path, self.ids)
        self.categories = read.categories
        self._annotated: dict[int, list[bytes]] = {}
        try:
            # To pycocotools a match with an annotation of id 0 is no match, so they are counted from 1 here.
            for number, one in enumerate(read.annotations, 1):
                trimmed = {**_trimmed(one, path, keypoints, part), "id": number}
                self._annotated.setdefault(one["image_id"], []).append(msgspec.json.encode(trimmed))
        except (KeyError, TypeError) as error:
            raise not_coco(path, error) from error

    def coco(self, ids: Sequence[int] | None = None) -> Any:
        """A fresh `COCO` index of the annotations of some images, or of all: an evaluation writes into them."""
        chosen = self.ids if ids is None else ids
        return self._indexed(chosen, [msgspec.json.decode(one) for id in chosen for one in self._annotated.get(id, ())])

    def detected(self, detections: Sequence[dict[str, Any]], ids: Sequence[int] | None = None) -> Any:
        """The `COCO` index of the detections in these images, by pycocotools' own reading, which an empty list would crash.

        pycocotools writes into the detections: it gets copies."""
        chosen = self.ids if ids is None else ids
        scored = set(chosen)
        found = [dict(one) for one in detections if one["image_id"] in scored]
        # of the annotations this reading needs nothing but the images and categories
        index = self._indexed(chosen, [])
        return index.loadRes(found) if found else index

    def _indexed(self, ids: Sequence[int], annotations: list[dict[str, Any]]) -> Any:
        from pycocotools import coco

        hush(coco)
        index = coco.COCO()
        index.dataset = {"images": [{"id": id} for id in ids], "categories": self.categories, "annotations": annotations}
        index.createIndex()
        return index


def hush(module: Any) -> None:
    """pycocotools prints its progress; redirecting stdout would take other threads' lines away as well."""
    vars(module)["print"] = lambda *_, **__: None


def _trimmed(annotation: dict[str, Any], path: Path, keypoints: int | None, part: str) -> dict[str, Any]:
    """An annotation without what is not judged: outlines are most of COCO's file."""
    person = {key: annotation[key] for key in (*NEEDED, "image_id")}
    if keypoints is None:
        return person
    points = annotation[part]
    if len(points) != 3 * keypoints:
        raise StepFailed(f"{path}: a person with {len(points) / 3:g} keypoints, and the metric has {keypoints} sigmas")
    # the file counts only the body's
    count = annotation["num_keypoints"] if part == "keypoints" else sum(seen > 0 for seen in points[2::3])
    return {**person, "keypoints": points, "num_keypoints": count}
