"""COCO's keypoint figures, by pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from zoo.metrics.bootstrap import paired
from zoo.metrics.matching import EVERYTHING, Judge, together
from zoo.metrics.truth import Truth
from zoo.pose.coco_results import coco_results
from zoo.pose.keypoints import Poses
from zoo.pose.oks import COCO_SIGMAS
from zoo.pose.skeletons import to_coco
from zoo.record import Choice

#: the ranges of areas after all of them
SIZES = ("M", "L")
Range = Annotated[tuple[float, float], Meta(description="From and to, in square pixels of the annotated person")]


class CocoOks(Choice, frozen=True, kw_only=True, tag="coco_oks"):
    """Average precision and recall over OKS 0.50 to 0.95, as the COCO keypoint challenge defines them.

    What others head "IOU@0.5" in tables of pose models is this AP50."""

    figures: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50")
    evaluator: ClassVar[str] = "pycocotools"
    pairs: ClassVar[bool] = True

    sigmas: Annotated[tuple[float, ...], Meta(description="Spread per keypoint, in the order of the annotations")] = COCO_SIGMAS
    max_detections: Annotated[int, Meta(description="How many people of an image count, by falling score", ge=1)] = 20
    medium: Range = (32.0**2, 96.0**2)
    large: Range = (96.0**2, EVERYTHING)

    def results(self, poses: Poses, skeleton: str, image_id: int) -> list[dict[str, Any]]:
        """What is judged of one image: a COCO result for each person. Raises ZooError for a skeleton without COCO's keypoints."""
        return coco_results(to_coco(poses, skeleton), image_id)

    def evaluate(
        self, annotations: Path, image_ids: Sequence[int], detections: Iterable[dict[str, Any]], kept: Path | None = None
    ) -> dict[str, float]:
        """The figures on `image_ids`: AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL (0..1), `images` and `detections`.

        `detections` are COCO results (`coco_results`), as `zoo.metrics.matching.together` takes them; those of other images are left
        out. A figure that the images cannot give, as APM where no one is of medium size, is absent. No detections: zeros. What was
        matched of people of all sizes is written into the file `kept`, as `Matches.save` does. Raises StepFailed where the
        annotations cannot be scored."""
        judge = self._judged(Truth(annotations, image_ids, len(self.sigmas)), detections)
        if kept:
            judge.matches().save(kept)
        return {**summary(judge.accumulated(), SIZES), "images": len(judge.ids), "detections": judge.found}

    def judge(self, truth: Truth) -> Judge:
        """What matches people, and accumulates what was matched, with annotations that have been read."""
        areas = ((0, EVERYTHING), self.medium, self.large)
        return Judge(truth, "keypoints", None, self.max_detections, areas, self.sigmas)

    def paired_difference(
        self,
        annotations: Path,
        a: Sequence[dict[str, Any]],
        b: Sequence[dict[str, Any]],
        image_ids: Sequence[int],
        seed: int = 0,
        samples: int = 200,
    ) -> dict[str, float]:
        """AP of `a` minus AP of `b`, COCO results both, on the same images, and how sure that is: the fields of
        `zoo.metrics.paired.Paired`."""
        truth = Truth(annotations, image_ids, len(self.sigmas))
        return msgspec.structs.asdict(paired(self._judged(truth, a).matches(), self._judged(truth, b).matches(), seed, samples))

    def _judged(self, truth: Truth, detections: Iterable[dict[str, Any]]) -> Judge:
        judge = self.judge(truth)
        for ids, found in together(truth.ids, detections):
            judge.add(ids, found)
        return judge


def summary(evaluation: Any, sizes: Sequence[str]) -> dict[str, float]:
    """AP and AR of an accumulated evaluation of one category and one number of detections: over all thresholds, at 0.50 and 0.75,
    and of the `sizes` of people, which follow after all sizes in its `areaRng`. What the images cannot give is absent."""
    import numpy as np

    precision, recall = evaluation.eval["precision"][..., 0, :, 0], evaluation.eval["recall"][:, 0, :, 0]
    asked: dict[str, tuple[Any, int]] = {"": (slice(None), 0), "50": (0, 0), "75": (5, 0)}
    asked |= {size: (slice(None), place) for place, size in enumerate(sizes, 1)}
    figures: dict[str, float] = {}
    for prefix, values in (("AP", np.moveaxis(precision, -1, 1)), ("AR", recall)):
        for suffix, where in asked.items():
            known = values[where]
            known = known[known > -1]
            if known.size:
                figures[prefix + suffix] = float(known.mean())
    return figures
