"""The protocol of MindSpore's OpenPose, written out plainly from its description: every map as large as the input, every pair in a loop.

No output of the original for these maps is at hand: what the zoo's decoder is held against is this.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

#: of each pair of field channels, in their order: from which keypoint to which
LIMBS = (
    *((1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 2), (2, 3), (3, 4), (2, 16)),
    *((1, 5), (5, 6), (6, 7), (5, 17), (1, 0), (0, 14), (0, 15), (14, 16), (15, 17)),
)
EARS = (9, 13)
Peak = tuple[int, int, float]


def enlarged(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """(C, h, w) -> (C, height, width) of `size` (width, height)."""
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in maps]).astype(np.float64)


def peaks(plane: NDArray[np.float64]) -> list[Peak]:
    """x, y and smoothed value, row by row."""
    smooth = np.pad(gaussian_filter(plane, sigma=2.5), 1)
    found = []
    for y in range(1, smooth.shape[0] - 1):
        for x in range(1, smooth.shape[1] - 1):
            value = smooth[y, x]
            if value > 0.05 and all(value > other for other in (smooth[y - 1, x], smooth[y + 1, x], smooth[y, x - 1], smooth[y, x + 1])):
                found.append((x - 1, y - 1, float(value)))
    return found


def limbs(first: list[Peak], second: list[Peak], field: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """field (2, H, W) -> (place in `first`, place in `second`, score), the best first."""
    found = []
    for i, (ax, ay, _) in enumerate(first):
        for j, (bx, by, _) in enumerate(second):
            length = math.hypot(bx - ax, by - ay)
            if not length:
                continue
            along = []
            for step in range(10):
                x, y = round(ax + (bx - ax) * step / 9), round(ay + (by - ay) * step / 9)
                along.append((field[0, y, x] * (bx - ax) + field[1, y, x] * (by - ay)) / length)
            score = sum(along) / 10 + min(field.shape[2] / length - 1, 0)
            if sum(value > 0.05 for value in along) > 8 and score > 0:
                found.append((i, j, score))
    kept: list[tuple[int, int, float]] = []
    for limb in sorted(found, key=lambda limb: -limb[2]):
        if all(limb[0] != other[0] and limb[1] != other[1] for other in kept):
            kept.append(limb)
    return kept


def put_together(found: list[list[Peak]], connected: list[list[tuple[int, int, float]]]) -> list[dict[str, Any]]:
    """People: `ids`, kind -> place among its peaks; `score`; `count`."""
    people: list[dict[str, Any]] = []
    for number, (a, b) in enumerate(LIMBS):
        for i, j, score in connected[number]:
            worth = {a: found[a][i][2], b: found[b][j][2]}
            owners = [person for person in people if person["ids"].get(a) == i or person["ids"].get(b) == j]
            if not owners and number not in EARS:
                people.append({"ids": {a: i, b: j}, "score": sum(worth.values()) + score, "count": 2})
            if len(owners) == 1 and owners[0]["ids"].get(b) != j:
                give(owners[0], b, j, worth[b] + score)
            if len(owners) == 2:
                one, other = owners
                if not set(one["ids"]) & set(other["ids"]):
                    one["ids"] |= other["ids"]
                    one["score"] += other["score"] + score
                    one["count"] += other["count"]
                    people = [person for person in people if person is not other]
                else:
                    for person in owners:
                        if a not in person["ids"]:
                            give(person, a, i, worth[a] + score)
                        elif b not in person["ids"]:
                            give(person, b, j, worth[b] + score)
    return [person for person in people if person["count"] >= 3 and person["score"] / person["count"] >= 0.2]


def give(person: dict[str, Any], kind: int, place: int, worth: float) -> None:
    person["ids"][kind] = place
    person["score"] += worth
    person["count"] += 1


def decode(
    heatmaps: NDArray[np.float32], pafs: NDArray[np.float32], size: tuple[int, int], image: tuple[int, int]
) -> tuple[NDArray[np.float64], list[float]]:
    """heatmaps (19, h, w), pafs (38, h, w), the input's and the image's (width, height) -> (N, 18, 2) image pixels, nan where absent,
    and N scores."""
    heat, field = enlarged(heatmaps, size), enlarged(pafs, size)
    found = [peaks(plane) for plane in heat[:18]]
    connected = [limbs(found[a], found[b], field[2 * number : 2 * number + 2]) for number, (a, b) in enumerate(LIMBS)]
    people = put_together(found, connected)
    points = np.full((len(people), 18, 2), np.nan)
    for row, person in zip(points, people, strict=True):
        for kind, place in person["ids"].items():
            x, y, _ = found[kind][place]
            row[kind] = round(x * image[0] / size[0]), round(y * image[1] / size[1])
    return points, [person["score"] for person in people]
