"""From shapes to pixels: a figure with its colours, its outline, and what of it is seen at each keypoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.pose.skeletons import SKELETONS
from zoo.pose.stick_people.body import AT, Body, draw_build, place
from zoo.pose.stick_people.clothes import Colour, Outfit, draw_outfit, pattern_mask
from zoo.pose.stick_people.dice import Dice
from zoo.pose.stick_people.figure import Shape, hidden, own_parts, shapes
from zoo.pose.stick_people.pose import draw_pose

KEYPOINTS = SKELETONS["coco_17"].keypoints
_ROWS = [AT[name] for name in KEYPOINTS]
_PARTS = [own_parts(name) for name in KEYPOINTS]
#: coordinates are handed to OpenCV in 1/16 pixel
_SHIFT = 4
#: above this a label says that the pattern's second colour stands there
_PATTERN = 128


@dataclass(frozen=True)
class Cutout:
    """Something to be laid over an image."""

    colour: NDArray[np.uint8]
    """(h, w, 3) blue, green, red, times the opacity."""
    opacity: NDArray[np.uint8]
    """(h, w)"""

    @property
    def own(self) -> NDArray[np.bool_]:
        """(h, w) the pixels of which it is the better half."""
        return self.opacity >= 128


@dataclass(frozen=True)
class Figure:
    """A person by itself."""

    cutout: Cutout
    keypoints: NDArray[np.float64]
    """(17, 2) in pixels of the cutout, the middle of the first being 0, 0."""
    seen: NDArray[np.bool_]
    """(17) whether nothing of the person itself hides it."""
    body: Body


def draw_figure(dice: Dice, height: float, behind: Colour, light: float) -> Figure:
    """Anybody, `height` pixels from the highest to the lowest. `behind`: what clothes are to stand out from."""
    body = place(draw_pose(dice), draw_build(dice))
    outfit = draw_outfit(dice, behind)
    return paint(body, outfit, height, light, (dice.real(0, 1), dice.real(0, 1)))


def paint(body: Body, outfit: Outfit, height: float, light: float, phase: tuple[float, float] = (0.0, 0.0)) -> Figure:
    """Paint a body. `phase`: where between two pixels it begins."""
    import cv2

    layers = shapes(body, outfit, light)
    outlines = np.concatenate([shape.outline for shape in layers])
    low, high = outlines.min(axis=0), outlines.max(axis=0)
    # the dark edge lies half outside
    scale = (height - 1.5) / (high[1] - low[1])
    # small ones are painted larger, so that their faces are more than a stain
    finer = 4 if height < 64 else 3 if height < 110 else 2
    offset = np.array(phase) + 1.5 - low * scale
    width, rows = (int(side) for side in np.ceil((high - low) * scale + phase + 3))
    labels, palette, parts = _labelled(layers, (rows * finer, width * finer), scale, offset, finer)
    large = labels
    if outfit.pattern != "plain":
        second = pattern_mask(outfit.pattern, (rows * finer, width * finer), outfit.period * scale * finer)
        large = labels | second.astype(np.uint8) * np.uint8(_PATTERN)
    # the four bytes of a colour and its opacity are looked up as one number
    fine = palette.view(np.uint32)[:, 0][large].view(np.uint8).reshape(*labels.shape, 4)
    painted = cv2.resize(fine, (width, rows), interpolation=cv2.INTER_AREA)
    keypoints = body.points[_ROWS] * scale + offset
    at = np.rint((keypoints + 0.5) * finer - 0.5).astype(int)
    round_back = hidden(body, outfit)
    met = labels[at[:, 1], at[:, 0]]
    seen = [name not in round_back and parts[label] in own for name, own, label in zip(KEYPOINTS, _PARTS, met, strict=True)]
    return Figure(Cutout(painted[..., :3], np.ascontiguousarray(painted[..., 3])), keypoints, np.array(seen), body)


def _labelled(
    layers: list[Shape], size: tuple[int, int], scale: float, offset: NDArray[np.float64], finer: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[str]]:
    """(h, w) a label for each pixel, 0 where nothing is; (256, 4) its colour and opacity, of the second 128 those of the pattern; and the
    part it belongs to."""
    import cv2

    labels = np.zeros(size, np.uint8)
    looks: list[tuple[Colour, Colour, float]] = []
    parts = [""]
    thick = max(1, round(scale * finer / 130))
    points = iter(_fixed([line for one in layers for line in (one.outline, one.light) if line is not None], scale, offset, finer))

    def named(shape: Shape, factor: float) -> int:
        looks.append((shape.colour, shape.second or shape.colour, factor))
        parts.append(shape.part)
        return len(looks)

    for shape in layers:
        outline = next(points)
        cv2.fillConvexPoly(labels, outline, named(shape, 1.0), cv2.LINE_8, _SHIFT)
        if shape.light is not None:
            cv2.fillConvexPoly(labels, next(points), named(shape, 1.12), cv2.LINE_8, _SHIFT)
        if shape.edge == "all":
            cv2.polylines(labels, [outline], True, named(shape, 0.62), thick, cv2.LINE_8, _SHIFT)
        elif shape.edge == "sides":
            half = len(outline) // 2
            sides = [outline[half - 1 : half + 1], outline[[-1, 0]]]
            cv2.polylines(labels, sides, False, named(shape, 0.62), thick, cv2.LINE_8, _SHIFT)
    assert len(parts) <= _PATTERN, "labels are seven bits"
    palette = np.zeros((256, 4), np.uint8)
    factors = np.array([factor for _, _, factor in looks])[:, None]
    for start, which in ((1, 0), (_PATTERN + 1, 1)):
        rows = slice(start, start + len(looks))
        palette[rows, :3] = np.clip(np.rint(np.array([look[which] for look in looks]) * factors), 0, 255)
        palette[rows, 3] = 255
    return labels, palette, parts


def _fixed(lines: list[NDArray[np.float64]], scale: float, offset: NDArray[np.float64], finer: int) -> list[NDArray[np.int32]]:
    """Outlines in OpenCV's own numbers, all at once."""
    ends = np.cumsum([len(line) for line in lines]).tolist()
    moved = ((np.concatenate(lines) * scale + offset + 0.5) * finer - 0.5) * 2**_SHIFT
    points = np.rint(moved).astype(np.int32)
    return [points[start:end] for start, end in zip([0, *ends], ends, strict=False)]
