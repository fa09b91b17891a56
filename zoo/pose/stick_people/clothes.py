"""What people wear: colours and patterns of cloth, skin and hair."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.pose.stick_people.dice import Dice

#: blue, green, red
Colour = tuple[float, float, float]

SKINS: tuple[Colour, ...] = ((180, 206, 240), (150, 182, 226), (128, 162, 212), (98, 134, 190), (70, 102, 158), (50, 74, 118), (38, 54, 86))
HAIRS: tuple[Colour, ...] = ((26, 24, 28), (34, 44, 60), (44, 66, 98), (70, 116, 168), (110, 176, 218), (40, 70, 150), (168, 168, 172))
#: how often each is worn
PATTERNS = {"plain": 0.5, "hoops": 0.16, "stripes": 0.1, "checks": 0.1, "dots": 0.07, "slanting": 0.07}

Pattern = Literal["plain", "hoops", "stripes", "checks", "dots", "slanting"]


@dataclass(frozen=True)
class Outfit:
    """The looks of one person."""

    skin: Colour
    hair: Colour
    top: Colour
    accent: Colour
    """The top's second colour: of its pattern, and of what stands on the chest."""
    bottom: Colour
    shoes: Colour
    pack: Colour
    pattern: Pattern
    period: float
    """Of the pattern, in parts of the stature."""
    sleeves: Literal["long", "short", "none"]
    legs: Literal["trousers", "shorts", "skirt"]
    cut: Literal["short", "long", "bald"]
    """Of the hair."""
    chest: Literal["nothing", "badge", "buttons", "open"]
    """What tells the front from the back, beside the face."""
    backpack: bool


def draw_outfit(dice: Dice, behind: Colour) -> Outfit:
    """Clothes that stand out from the colour `behind` them, and trousers from the top."""
    top = _cloth(dice, (behind,), 75)
    bottom = _cloth(dice, (behind, top), 60)
    skin = dice.pick(SKINS)
    return Outfit(
        skin=tuple(min(255.0, value * dice.real(0.95, 1.06)) for value in skin),  # type: ignore[arg-type]  # three
        hair=dice.pick([hair for hair in HAIRS if apart(hair, skin) > 70]),
        top=top,
        accent=_cloth(dice, (top,), 110),
        bottom=bottom,
        shoes=_cloth(dice, (bottom,), 50),
        pack=_cloth(dice, (top,), 90),
        pattern=dice.weighted(PATTERNS),  # type: ignore[arg-type]  # one of them
        period=dice.real(0.045, 0.085),
        sleeves=dice.weighted({"long": 0.45, "short": 0.4, "none": 0.15}),
        legs=dice.weighted({"trousers": 0.6, "shorts": 0.25, "skirt": 0.15}),
        cut=dice.weighted({"short": 0.6, "long": 0.32, "bald": 0.05}),
        chest=dice.weighted({"nothing": 0.3, "badge": 0.25, "buttons": 0.25, "open": 0.2}),
        backpack=dice.chance(0.2),
    )


def apart(one: Colour, other: Colour) -> float:
    """How unlike two colours are: the distance, with lightness counted more than hue."""
    blue, green, red = (a - b for a, b in zip(one, other, strict=True))
    return float((2 * (0.114 * blue + 0.587 * green + 0.299 * red) ** 2 + (blue**2 + green**2 + red**2) / 3) ** 0.5)


def draw_colour(dice: Dice, saturation: tuple[float, float] = (0.15, 0.9), value: tuple[float, float] = (0.15, 0.97)) -> Colour:
    """Any colour of these saturations and values, from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(dice.real(0, 1), dice.real(*saturation), dice.real(*value))
    return blue * 255, green * 255, red * 255


def _cloth(dice: Dice, others: tuple[Colour, ...], least: float) -> Colour:
    """Cloth that differs from the colours `others`; the most different of a few where none does by `least`."""
    tried = []
    for _ in range(6):
        colour = draw_colour(dice, (0.0, 0.25) if dice.chance(0.3) else (0.3, 0.9))
        tried.append((min(apart(colour, other) for other in others), colour))
        if tried[-1][0] >= least:
            break
    return max(tried)[1]


def pattern_mask(pattern: Pattern, size: tuple[int, int], period: float) -> NDArray[np.bool_]:
    """`size`, rows and columns, or what broadcasts to it: True where the second colour stands. `period` in pixels."""
    down, across = np.arange(size[0])[:, None] / max(period, 4.0), np.arange(size[1])[None] / max(period, 4.0)
    if pattern == "hoops":
        return down % 1 < 0.42
    if pattern == "stripes":
        return across % 1 < 0.35
    if pattern == "checks":
        return (down % 1 < 0.5) ^ (across % 1 < 0.5)
    if pattern == "dots":
        return (down % 1 - 0.5) ** 2 + (across % 1 - 0.5) ** 2 < 0.09
    if pattern == "slanting":
        return (down + across) % 1 < 0.4
    return np.zeros((1, 1), np.bool_)
