"""Boxes that a detector of the zoo finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from zoo.boxes.detections import boxes_in
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import Images
from zoo.errors import StepFailed
from zoo.pose.keypoints import Poses
from zoo.record import Choice

#: what a detector's action writes: COCO detections, and what found them
BOXES, DETECTOR = "boxes.json", "detector.json"


class DetectorBoxes(Choice, frozen=True, kw_only=True, tag="detector"):
    """What a recipe of the task person_detection finds, on one target whatever the network's own is: all targets of a
    top-down recipe are judged on the same boxes."""

    recipe: Annotated[str, Meta(description="the detector's recipe", min_length=1)]
    target: Annotated[str, Meta(description="which of its targets finds them")] = "onnxruntime-fp32"
    protocol: Annotated[
        str | None, Meta(description="which of its protocols says how its outputs are decoded; none: as the recipe itself has it")
    ] = None
    least: Annotated[float, Meta(description="boxes of a smaller score are left out", ge=0, le=1)] = 0.0
    most: Annotated[int | None, Meta(description="of each image only the best; none: all")] = None

    def read(self, dataset: Dataset, images: Images, found: Path | None, context: Context) -> dict[int, Poses]:
        """Image id -> its boxes, the best first. Raises StepFailed where they have not been found."""
        return boxes_in(_made(found) / BOXES, images, self.least, self.most)

    def said(self, dataset: Dataset, found: Path | None, context: Context) -> Any:
        """What of it makes figures comparable: the detector and its weights, and not the bits of one machine's arithmetic."""
        made = msgspec.json.decode((_made(found) / DETECTOR).read_bytes())
        return {"type": "detector", "least": self.least, "most": self.most, "target": self.target, **made}

    def lacking(self, dataset: Dataset, context: Context) -> str:
        """Why it has no boxes for a dataset; empty where it has."""
        return ""

    def facts(self, dataset: Dataset, context: Context) -> Mapping[str, Any]:
        """What of its files enters an action's key: the boxes are an action's artifact, and enter by themselves."""
        return {}


def _made(found: Path | None) -> Path:
    if found is None:
        raise StepFailed("the detector has not been run on these images", "zoo build makes what is missing")
    return found
