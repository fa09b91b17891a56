"""What is behind people and before them: grounds and skies, textures, clutter, poles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.pose.stick_people.clothes import SKINS, Colour, draw_colour
from zoo.pose.stick_people.dice import Dice
from zoo.pose.stick_people.paint import Cutout

_SHIFT = 4


@dataclass(frozen=True)
class Surroundings:
    """An image without people."""

    image: NDArray[np.float32]
    """(H, W, 3) blue, green, red from 0 to 255."""
    horizon: float
    """The row from which the ground begins."""

    @property
    def mean(self) -> Colour:
        """Its colour on the whole."""
        blue, green, red = self.image[::8, ::8].mean(axis=(0, 1)).tolist()
        return blue, green, red


def draw_surroundings(dice: Dice, height: int, width: int) -> Surroundings:
    """A ground below a sky or a wall, things on it, and textures of several scales over all."""
    horizon = dice.real(0.25, 0.55) * height
    image = np.empty((height, width, 3), np.uint8)
    split = round(horizon)
    quiet = ((0.0, 0.45), (0.2, 0.95))
    for rows in (slice(0, split), slice(split, height)):
        first, last = draw_colour(dice, *quiet), draw_colour(dice, *quiet)
        last = tuple(0.6 * a + 0.4 * b for a, b in zip(first, last, strict=True))  # type: ignore[assignment]  # three
        share = np.linspace(0, 1, len(range(*rows.indices(height))))[:, None, None]
        image[rows] = np.array(first) * (1 - share) + np.array(last) * share
    for _ in range(dice.whole(2, 9)):
        THINGS[dice.pick(tuple(THINGS))](dice, image, horizon)
    textured = _noise(dice, height, width, {cell: dice.real(2, 18) for cell in (70, 24, 9, 4)})
    textured += image
    return Surroundings(textured, horizon)


def _noise(dice: Dice, height: int, width: int, cells: Mapping[int, float]) -> NDArray[np.float32]:
    """(H, W, 3) smooth noise with hills of these widths in pixels, the widest first, and these strengths: grey, with a little colour."""
    import cv2

    noise = np.zeros((1, 1, 3), np.float32)
    for cell, strength in cells.items():
        rows, columns = -(-height // cell) + 1, -(-width // cell) + 1
        grey, tint = dice.reals(rows, columns, 1) - 0.5, dice.reals(rows, columns, 3) - 0.5
        noise = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_LINEAR) + (grey + 0.4 * tint) * np.float32(2 * strength)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR))


def _polygon(image: NDArray[np.uint8], points: list[tuple[float, float]], colour: Colour) -> None:
    import cv2

    fixed = np.rint(np.array(points) * 2**_SHIFT).astype(np.int32)
    cv2.fillConvexPoly(image, fixed, colour, cv2.LINE_AA, _SHIFT)


def _oval(image: NDArray[np.uint8], x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    _polygon(image, list(zip(x + rx * np.cos(turns), y + ry * np.sin(turns), strict=True)), colour)


def _box(image: NDArray[np.uint8], x: float, y: float, width: float, height: float, colour: Colour) -> None:
    _polygon(image, [(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)


def _house(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    rows, columns = image.shape[:2]
    wide, high = dice.real(0.12, 0.4) * columns, dice.real(0.15, 0.6) * rows
    x, y = dice.real(-0.1, 1) * columns, horizon - high + dice.real(0, 0.12) * rows
    wall, window = draw_colour(dice, (0.05, 0.5)), draw_colour(dice, (0.0, 0.4))
    _box(image, x, y, wide, high, wall)
    cell = dice.real(0.05, 0.1) * columns
    for row in range(min(5, int(high / cell / 1.3))):
        for column in range(min(5, int(wide / cell / 1.2))):
            _box(image, x + (column + 0.3) * cell * 1.2, y + (row + 0.3) * cell * 1.3, cell * 0.6, cell * 0.75, window)


def _tree(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    rows, columns = image.shape[:2]
    x, foot, high = dice.real(0, 1) * columns, horizon + dice.real(0, 0.25) * rows, dice.real(0.25, 0.7) * rows
    thick = high * dice.real(0.02, 0.05)
    _polygon(image, [(x - thick, foot), (x - thick / 2, foot - high), (x + thick / 2, foot - high), (x + thick, foot)], (40, 62, 84))
    leaves = draw_colour(dice, (0.3, 0.8), (0.2, 0.6))
    leaves = (leaves[0] * 0.5, max(leaves), leaves[2] * 0.7)
    for _ in range(dice.whole(3, 6)):
        wide = high * dice.real(0.12, 0.25)
        shade = dice.real(0.8, 1.15)
        lit = (min(255.0, leaves[0] * shade), min(255.0, leaves[1] * shade), min(255.0, leaves[2] * shade))
        _oval(image, x + dice.either(0.25) * high, foot - high * dice.real(0.7, 1.1), wide, wide * dice.real(0.6, 1), lit)


def _pole(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    rows, columns = image.shape[:2]
    x, foot, thick = dice.real(0, 1) * columns, horizon + dice.real(0.05, 0.4) * rows, dice.real(0.006, 0.02) * columns
    slant = dice.either(0.06) * columns
    top = foot - dice.real(0.3, 0.9) * rows
    colour = draw_colour(dice, (0.0, 0.5))
    _polygon(image, [(x, foot), (x + slant, top), (x + slant + thick, top), (x + thick, foot)], colour)
    if dice.chance(0.5):  # with a lamp or a sign, where a head might be
        wide = thick * dice.real(1.5, 3.5)
        _oval(image, x + slant + thick / 2, top, wide, wide * dice.real(0.8, 1.3), draw_colour(dice))


def _bars(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    """A fence."""
    rows, columns = image.shape[:2]
    x, foot, high = dice.real(-0.1, 0.8) * columns, horizon + dice.real(0, 0.2) * rows, dice.real(0.08, 0.25) * rows
    step, thick = dice.real(0.025, 0.06) * columns, dice.real(0.005, 0.014) * columns
    colour, count = draw_colour(dice, (0.0, 0.5)), dice.whole(4, 9)
    for bar in range(count):
        _box(image, x + bar * step, foot - high, thick, high, colour)
    for share in (0.25, 0.75):
        _box(image, x - step / 2, foot - high * share, step * count, thick, colour)


def _round(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    """A bush, a stone, a ball."""
    rows, columns = image.shape[:2]
    wide = dice.real(0.02, 0.14) * columns
    y = dice.real(max(0.0, horizon / rows - 0.1), 1) * rows
    _oval(image, dice.real(0, 1) * columns, y, wide, wide * dice.real(0.5, 1), draw_colour(dice, (0.05, 0.6)))


def _crate(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    rows, columns = image.shape[:2]
    wide, high = dice.real(0.05, 0.25) * columns, dice.real(0.04, 0.2) * rows
    x, y = dice.real(-0.05, 1) * columns, dice.real(horizon / rows, 1) * rows - high
    colour = draw_colour(dice, (0.05, 0.6))
    _box(image, x, y, wide, high, colour)
    skew = wide * dice.real(0.1, 0.4)
    lid = (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8)
    _polygon(image, [(x, y), (x + skew, y - skew * 0.6), (x + wide + skew, y - skew * 0.6), (x + wide, y)], lid)


def _branch(dice: Dice, image: NDArray[np.uint8], horizon: float) -> None:
    """A bar of the thickness and, at times, the colour of a limb that is nobody's."""
    rows, columns = image.shape[:2]
    length, angle = dice.real(0.06, 0.25) * rows, dice.real(0, np.pi)
    thick = length * dice.real(0.08, 0.16)
    x, y = dice.real(0, 1) * columns, dice.real(0.2, 1) * rows
    dx, dy = np.cos(angle), np.sin(angle)
    ends = [(x, y), (x + dx * length, y + dy * length)]
    (ax, ay), (bx, by) = ends
    colour = dice.pick(SKINS) if dice.chance(0.25) else draw_colour(dice, (0.1, 0.7))
    side = (-dy * thick, dx * thick)
    corners = [(ax + side[0], ay + side[1]), (bx + side[0], by + side[1]), (bx - side[0], by - side[1]), (ax - side[0], ay - side[1])]
    _polygon(image, corners, colour)


