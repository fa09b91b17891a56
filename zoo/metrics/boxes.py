"""COCO's figures of boxes, by pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.metrics.coco import Range, summary
from zoo.metrics.matching import EVERYTHING, Judge, together
from zoo.metrics.truth import Truth
from zoo.pose.coco_results import PERSON, box_results
from zoo.pose.keypoints import Poses
from zoo.record import Choice


class CocoBoxes(Choice, frozen=True, kw_only=True, tag="coco_bbox"):
    """Average precision and recall of people's boxes over IoU 0.50 to 0.95, as the COCO detection challenge defines them, of the
    category person alone.

    Every person has to be annotated: one who is not makes a box that finds them an error."""

    figures: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75", "APS", "APM", "APL", "AR")
    evaluator: ClassVar[str] = "pycocotools"
    pairs: ClassVar[bool] = True

    max_detections: Annotated[int, Meta(description="How many boxes of an image count, by falling score", ge=1)] = 100
    small: Range = (0.0, 32.0**2)
    medium: Range = (32.0**2, 96.0**2)
    large: Range = (96.0**2, EVERYTHING)

    def results(self, poses: Poses, skeleton: str, image_id: int) -> list[dict[str, Any]]:
        """What is judged of one image: a COCO detection for each person whose box is known, whatever the `skeleton`."""
        return box_results(poses, image_id)

    def evaluate(
        self, annotations: Path, image_ids: Sequence[int], detections: Iterable[dict[str, Any]], kept: Path | None = None
    ) -> dict[str, float]:
        """The figures on `image_ids`: AP, AP50, AP75, APS, APM, APL and the same of AR (0..1), `images` and `detections`.

        `detections` are COCO results (`box_results`), as `zoo.metrics.matching.together` takes them; those of other images are left
        out. A figure that the images cannot give, as APS where no one is small, is absent. No detections: zeros. What was
        matched of boxes of all sizes is written into the file `kept`, as `Matches.save` does. Raises StepFailed where the annotations
        cannot be scored."""
        truth = Truth(annotations, image_ids, None)
        judge = Judge(truth, "bbox", PERSON, self.max_detections, ((0, EVERYTHING), self.small, self.medium, self.large))
        for ids, found in together(truth.ids, detections):
            judge.add(ids, found)
        if kept:
            judge.matches().save(kept)
        return {**summary(judge.accumulated(), ("S", "M", "L")), "images": len(truth.ids), "detections": judge.found}
