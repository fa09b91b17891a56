"""COCO's segmentations: polygons or run lengths, and which pixels of an image they cover."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

#: a corner further off than so many times the image's longer side is no corner: drawing there would take memory without end
AFAR = 10


class _Runs(msgspec.Struct):
    """Lengths of runs, column by column, of what is not covered and of what is in turns; as numbers, or packed into text."""

    size: tuple[int, int]
    counts: list[int] | str


_Segmentation = list[list[float]] | _Runs
#: what can be drawn: polygons as COCO has them, or the lengths of the runs
Drawable = list[list[float]] | NDArray[np.int64]


def drawable(segmentation: Any, height: int, width: int) -> Drawable:
    """What an annotation of an image of that size has under `segmentation`, as JSON (`msgspec.Raw`) or as it is read from there.

    Polygons of fewer than three corners enclose nothing and are left out: COCO has such.
    Raises ValueError, in words that go on after "its segmentation", where it is none or does not fit the image."""
    try:
        if isinstance(segmentation, msgspec.Raw):
            read = msgspec.json.decode(segmentation, type=_Segmentation)
        else:
            read = msgspec.convert(segmentation, _Segmentation)
    except msgspec.ValidationError as error:
        raise ValueError(f"is neither polygons nor run lengths: {error}") from error
    return _runs(read, height, width) if isinstance(read, _Runs) else _polygons(read, height, width)


def covered(what: Drawable, height: int, width: int) -> NDArray[np.bool_]:
    """(H, W), True where a pixel belongs to it. Which lie within polygons is pycocotools' word, as it is for all masks of COCO."""
    if isinstance(what, list):
        from pycocotools import mask

        what = _unpacked(mask.merge(mask.frPyObjects(what, height, width))["counts"].decode())
    return np.repeat(np.arange(len(what)) % 2 == 1, what).reshape(width, height).T


def _polygons(polygons: list[list[float]], height: int, width: int) -> list[list[float]]:
    whole = [polygon for polygon in polygons if len(polygon) >= 6]
    if not whole:
        raise ValueError("has no polygon of three corners")
    bound = AFAR * max(height, width)
    for polygon in whole:
        if len(polygon) % 2:
            raise ValueError(f"has a polygon of {len(polygon)} numbers, which are no corners of x, y")
        if not np.abs(polygon).max() <= bound:  # nor is what is no number
            raise ValueError(f"has a corner more than {bound} pixels away from an image of {width}x{height}")
    return whole


def _runs(runs: _Runs, height: int, width: int) -> NDArray[np.int64]:
    if runs.size != (height, width):
        raise ValueError(f"is of an image of {runs.size[1]}x{runs.size[0]}, and not of {width}x{height}")
    try:
        lengths = _unpacked(runs.counts) if isinstance(runs.counts, str) else np.array(runs.counts, np.int64)
    except OverflowError:
        raise ValueError("has a run of more pixels than can be counted") from None
    if (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(f"has runs of {int(lengths.sum())} pixels together, and not of the image's {height * width}")
    return lengths


def _unpacked(text: str) -> NDArray[np.int64]:
    """The lengths in COCO's packed form, as maskApi.c of pycocotools writes it: five bits of a number in each character, the lowest
    first, a sixth where more follow; the last one's highest bit is the sign. From the fourth on, a number is the difference to the
    last but one."""
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if not len(codes) or (codes < 0).any() or (codes > 63).any() or codes[-1] & 32:
        raise ValueError("has packed run lengths that are damaged or cut off")
    last = np.flatnonzero(codes & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    digits = last - first + 1
    if digits.max() > 7:
        raise ValueError("has packed run lengths that are damaged: a number of more than 35 bits")
    places = np.arange(len(codes)) - np.repeat(first, digits)
    numbers = np.add.reduceat((codes & 31) << (5 * places), first) - np.where(codes[last] & 16, 1 << (5 * digits), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
