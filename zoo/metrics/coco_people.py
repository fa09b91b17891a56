"""COCO's keypoint figures on the images that show somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.annotations import content, not_coco
from zoo.errors import StepFailed
from zoo.metrics.coco import CocoOks


class CocoOksPeople(CocoOks, frozen=True, kw_only=True, tag="coco_oks_people"):
    """As `coco_oks`, on those images alone in which somebody is annotated, with keypoints or without, a crowd too: who is found in an
    image without people costs nothing.

    MindSpore's OpenPose judges itself so: its evaluation loads the images of the category person, 2693 of COCO val2017's 5000."""

    def evaluate(
        self, annotations: Path, image_ids: Sequence[int], detections: Iterable[dict[str, Any]], kept: Path | None = None
    ) -> dict[str, float]:
        """See `CocoOks.evaluate`; `images` counts those that are judged. Raises StepFailed also where none of them shows anybody."""
        try:
            shown = {int(one["image_id"]) for one in content(annotations, image_ids).annotations}
        except (KeyError, TypeError, ValueError) as error:
            raise not_coco(annotations, error) from error
        if not shown:
            raise StepFailed(f"{annotations}: nobody is annotated in the images that were asked for", "there is nobody to find in them")
        return super().evaluate(annotations, sorted(shown), detections, kept)
