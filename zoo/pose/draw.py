"""Poses over an image, for people to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.canvas import DARK, WHITE, Canvas
from zoo.pose.keypoints import Floats, Poses
from zoo.pose.skeletons import Colour, Skeleton

#: no image is so wide; with the shift it fits 32 bits, and a stroke that leads there is still drawn in a millisecond
_FAR = 1e5
#: a person of whom nothing but the box is known
_FOUND = (64, 222, 255)
#: of ids, one after the other: bright, and unlike their neighbours
_IDS: tuple[Colour, ...] = (
    *((80, 220, 255), (120, 230, 120), (255, 180, 90), (200, 150, 255), (90, 160, 255)),
    *((220, 230, 90), (150, 120, 250), (170, 255, 210), (255, 150, 200), (200, 200, 200)),
)


def draw(
    image: NDArray[np.uint8],
    poses: Poses,
    skeleton: Skeleton,
    *,
    boxes: bool = False,
    limbs: bool = True,
    ids: NDArray[np.integer] | None = None,
    thickness: float | None = None,
    threshold: float = 0.0,
    opacity: float = 0.9,
) -> NDArray[np.uint8]:
    """A new image (H, W, 3) BGR with each person's limbs and joints, the most certain person on top.

    A stroke is `thickness` pixels, or by default as wide as the person's size asks for; the fingers of a body's hands
    are as much thinner as the hand is smaller. A keypoint that is absent or scored under `threshold`, and a limb that
    misses one of its ends, is not drawn. `boxes` adds each person's box, `ids` (N,) a number beside each,
    in a colour of its own; without `limbs` these stand alone. Of people whose skeleton has no keypoints the boxes
    are drawn, with their scores, and none under `threshold`.
    """
    if len(poses) and poses.keypoints.shape[1] != len(skeleton.keypoints):
        raise ZooError(
            f"{skeleton.name} has {len(skeleton.keypoints)} keypoints, these poses have {poses.keypoints.shape[1]}",
            "name the skeleton of the decoder that made them",
        )
    canvas = Canvas(image)
    labels: list[tuple[int, NDArray[np.float64]]] = []
    for person in np.argsort(poses.instance_scores, kind="stable"):
        if not skeleton.keypoints:
            if np.isfinite(poses.boxes[person]).all() and poses.instance_scores[person] >= threshold:
                _found(
                    canvas, poses.boxes[person], float(poses.instance_scores[person]), thickness, None if ids is None else int(ids[person])
                )
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
            colour = WHITE if ids is None else _colour(int(ids[person]))
            canvas.box(np.clip(poses.boxes[person].astype(np.float64), -_FAR, _FAR), max(1.0, (thickness or whole) / 4), colour)
        for part in skeleton.parts if limbs else ():
            among = np.zeros_like(shown)
            among[part.start : part.stop] = shown[part.start : part.stop]
            if among.any():
                # what follows the first part is a hand of its body
                fine = part.start > 0
                stroke = _finger(points[among], thickness or whole) if fine else thickness or whole
                _part(canvas, points, among, skeleton, stroke, fine)
        if ids is not None:
            # on the box where there is one, else above whatever of the person is highest
            highest = points[shown][points[shown][:, 1].argmin()] - (0, 1.5 * whole)
            labels.append((int(ids[person]), points[shown].min(axis=0) if boxes else highest))
    for name, corner in labels:  # last: no limb or box of another person covers a number
        canvas.label(str(name), corner, _colour(name))
    return canvas.blended(opacity)


def _colour(name: int) -> Colour:
    """That of an id."""
    return _IDS[name % len(_IDS)]


def _found(canvas: Canvas, box: Floats, score: float, thickness: float | None, name: int | None) -> None:
    """A person's box, x1, y1, x2, y2 from the edges of pixels, with the id where there is one, and the score."""
    colour = _FOUND if name is None else _colour(name)
    # the centre of a pixel is whole here
    corners = np.clip(box.astype(np.float64) - 0.5, -_FAR, _FAR)
    stroke = thickness or _stroke(corners.reshape(2, 2), canvas.image.shape[:2])
    canvas.box(corners, max(1.5, 0.6 * stroke), colour)
    canvas.label(f"{score:.2f}" if name is None else f"{name}: {score:.2f}", corners[:2], colour)


def _part(canvas: Canvas, points: NDArray[np.float64], shown: NDArray[np.bool_], skeleton: Skeleton, stroke: float, fine: bool) -> None:
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
        canvas.bar(a, b, width + 2 * rim, DARK)
    for point, radius, _ in discs:
        canvas.disc(point, radius + rim, DARK)
    for a, b, width, colour in bars:
        canvas.bar(a, b, width, colour)
    for point, radius, colour in discs:
        if not fine:
            canvas.disc(point, radius, WHITE)
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