#: what may stand behind people
THINGS = {"house": _house, "tree": _tree, "pole": _pole, "bars": _bars, "round": _round, "crate": _crate, "branch": _branch}


def draw_obstacle(dice: Dice, height: int, width: int) -> Cutout:
    """Something as large as the image that stands before people and hides a part of them: a pole, a hedge, a railing."""
    opacity = np.zeros((height, width), np.uint8)
    colour = np.empty((height, width, 3), np.float32)
    colour[:] = draw_colour(dice, (0.0, 0.5))
    colour += _noise(dice, height, width, {9: dice.real(4, 24)})
    white: Colour = (255, 255, 255)
    kind = dice.weighted({"pole": 0.5, "hedge": 0.25, "railing": 0.25})
    if kind == "pole":
        x, thick, slant = dice.real(0.05, 0.95) * width, dice.real(0.02, 0.045) * width, dice.either(0.05) * width
        _polygon(opacity, [(x, -2), (x + thick, -2), (x + thick + slant, height + 2), (x + slant, height + 2)], white)
    elif kind == "hedge":
        x, wide, high = dice.real(-0.1, 0.8) * width, dice.real(0.15, 0.4) * width, dice.real(0.08, 0.22) * height
        _box(opacity, x, height - high, wide, high + 2, white)
        for blob in range(6):
            _oval(opacity, x + wide * blob / 5, height - high, wide * 0.13, wide * dice.real(0.08, 0.16), white)
    else:
        y, thick = dice.real(0.72, 0.92) * height, dice.real(0.015, 0.03) * height
        _box(opacity, -2, y, width + 4, thick, white)
        x, step = dice.real(0, 0.2) * width, dice.real(0.15, 0.3) * width
        while x < width:
            _box(opacity, x, y, thick, height, white)
            x += step
    shown = np.clip(colour, 0, 255) * (opacity[..., None] * np.float32(1 / 255))
    return Cutout(shown.astype(np.uint8), opacity)
