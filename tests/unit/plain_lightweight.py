"""Lightweight OpenPose's demo protocol, written out plainly: maps four times as large, then NumPy, limb by limb.

What the zoo's decoder is held against in its poses (tests/unit/test_paf_decoder.py) and in its time (benchmarks/decode.py). As in the
original, all pairs of one kind of limb are scored at once; only what is few goes through loops.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS
from zoo.pose.geometry import Affine

Array = NDArray[np.float64]

STRIDE, ENLARGED, PEAK, DISTANCE, SAMPLES, FIELD, SHARE = 8, 4, 0.1, 6, 10, 0.05, 0.8
MIN_KEYPOINTS, MIN_SCORE = 3, 0.2


def people(heatmaps: NDArray[np.float32], pafs: NDArray[np.float32], affine: Affine) -> tuple[Array, Array]:
    """heatmaps (19, h, w), pafs (38, h, w) -> keypoints (N, 18, 2) in whole pixels of the image, -1 for none, and scores (N,)."""
    return grouped(enlarged(heatmaps), enlarged(pafs), affine)


def grouped(heat: NDArray[np.float32], field: NDArray[np.float32], affine: Affine) -> tuple[Array, Array]:
    """`people` of maps that are enlarged: (4 h, 4 w, 19), (4 h, 4 w, 38)."""
    kinds, count = [], 0
    for kind in range(18):
        kinds.append(peaks(heat[:, :, kind], count))
        count += len(kinds[-1])
    candidates = np.array([row for kind in kinds for row in kind]).reshape(-1, 4)
    entries: list[Array] = []
    for limb in OPENPOSE_18_LIMBS:
        found = connections(kinds[limb.a], kinds[limb.b], field[:, :, limb.channel : limb.channel + 2])
        add(entries, candidates, (limb.a, limb.b), found, limb.fills_gaps)
    kept = [entry for entry in entries if entry[19] >= MIN_KEYPOINTS and entry[18] / entry[19] >= MIN_SCORE]
    keypoints, scores = np.full((len(kept), 18, 2), -1.0), np.array([entry[18] for entry in kept])
    left, top, _, down = affine.content
    for place, entry in enumerate(kept):
        for kind in range(18):
            if entry[kind] >= 0:
                x, y = candidates[int(entry[kind]), :2] * STRIDE / ENLARGED - (left, top)
                keypoints[place, kind] = np.trunc(x * (affine.image[1] / down)), np.trunc(y * (affine.image[1] / down))
    return keypoints, scores


def enlarged(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, h, w) -> (4 h, 4 w, C)"""
    flat = np.ascontiguousarray(maps.transpose(1, 2, 0))
    return np.asarray(cv2.resize(flat, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC))


def peaks(heat: NDArray[np.float32], count: int) -> list[tuple[float, ...]]:
    """(x, y, score, id) of one kind: above the four neighbours, from left to right, none near one before."""
    cut = np.where(heat < PEAK, 0, heat)
    framed = np.pad(cut, 1)
    above = [cut > framed[1 + j : 1 + j + len(cut), 1 + i : 1 + i + cut.shape[1]] for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    y, x = np.nonzero(above[0] & above[1] & above[2] & above[3])
    places = sorted(zip(x.tolist(), y.tolist(), strict=True))
    gone, found = [False] * len(places), list[tuple[float, ...]]()
    for n, (i, j) in enumerate(places):
        if gone[n]:
            continue
        for m in range(n + 1, len(places)):
            if (places[m][0] - i) ** 2 + (places[m][1] - j) ** 2 < DISTANCE**2:
                gone[m] = True
        found.append((i, j, float(heat[j, i]), count + len(found)))
    return found


def connections(starts: list[tuple[float, ...]], ends: list[tuple[float, ...]], field: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """The limbs of one kind, the best first: (id, id, score)."""
    if not starts or not ends:
        return []
    a, b = np.array(starts, np.float32)[:, :2], np.array(ends, np.float32)[:, :2]
    first = np.tile(a, (len(b), 1))
    vector = np.repeat(b, len(a), axis=0) - first
    unit = vector / (np.linalg.norm(vector, axis=1, keepdims=True) + np.float32(1e-6))
    steps = (np.float32(1 / (SAMPLES - 1)) * vector)[:, None] * np.arange(SAMPLES, dtype=np.float32)[:, None] + first[:, None]
    places = np.rint(steps).astype(np.int32)
    along = (field[places[..., 1], places[..., 0]] * unit[:, None]).sum(axis=-1)
    counted = along > FIELD
    number = counted.sum(axis=1)
    scores = (along * counted).sum(axis=1) / (number + 1e-6)
    good = np.flatnonzero((scores > 0) & (number / SAMPLES > SHARE))
    chosen, used_a, used_b = list[tuple[int, int, float]](), set[int](), set[int]()
    for pair in good[np.argsort(scores[good], kind="stable")[::-1]].tolist():
        end, start = divmod(pair, len(a))
        if start not in used_a and end not in used_b:
            used_a.add(start)
            used_b.add(end)
            chosen.append((int(starts[start][3]), int(ends[end][3]), float(scores[pair])))
    return chosen


def add(entries: list[Array], candidates: Array, kinds: tuple[int, int], found: list[tuple[int, int, float]], fills_gaps: bool) -> None:
    """The limbs of one kind more."""
    a, b = kinds
    for start, end, score in found:
        if fills_gaps:
            for entry in entries:
                if entry[a] == start and entry[b] == -1:
                    entry[b] = end
                elif entry[b] == end and entry[a] == -1:
                    entry[a] = start
            continue
        owner = next((entry for entry in entries if entry[a] == start), None)
        if owner is None:
            owner = np.full(20, -1.0)
            owner[a], owner[b], owner[19] = start, end, 2
            owner[18] = candidates[start, 2] + candidates[end, 2] + score
            entries.append(owner)
        else:
            owner[b] = end
            owner[18] += candidates[end, 2] + score
            owner[19] += 1
