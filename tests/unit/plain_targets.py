"""Heatmaps and part affinity fields, drawn cell by cell: what `Targets` is held against, in its values (tests/unit/test_targets.py) and in
its time (benchmarks/training_input.py)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS, OPENPOSE_18_LIMBS
from zoo.training.targets import Targets

Maps = NDArray[np.float64]


def maps(targets: Targets, people: NDArray[Any], height: int, width: int) -> tuple[Maps, Maps]:
    """As `Targets.maps`, in float64."""
    rows, columns = height // targets.stride, width // targets.stride
    return heatmaps(targets, people, rows, columns), fields(targets, people, rows, columns)


def heatmaps(targets: Targets, people: NDArray[Any], rows: int, columns: int) -> Maps:
    drawn = np.zeros((KEYPOINTS + 1, rows, columns))
    middle = targets.stride / 2 - 0.5
    for person in people.tolist():
        for kind, (x, y, v) in enumerate(person):
            if v <= 0:
                continue
            for row in range(rows):
                for column in range(columns):
                    squared = (column * targets.stride + middle - x) ** 2 + (row * targets.stride + middle - y) ** 2
                    value = math.exp(-squared / (2 * targets.sigma**2))
                    if value < 0.01:
                        continue
                    before = drawn[kind, row, column]
                    drawn[kind, row, column] = min(before + value, 1) if targets.people == "sum" else max(before, value)
    drawn[-1] = 1 - drawn[:-1].max(axis=0)
    return drawn


def fields(targets: Targets, people: NDArray[Any], rows: int, columns: int) -> Maps:
    drawn, count = np.zeros((FIELDS, rows, columns)), np.zeros((FIELDS, rows, columns))
    for person in people.tolist():
        for limb in OPENPOSE_18_LIMBS:
            (ax, ay, a), (bx, by, b) = person[limb.a], person[limb.b]
            if a <= 0 or b <= 0:
                continue
            start, end = (ax / targets.stride, ay / targets.stride), (bx / targets.stride, by / targets.stride)
            length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
            if length < 1e-7:
                continue
            unit = (end[0] - start[0]) / length, (end[1] - start[1]) / length
            for row, column in cells(targets, start, end, rows, columns):
                for channel, part in zip((limb.channel, limb.channel + 1), unit, strict=True):
                    before = drawn[channel, row, column] if targets.limbs == "mean" else 0
                    drawn[channel, row, column] = before + part
                    count[channel, row, column] += 1
    return drawn / np.maximum(count, 1) if targets.limbs == "mean" else drawn


def cells(targets: Targets, start: Any, end: Any, rows: int, columns: int) -> list[tuple[int, int]]:
    """(row, column) of those that are a limb's."""
    width, length = targets.width / targets.stride, math.dist(start, end)
    unit = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    middle = (targets.stride - 1) / 2 / targets.stride if targets.region == "band" else 0
    found = []
    for row in range(rows):
        for column in range(columns):
            x, y = column + middle - start[0], row + middle - start[1]
            if abs(x * unit[1] - y * unit[0]) > width:
                continue
            if targets.region == "band":
                inside = 0 <= x * unit[0] + y * unit[1] <= length
            else:
                inside = all(
                    int(max(min(a, b) - width, 0)) <= cell < int(min(max(a, b) + width, limit))
                    for a, b, cell, limit in zip(start, end, (column, row), (columns, rows), strict=True)
                )
            if inside:
                found.append((row, column))
    return found
