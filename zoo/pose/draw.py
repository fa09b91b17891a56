"""Poses over an image, for people to look at."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.keypoints import Floats, Poses
from zoo.pose.skeletons import Colour, Skeleton

#: coordinates are handed to OpenCV in 1/16 pixel, so that strokes do not jump from pixel to pixel
_SHIFT = 4
#: no image is so wide; with the shift it fits 32 bits, and a stroke that leads there is still drawn in a millisecond
_FAR = 1e5
_WHITE = (255, 255, 255)
_DARK = (24, 20, 16)
#: a person of whom nothing but the box is known
_FOUND = (64, 222, 255)


def draw(
    image: NDArray[np.uint8],
    poses: Poses,
    skeleton: Skeleton,
    *,
    boxes: bool = False,
    thickness: float | None = None,
    threshold: float = 0.0,
    opacity: float = 0.9,
) -> NDArray[np.uint8]:
    """A new image (H, W, 3) BGR with each person's limbs and joints, the most certain person on top.

    A stroke is `thickness` pixels, or by default as wide as the person's size asks for; the fingers of a body's hands
    are as much thinner as the hand is smaller. A keypoint that is absent or scored under `threshold`, and a limb that
    misses one of its ends, is not drawn. `boxes` adds each person's box. Of people whose skeleton has no keypoints the boxes
    are drawn, with their scores, and none under `threshold`.
    """
    if len(poses) and poses.keypoints.shape[1] != len(skeleton.keypoints):
        raise ZooError(
            f"{skeleton.name} has {len(skeleton.keypoints)} keypoints, these poses have {poses.keypoints.shape[1]}",
            "name the skeleton of the decoder that made them",
        )
    canvas = _Canvas(image)
    for person in np.argsort(poses.instance_scores, kind="stable"):
        if not skeleton.keypoints:
            if np.isfinite(poses.boxes[person]).all() and poses.instance_scores[person] >= threshold:
                _found(canvas, poses.boxes[person], float(poses.instance_scores[person]), thickness)
            continue
        points = np.clip(poses.keypoints[person].astype(np.float64), -_FAR, _FAR)
        shown = np.isfinite(poses.keypoints[person]).all(axis=1) & (poses.scores[person] >= threshold)
        if not shown.any():
            continue
        # hands that hang down make nobody larger
        first = slice(*skeleton.parts[0][1:])
        sized = points[first][shown[first]] if shown[first].any() else points[shown]
        whole = _stroke(sized, image.shape[:2])
        if boxes and np.isfinite(poses.boxes[person]).all():
            canvas.box(np.clip(poses.boxes[person].astype(np.float64), -_FAR, _FAR), max(1.0, (thickness or whole) / 4))
        for part in skeleton.parts:
            among = np.zeros_like(shown)
            among[part.start : part.stop] = shown[part.start : part.stop]
            if among.any():
                # what follows the first part is a hand of its body
                fine = part.start > 0
                stroke = _finger(points[among], thickness or whole) if fine else thickness or whole
                _part(canvas, points, among, skeleton, stroke, fine)
    return canvas.blended(opacity)


def _found(canvas: _Canvas, box: Floats, score: float, thickness: float | None) -> None:
    """A person's box, x1, y1, x2, y2 from the edges of pixels, with the score."""
    # the centre of a pixel is whole here
    corners = np.clip(box.astype(np.float64) - 0.5, -_FAR, _FAR)
    stroke = thickness or _stroke(corners.reshape(2, 2), canvas.image.shape[:2])
    canvas.box(corners, max(1.5, 0.6 * stroke), _FOUND)
    canvas.label(f"{score:.2f}", corners[:2], _FOUND)


def _part(canvas: _Canvas, points: NDArray[np.float64], shown: NDArray[np.bool_], skeleton: Skeleton, stroke: float, fine: bool) -> None:
    """A body or a hand; `fine` where there is no room for joints with rings."""
    colours = skeleton.joint_colours
    limbs = [
        (points[a], points[b], colour) for (a, b), colour in zip(skeleton.limbs, skeleton.colours, strict=True) if shown[a] and shown[b]
    ]
    bars = [(a, b, min(stroke, max(1.0, 0.4 * float(np.hypot(*(b - a))))), colour) for a, b, colour in limbs]
    discs = [(points[joint], radius, colours[joint]) for joint, radius in _radii(points, shown, 0.85 * stroke).items()]
    rim = 0.3 * stroke if fine else max(0.75, 0.25 * stroke)
    # all of the dark rim lies under all of the colour: a limb never cuts through another of the same part
    for a, b, width, _ in bars:
        canvas.bar(a, b, width + 2 * rim, _DARK)
    for point, radius, _ in discs:
        canvas.disc(point, radius + rim, _DARK)
    for a, b, width, colour in bars:
        canvas.bar(a, b, width, colour)
    for point, radius, colour in discs:
        if not fine:
            canvas.disc(point, radius, _WHITE)
        canvas.disc(point, radius if fine else 0.62 * radius, colour)


