"""Drawn people as files: images and their annotations, in the layout that `StickPeople` opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from zoo.context import Context
from zoo.datasets.stick_people import ANNOTATIONS, scene_name
from zoo.errors import StepFailed
from zoo.files import write_bytes
from zoo.journal import Journal
from zoo.pose.stick_people.coco import CATEGORY, coco_annotations
from zoo.pose.stick_people.drawing import Drawing
from zoo.pose.stick_people.scene import draw
from zoo.steps.step import Step

#: what is lost at it no eye sees; as PNG the grain of an image would take four times the place
QUALITY = 95
DRAWN = "drawn.jsonl"


class RenderPeople(Step, frozen=True, kw_only=True, tag="render_people"):
    """Draw every scene of a dataset."""

    scenes: int
    seed: int
    drawing: Drawing
    version: int

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Writes the images and annotations.json. What a run that was stopped has drawn is not drawn again."""
        partial = context.partial or out.parent
        with Journal(partial / DRAWN) as journal:
            # an image is written before it stands in the journal
            known = {number for number, (size, _) in journal if _size(partial / scene_name(number)) == size}
            for number in context.track(range(1, self.scenes + 1), "drawing people", self.scenes):
                if number not in known:
                    scene = draw(self.seed, number, self.drawing)
                    image = encoded(scene.image)
                    (partial / scene_name(number)).write_bytes(image)
                    journal.add(number, [len(image), coco_annotations(scene, number)])
            found = dict(journal)
        height, width = self.drawing.size
        people: list[dict[str, Any]] = []
        for number in range(1, self.scenes + 1):
            (partial / scene_name(number)).rename(out / scene_name(number))
            people += found[number][1]
        document = {
            "info": {"description": "drawn figures, not photographs", "version": str(self.version), "seed": self.seed},
            "licenses": [],
            "images": [
                {"id": number, "file_name": scene_name(number), "height": height, "width": width} for number in range(1, self.scenes + 1)
            ],
            "annotations": [{"id": id, **one} for id, one in enumerate(people, 1)],
            "categories": [CATEGORY],
        }
        write_bytes(out / ANNOTATIONS, msgspec.json.encode(document))


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1


def encoded(image: Any) -> bytes:
    """(H, W, 3) uint8 BGR as a JPEG whose colours are not thinned out."""
    import cv2

    done, data = cv2.imencode(
        ".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    )
    if not done:
        raise StepFailed("OpenCV could not write a JPEG", "install an OpenCV with JPEG")
    return bytes(data)
