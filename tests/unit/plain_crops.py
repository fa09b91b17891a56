"""The decoders of crops as their protocols word them: person by person, keypoint by keypoint. Slow; for tests and benchmarks."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from zoo.pose.geometry import Affine

Refine = Callable[[Any, int, int], tuple[float, float]]


def heatmaps(maps: Any, affines: Sequence[Affine], refine: Refine) -> tuple[Any, Any]:
    """(N, K, h, w) -> keypoints (N, K, 2) in image pixels and scores (N, K)."""
    keypoints, scores = np.full((*maps.shape[:2], 2), np.nan), np.zeros(maps.shape[:2])
    for person, affine in enumerate(affines):
        for joint, plane in enumerate(maps[person]):
            height, width = plane.shape
            y, x = divmod(int(plane.argmax()), width)
            if 0 < plane[y, x] < math.inf:
                px, py = refine(plane, x, y)
                keypoints[person, joint] = px * affine.input[0] / width, py * affine.input[1] / height
                scores[person, joint] = plane[y, x]
        keypoints[person] = affine.to_image(keypoints[person])
    return keypoints, scores


def simcc(xs: Any, ys: Any, affines: Sequence[Affine], split: float = 2) -> tuple[Any, Any]:
    """(N, K, bins) each -> keypoints (N, K, 2) in image pixels and scores (N, K)."""
    keypoints, scores = np.full((*xs.shape[:2], 2), np.nan), np.zeros(xs.shape[:2])
    for person, affine in enumerate(affines):
        for joint, (along, down) in enumerate(zip(xs[person], ys[person], strict=True)):
            x, y = int(along.argmax()), int(down.argmax())
            score = min(float(along[x]), float(down[y])) if along[x] == along[x] and down[y] == down[y] else math.nan
            if 0 < score < math.inf:
                keypoints[person, joint] = x / split, y / split
                scores[person, joint] = score
        keypoints[person] = affine.to_image(keypoints[person])
    return keypoints, scores


def none(plane: Any, x: int, y: int) -> tuple[float, float]:
    """The cell itself."""
    return x, y


def quarter(plane: Any, x: int, y: int) -> tuple[float, float]:
    """A quarter towards the higher neighbour, with mmpose's borders."""
    height, width = plane.shape
    dx = dy = 0.0
    if 1 < x < width - 1 and 0 < y < height:
        dx = math.copysign(0.25, plane[y, x + 1] - plane[y, x - 1]) if plane[y, x + 1] != plane[y, x - 1] else 0.0
    if 1 < y < height - 1 and 0 < x < width:
        dy = math.copysign(0.25, plane[y + 1, x] - plane[y - 1, x]) if plane[y + 1, x] != plane[y - 1, x] else 0.0
    return x + dx, y + dy


def dark(plane: Any, x: int, y: int, kernel: int = 11) -> tuple[float, float]:
    """The whole map smoothed over zeros and brought back to its height, then one Newton step on its logarithm; none where the
    logarithm does not exist or is flat."""
    height, width = plane.shape
    reach = kernel // 2 + 2
    around = plane[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    if not (1 < x < width - 2 and 1 < y < height - 2 and np.isfinite(around).all()):
        return x, y
    smoothed = cv2.GaussianBlur(np.nan_to_num(plane.astype(np.float64)), (kernel, kernel), 0, borderType=cv2.BORDER_CONSTANT)
    if not all(smoothed[y + down, x + along] > 0 for down in range(-2, 3) for along in range(-2, 3) if abs(down) + abs(along) <= 2):
        return x, y
    log = np.log(np.maximum(smoothed * (plane.max() / smoothed.max()), 1e-10))
    slope = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    dxx, dyy = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4, (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    dxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    if abs(dxx * dyy - dxy * dxy) <= 1e-12:
        return x, y
    dx, dy = -np.linalg.inv(np.array([[dxx, dxy], [dxy, dyy]])) @ slope
    return x + float(dx), y + float(dy)
