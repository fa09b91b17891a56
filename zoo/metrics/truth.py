"""The annotations that a metric scores against, as pycocotools wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.annotations import content, not_coco
from zoo.errors import StepFailed

NEEDED = ("area", "bbox", "category_id", "iscrowd")


class Truth:
    """The annotations of the images that are scored; `ids` are those images, sorted."""

    def __init__(self, path: Path, image_ids: Sequence[int], keypoints: int | None, part: str = "keypoints") -> None:
        """Read `path`; `part` is the key of the keypoints: COCO-WholeBody has others for hands, face and feet. None of
        `keypoints` is for boxes, which need none.

        Raises StepFailed where it cannot be read, is no JSON, lacks a key or an image, or its people have another number of
        keypoints than `keypoints`."""
        self.ids = sorted(set(image_ids))
        read = content(path, self.ids)
        try:
            annotations = [_trimmed(one, path, keypoints, part) for one in read.annotations]
        except (KeyError, TypeError) as error:
            raise not_coco(path, error) from error
        # To pycocotools a match with an annotation of id 0 is no match, so they are counted from 1 here.
        numbered = [{**annotation, "id": number} for number, annotation in enumerate(annotations, 1)]
        self._content = {"images": read.images, "categories": read.categories, "annotations": numbered}

    def of(self, detections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The detections of the scored images: copies, because pycocotools writes into them."""
        scored = set(self.ids)
        return [dict(one) for one in detections if one["image_id"] in scored]

    def coco(self) -> Any:
        """A fresh `COCO` index of the annotations: an evaluation writes into them."""
        return _indexed({**self._content, "annotations": [dict(one) for one in self._content["annotations"]]})

    def detected(self, detections: Sequence[dict[str, Any]]) -> Any:
        """The `COCO` index of the detections, by pycocotools' own reading, which an empty list would crash."""
        chosen = self.of(detections)
        return self.coco().loadRes(chosen) if chosen else _indexed({**self._content, "annotations": []})


def hush(module: Any) -> None:
    """pycocotools prints its progress; redirecting stdout would take other threads' lines away as well."""
    vars(module)["print"] = lambda *_, **__: None


def _indexed(content: dict[str, Any]) -> Any:
    from pycocotools import coco

    hush(coco)
    index = coco.COCO()
    index.dataset = content
    index.createIndex()
    return index


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
