"""How far a hand's keypoints are from the annotated ones: PCK, AUC and end-point error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.annotations import Instance, Part, corners, instances
from zoo.errors import StepFailed, ZooError
from zoo.metrics.matching import by_image
from zoo.pose.coco_results import coco_results
from zoo.pose.keypoints import Poses
from zoo.record import Choice

IN_ORDER = "one hand for each annotated box, in their order: `boxes: {type: annotations}` of the same part, `people: {nms: none}`"
#: in pixels; boxes may have been single precision on their way
BOX_TOLERANCE = 0.01


class HandPck(Choice, frozen=True, kw_only=True, tag="hand_pck"):
    """Percentage of correct keypoints, the area under its curve, and the end-point error in pixels, as mmpose has them.

    The boxes are given (`zoo.annotations.instances`), so the k-th hand that was found in an image is held against the k-th
    annotated one: where there are several, each has to have been looked for in that one's box. Only annotated keypoints count
    (v > 0).

    * PCK: of each keypoint the share that is nearer than `threshold` longer sides of its box; the mean over the keypoints.
    * AUC: the mean of the PCKs whose limits are 0, 1/n ... (n-1)/n of `auc_pixels`. The first is always 0, so 0.95 is the
      best that there is with n = 20.
    * EPE: the mean distance in image pixels, over all keypoints of all hands.
    * missing: the share of the annotated keypoints for which the network gave no place. mmpose's networks always give one.
      Here these are wrong in PCK and AUC at every limit, and not in EPE, which is the error of what was found: an EPE
      is good only where little is missing. It is absent where nothing was found.

    Source: mmpose's PCKAccuracy (`norm_item="bbox"`), AUC and EPE, in the configurations for OneHand10K and FreiHAND.
    """

    figures: ClassVar[tuple[str, ...]] = ("PCK", "AUC", "EPE", "missing")
    evaluator: ClassVar[str] = ""
    pairs: ClassVar[bool] = False

    part: Annotated[
        Part, Meta(description="Whose keypoints and boxes: person, hands of persons, or image: as person, the box is the image")
    ] = "person"
    threshold: Annotated[float, Meta(description="What PCK calls near, in parts of the box's longer side", gt=0)] = 0.2
    auc_pixels: Annotated[float, Meta(description="Where the limits of the AUC end, in image pixels", gt=0)] = 30.0
    auc_thresholds: Annotated[int, Meta(description="How many limits the AUC has", ge=1)] = 20

    def results(self, poses: Poses, skeleton: str, image_id: int) -> list[dict[str, Any]]:
        """What is judged of one image: a COCO result with its box for each hand, (0, 0, 0) where a keypoint is absent.

        Raises ZooError for a skeleton that is not a hand."""
        if skeleton != "hand_21":
            raise ZooError(f"{skeleton} is not one hand", "hand_pck judges hand_21; for hands of persons there is coco_wholebody_hands")
        ends = poses.boxes.astype(np.float64)
        boxes = np.concatenate([ends[:, :2], ends[:, 2:] - ends[:, :2]], axis=1).tolist()
        return [{**result, "bbox": box} for result, box in zip(coco_results(poses, image_id), boxes, strict=True)]

    def evaluate(
        self, annotations: Path, image_ids: Sequence[int], results: Iterable[dict[str, Any]], kept: Path | None = None
    ) -> dict[str, float]:
        """PCK, AUC, missing (0..1), EPE (pixels), and how many `images`, `instances` and `keypoints` were judged.

        PCK, AUC and missing are absent where no keypoint is annotated. Where nothing at all was found in an image, all its
        hands are missing. Nothing is written into `kept`. Raises StepFailed where the annotations cannot be read, and where an image
        has other hands than its annotations: in number, of keypoints or of hands, or in order."""
        truth = instances(annotations, image_ids, self.part)
        rows = {image: _distances(image, truth[image], found) for image, found in by_image(results) if image in truth}
        rows = {image: rows[image] if image in rows else _distances(image, annotated, []) for image, annotated in truth.items()}
        distances = np.array([row for several in rows.values() for row in several])
        sides = np.array([(one.box[2:] - one.box[:2]).max() for annotated in truth.values() for one in annotated])
        seen = ~np.isnan(distances)
        figures: dict[str, float] = {"images": len(truth), "instances": len(distances), "keypoints": int(seen.sum())}
        if not seen.any():
            return figures
        limits = self.auc_pixels * np.arange(self.auc_thresholds) / self.auc_thresholds
        figures["PCK"] = _correct(distances / sides[:, None], self.threshold)
        figures["AUC"] = float(np.mean([_correct(distances, limit) for limit in limits]))
        figures["missing"] = float(np.isinf(distances).sum() / seen.sum())
        if np.isfinite(distances).any():
            figures["EPE"] = float(distances[np.isfinite(distances)].mean())
        return figures


def _distances(image: int, annotated: Sequence[Instance], found: Sequence[dict[str, Any]]) -> list[NDArray[np.float64]]:
    """Of each hand (K,) in pixels, nan where a keypoint is not annotated, infinite where it was not found."""
    if len(found) not in (0, len(annotated)):
        raise StepFailed(f"image {image}: {len(found)} hands were found and {len(annotated)} are annotated", IN_ORDER)
    if not found:
        return [np.where(one.keypoints[:, 2] > 0, np.inf, np.nan) for one in annotated]
    rows = []
    for one, result in zip(annotated, found, strict=True):
        if len(annotated) > 1 and not np.allclose(corners(result["bbox"]), one.box, atol=BOX_TOLERANCE):
            raise StepFailed(f"image {image}: a hand was looked for in another box than that of its annotation", IN_ORDER)
        rows.append(_distance(one, np.array(result["keypoints"], np.float64).reshape(-1, 3)))
    return rows


def _distance(one: Instance, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,)"""
    if len(points) != len(one.keypoints):
        raise StepFailed(f"image {one.image}: {len(points)} keypoints were found and {len(one.keypoints)} are annotated")
    distance = np.linalg.norm(points[:, :2] - one.keypoints[:, :2], axis=1)
    distance[points[:, 2] == 0] = np.inf
    distance[one.keypoints[:, 2] <= 0] = np.nan
    return np.asarray(distance)


def _correct(distances: NDArray[np.float64], limit: float) -> float:
    """(N, K) -> the mean over the keypoints of the shares that are under the limit; keypoints that no one has do not count."""
    seen = ~np.isnan(distances)
    known = seen.any(axis=0)
    return float(np.mean((distances < limit).sum(axis=0)[known] / seen.sum(axis=0)[known]))
