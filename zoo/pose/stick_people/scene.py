"""`draw`: one scene, as an image and what is to be known of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoo.pose.stick_people.clothes import Colour
from zoo.pose.stick_people.dice import Dice
from zoo.pose.stick_people.drawing import VERSION, Drawing
from zoo.pose.stick_people.paint import Cutout, Figure, draw_figure
from zoo.pose.stick_people.surroundings import draw_obstacle, draw_surroundings

#: what `Scene.owners` says of pixels that belong to none of the people
NOBODY, CROWD, OBSTACLE = 0, 255, 254
#: how often it is tried to find a place for somebody
TRIES = 14
#: how high the people of a crowd are, in pixels of an image of 256 rows
SMALL = (20.0, 38.0)


@dataclass(frozen=True)
class Person:
    """Somebody in a scene."""

    keypoints: NDArray[np.float64]
    """(17, 3) x, y in pixels of the image, the middle of the first being 0, 0; and COCO's visibility: 2 seen, 1 hidden by
    somebody, something or the person itself, 0 (and 0, 0) outside of the image."""
    height: float
    """From the highest to the lowest of their pixels, were nothing before them and the image large enough."""
    whole: NDArray[np.bool_]
    """(h, w) all their pixels, were nothing before them, ..."""
    corner: tuple[int, int]
    """... and x, y of the first of them in the image, which may lie outside."""


@dataclass(frozen=True)
class Scene:
    """What `draw` gives."""

    image: NDArray[np.uint8]
    """(H, W, 3) blue, green, red."""
    owners: NDArray[np.uint8]
    """(H, W) whose pixel it is: 1 for the first of `people` and so on, or `CROWD`, `OBSTACLE`, `NOBODY`."""
    people: tuple[Person, ...]
    crowd: bool
    """Whether there is a crowd, of which something is seen."""


@dataclass
class _Stage:
    """What has been laid over the image, the nearest first."""

    height: int
    width: int
    colour: NDArray[np.float32] = field(init=False)
    opacity: NDArray[np.float32] = field(init=False)
    owners: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.colour = np.zeros((self.height, self.width, 3), np.float32)
        self.opacity = np.zeros((self.height, self.width), np.float32)
        self.owners = np.zeros((self.height, self.width), np.uint8)

    def windows(self, cutout: Cutout, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the image that a cutout at x, y covers, and the part of the cutout that lies there."""
        rows, columns = cutout.opacity.shape
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + columns, self.width), min(y + rows, self.height)
        right, bottom = max(right, left), max(bottom, top)
        return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))

    def free(self, cutout: Cutout, x: int, y: int) -> tuple[float, float]:
        """Which part of a cutout would lie in the image, and which part would be seen."""
        here, there = self.windows(cutout, x, y)
        own = cutout.own
        inside, total = own[there], max(1, int(np.count_nonzero(own)))
        return np.count_nonzero(inside) / total, np.count_nonzero(inside & (self.owners[here] == NOBODY)) / total

    def lay(self, cutout: Cutout, x: int, y: int, owner: int) -> None:
        """Lay a cutout behind everything that is there."""
        here, there = self.windows(cutout, x, y)
        left = (1 - self.opacity[here]) * np.float32(1 / 255)
        self.colour[here] += cutout.colour[there] * (left * 255)[..., None]
        self.opacity[here] += cutout.opacity[there] * left
        owners = self.owners[here]
        owners[cutout.own[there] & (owners == NOBODY)] = owner

    def before(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """All of it over an image."""
        over: NDArray[np.float32] = self.colour + image * (1 - self.opacity)[..., None]
        return over


def draw(seed: int, index: int, drawing: Drawing) -> Scene:
    """Scene `index` of `seed`: always the same of the same `VERSION`."""
    dice = Dice(VERSION, seed, index)
    height, width = drawing.size
    stage, behind = _Stage(height, width), draw_surroundings(dice, height, width)
    light, mean = float(dice.sign()), behind.mean
    if dice.chance(0.15):
        stage.lay(draw_obstacle(dice, height, width), 0, 0, OBSTACLE)
    wanted = dice.whole(*drawing.people)
    low, high = drawing.heights
    # rather tall; the tallest are the nearest
    heights = sorted((low + 2 + (high - low - 4) * dice.real(0, 1) ** 0.8 for _ in range(wanted)), reverse=True)
    placed: list[tuple[Figure, int, int]] = []
    for tall in heights:
        found = _find(dice, stage, placed, tall, drawing, behind.horizon, mean, light)
        if found:
            placed.append(found)
            stage.lay(found[0].cutout, found[1], found[2], len(placed))
    crowd = dice.chance(drawing.crowds) and _crowd(dice, stage, behind.horizon, mean, light)
    ground = _shadowed(behind.image, placed)
    image = _photographed(dice, stage.before(ground))
    people = tuple(_person(stage, one, number) for number, one in enumerate(placed, 1))
    return Scene(image, stage.owners, people, crowd)


def _find(
    dice: Dice,
    stage: _Stage,
    placed: list[tuple[Figure, int, int]],
    high: float,
    drawing: Drawing,
    horizon: float,
    mean: Colour,
    light: float,
) -> tuple[Figure, int, int] | None:
    """Somebody of this height, and where enough of them is seen; smaller where there is no room; None where there is none at all."""
    lowest = drawing.heights[0] + 1
    while True:
        figure = draw_figure(dice, high, mean, light)
        whole = 0.97 if dice.chance(0.75) else 0.6
        beside = placed[dice.whole(0, len(placed) - 1)] if placed and dice.chance(0.4) else None
        for attempt in range(TRIES):
            x, y = _spot(dice, figure, high, drawing, horizon, beside if attempt < TRIES // 2 else None)
            inside, free = stage.free(figure.cutout, x, y)
            if inside >= whole and free >= 0.6 * inside:
                return figure, x, y
        if high <= lowest:
            return None
        high = max(lowest, high * 0.7)


def _spot(
    dice: Dice, figure: Figure, high: float, drawing: Drawing, horizon: float, beside: tuple[Figure, int, int] | None
) -> tuple[int, int]:
    """A place for a figure's first pixel: anywhere, or so near to somebody that both overlap."""
    rows, columns = figure.cutout.opacity.shape
    height, width = drawing.size
    share = min(1.0, high / (0.78 * height))
    foot = horizon + (height * 0.985 - horizon) * share**0.8 + dice.either(0.07) * height
    foot = max(foot, high * 0.98)
    if beside:
        other, left, _ = beside
        middle = left + other.cutout.opacity.shape[1] / 2 + dice.sign() * dice.real(0.15, 0.45) * (other.cutout.opacity.shape[1] + columns)
    else:
        middle = dice.real(-0.05, 1.05) * width
    return round(middle - columns / 2), round(foot - rows)


def _crowd(dice: Dice, stage: _Stage, horizon: float, mean: Colour, light: float) -> bool:
    """Small people close together, behind all others; whether a fair part of them is seen."""
    import cv2

    scale = stage.height / 256
    high = dice.real(*SMALL) * scale
    figures = [draw_figure(dice, high * dice.real(0.85, 1.1), mean, light) for _ in range(dice.whole(6, 11))]
    step = high * dice.real(0.22, 0.36)
    span = step * (len(figures) - 1) + high
    best: tuple[float, list[tuple[int, int]]] = (0.0, [])
    for _ in range(6):
        left, foot = dice.real(0, max(1.0, stage.width - span)), horizon + dice.real(0.02, 0.12) * stage.height
        spots = []
        for number, figure in enumerate(figures):
            rows, columns = figure.cutout.opacity.shape
            spots.append((round(left + high / 2 + number * step - columns / 2), round(foot + dice.either(0.12) * high - rows)))
        share = sum(stage.free(figure.cutout, *spot)[1] for figure, spot in zip(figures, spots, strict=True)) / len(figures)
        best = max(best, (share, spots))
    if best[0] < 0.4:
        return False
    for figure, spot in zip(figures, best[1], strict=True):
        stage.lay(figure.cutout, *spot, CROWD)
    # what is between them belongs to the region, as in COCO, where it is outlined as a whole
    side = 2 * round(0.2 * high) + 1
    whole = cv2.morphologyEx((stage.owners == CROWD).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    stage.owners[(whole > 0) & (stage.owners == NOBODY)] = CROWD
    return True


def _shadowed(image: NDArray[np.float32], placed: list[tuple[Figure, int, int]]) -> NDArray[np.float32]:
    """The ground with the shadow that everybody stands on."""
    import cv2

    shadow = np.zeros(image.shape[:2], np.float32)
    for figure, x, y in placed:
        rows = figure.cutout.opacity.shape[0]
        feet = figure.keypoints[15:17, 0]
        middle, wide = (int(x + feet.mean()), y + rows - 3), (int(np.ptp(feet) / 2 + rows * 0.09), max(1, int(rows * 0.03)))
        cv2.ellipse(shadow, middle, wide, 0, 0, 360, 0.42, -1)
    shaded: NDArray[np.float32] = image * (1 - cv2.blur(shadow, (7, 7)))[..., None]
    return shaded


def _photographed(dice: Dice, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """As a camera has it: brighter or darker, not quite sharp, with grain."""
    import cv2

    if dice.chance(0.4):
        image = cv2.GaussianBlur(image, (5, 5), dice.real(0.4, 0.9))
    strength = dice.real(4, 20)
    grain = cv2.merge([dice.reals(*image.shape[:2])] * 3)
    brightness = dice.real(-12, 12) - strength / 2
    return np.asarray(cv2.addWeighted(image, dice.real(0.8, 1.15), grain, strength, brightness, dtype=cv2.CV_8U))


def _person(stage: _Stage, placed: tuple[Figure, int, int], number: int) -> Person:
    figure, x, y = placed
    points = np.zeros((17, 3))
    points[:, :2] = np.round(figure.keypoints + np.array([x, y]), 2)
    at = np.rint(points[:, :2]).astype(int)
    inside = ((at >= 0) & (at < (stage.width, stage.height))).all(axis=1)
    owner = stage.owners[at[inside, 1], at[inside, 0]]
    points[inside, 2] = np.where(figure.seen[inside] & (owner == number), 2, 1)
    points[~inside] = 0
    own = figure.cutout.own
    rows = np.flatnonzero(own.any(axis=1))
    return Person(points, float(rows[-1] - rows[0] + 1), own, (x, y))