def _radii(points: NDArray[np.float64], shown: NDArray[np.bool_], radius: float) -> dict[int, float]:
    """Joint -> its radius: `radius`, less where joints crowd (eyes and nose), so that they do not cover each other."""
    joints = np.flatnonzero(shown)
    apart = np.hypot(*(points[joints, None] - points[None, joints]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    limits = np.clip(0.4 * apart.min(axis=1), 0.55 * radius, radius)
    return {int(joint): float(limit) for joint, limit in zip(joints, limits, strict=True)}


def _stroke(points: NDArray[np.float64], size: tuple[int, ...]) -> float:
    """Width of a limb in pixels: 1/45 of the person's size, between what can be seen and what covers the image."""
    width, height = np.ptp(points, axis=0).tolist()
    person = float(np.hypot(width, height))
    image = float(np.hypot(size[0], size[1]))
    return float(np.clip(person / 45, max(1.5, image / 500), max(2.0, image / 110)))


def _finger(points: NDArray[np.float64], stroke: float) -> float:
    """Width of a finger of a hand that belongs to a body whose limbs are `stroke` wide: 1/36 of the hand's size."""
    return float(np.clip(np.hypot(*np.ptp(points, axis=0)) / 36, 1.0, max(1.0, 0.5 * stroke)))


class _Canvas:
    """A copy of an image that is painted on; the untouched one is kept for what shines through."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.painted = np.array(image, order="C")

    def bar(self, start: NDArray[np.float64], end: NDArray[np.float64], width: float, colour: Colour) -> None:
        """A bar with round ends, exact to 1/16 pixel where a line of whole-pixel width is not."""
        import cv2

        along = end - start
        length = float(np.hypot(*along))
        if length > 0:
            side = np.array([-along[1], along[0]]) / length * width / 2
            corners = np.array([start + side, end + side, end - side, start - side])
            cv2.fillConvexPoly(self.painted, self._fixed(corners), colour, cv2.LINE_AA, _SHIFT)
        self.disc(start, width / 2, colour)
        self.disc(end, width / 2, colour)

    def disc(self, centre: NDArray[np.float64], radius: float, colour: Colour) -> None:
        import cv2

        x, y = self._fixed(centre).tolist()
        cv2.circle(self.painted, (x, y), round(radius * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)

    def box(self, box: NDArray[np.float64], width: float, inner: Colour = _WHITE) -> None:
        x1, y1, x2, y2 = box
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
        for colour, wide in ((_DARK, width + 1.5), (inner, width)):
            for start, end in pairwise(corners):
                self.bar(start, end, wide, colour)

    def label(self, text: str, corner: NDArray[np.float64], colour: Colour) -> None:
        """Text on a plate that stands on `corner`, or hangs from it where there is no room above; within the image."""
        import cv2

        rows, columns = self.image.shape[:2]
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, float(np.clip(np.hypot(rows, columns) / 1600, 0.4, 1.6))
        bold = max(1, round(1.6 * scale))
        (width, height), below = cv2.getTextSize(text, font, scale, bold)
        left = int(np.clip(corner[0], 0, max(0, columns - width - below)))
        bottom = int(corner[1]) if corner[1] >= height + below else int(max(corner[1], 0)) + height + below
        bottom = min(bottom, rows - 1)
        cv2.rectangle(self.painted, (left, bottom - height - below), (left + width + below, bottom), colour, -1)
        cv2.putText(self.painted, text, (left + below // 2, bottom - below // 2), font, scale, _DARK, bold, cv2.LINE_AA)

    def blended(self, opacity: float) -> NDArray[np.uint8]:
        import cv2

        mixed: NDArray[np.uint8] = cv2.addWeighted(self.painted, opacity, np.ascontiguousarray(self.image), 1 - opacity, 0)
        return mixed

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        fixed: NDArray[np.int32] = np.round(points * 2**_SHIFT).astype(np.int32)
        return fixed
