"""What detectors of people share: from candidate boxes to people, each found once."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses

Numbers = NDArray[np.float64]

Threshold = Annotated[float, Meta(description="The least score of a person, 0..1.", ge=0, le=1)]
Overlap = Annotated[float, Meta(description="Of two boxes whose IoU is greater, the surer one stays (greedy NMS).", ge=0, le=1)]
Most = Annotated[int, Meta(description="How many people an image has at most, by falling score.", ge=1)]


def people(corners: Numbers, scores: Numbers, affine: Affine, threshold: float, overlap: float, most: int) -> Poses:
    """Boxes x1, y1, x2, y2 (n, 4) in pixels of the input with scores (n,) -> people without keypoints, the surest first.

    Those under `threshold`, with a number that is none, or of which nothing lies in the image are left out; the rest is cut
    at the image's edges and freed of doubles. Of equal scores the first comes first.

    Detectors count from edges: 0 is the left edge of the first pixel, as in COCO's boxes, and not its centre, as `Affine`
    has it. So half a pixel is taken off before the map and put back after it, which is each axis's plain factor: what
    the originals do. Without it RTMDet-nano loses .002 of AP on coco_mini.
    """
    sure = (scores >= threshold) & np.isfinite(scores) & np.isfinite(corners).all(axis=1)
    boxes = affine.to_image(corners[sure].reshape(-1, 2, 2) - 0.5).reshape(-1, 4) + 0.5
    boxes = np.clip(boxes, 0, np.tile(affine.image, 2).astype(np.float64))
    there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, ranks = boxes[there], scores[sure][there]
    order = np.argsort(-ranks, kind="stable")
    boxes, ranks = boxes[order], ranks[order]
    # what the surest leave does not depend on the others, which mostly are junk by the thousand
    kept = suppressed(boxes[: 4 * most], overlap)
    if len(kept) < most < len(boxes) / 4:
        kept = suppressed(boxes, overlap)
    return Poses.of_boxes(boxes[kept[:most]], ranks[kept[:most]])


def suppressed(boxes: Numbers, overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: which of the boxes (n, 4), the surest first, are left, in that order.

    A box is dropped when its IoU with one that is left and comes before it is greater than `overlap`. IoU is compared in
    32 bits."""
    import cv2

    sizes: Any = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    # places instead of scores: it takes none of 0, and 32 bits would make equals of scores that are not
    falling: Any = np.arange(len(boxes), 0, -1).astype(np.float32)
    return np.asarray(cv2.dnn.NMSBoxes(sizes, falling, 0.0, overlap), np.intp).reshape(-1)


def cells(affine: Affine, stride: int) -> Numbers:
    """(h w, 2): x, y of the grid of `stride` over the input, row by row.

    Raises StepFailed where the input is no multiple of the stride."""
    width, height = affine.input
    if width % stride or height % stride:
        raise StepFailed(f"an input of {width} x {height} has no grid of {stride} pixels", f"its sides must be multiples of {stride}")
    rows, columns = np.mgrid[: height // stride, : width // stride]
    return np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
