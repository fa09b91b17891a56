"""pytorch-openpose's body protocol, written out plainly: every map as large as the image, every pair of candidates in a loop.

What the zoo's decoder is held against, in its poses (tests/unit/test_paf_decoder.py) and in its time (benchmarks/body_decoder.py).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS
from zoo.pose.geometry import Affine

Array = NDArray[np.float64]

STRIDE, SIGMA, PEAK, SAMPLES, FIELD, SHARE = 8, 3, 0.1, 10, 0.05, 0.8
MIN_KEYPOINTS, MIN_SCORE = 4, 0.4
NO_NEW_PERSON_FROM = 17


def body(heatmaps: NDArray[np.float32], pafs: NDArray[np.float32], affine: Affine) -> tuple[Array, Array]:
    """heatmaps (19, h, w), pafs (38, h, w) -> candidates (M, 4): x, y, score, id; people (N, 20): 18 ids, score, count."""
    return people(image_sized(heatmaps, affine), image_sized(pafs, affine))


def image_sized(maps: NDArray[np.float32], affine: Affine) -> Array:
    """(C, h, w) -> (H, W, C) of the image."""
    left, top, width, height = affine.content
    large = cv2.resize(np.ascontiguousarray(maps.transpose(1, 2, 0)), (0, 0), fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
    large = large[top : top + height, left : left + width]
    return np.asarray(cv2.resize(large, affine.image, interpolation=cv2.INTER_CUBIC), dtype=np.float64)


def people(heat: Array, field: Array) -> tuple[Array, Array]:
    """heat (H, W, 19), field (H, W, 38) -> as `body`."""
    peaks = find_peaks(heat)
    candidates = np.array([row for kind in peaks for row in kind]).reshape(-1, 4)
    subset = np.zeros((0, 20))
    for k, limb in enumerate(OPENPOSE_18_LIMBS):
        for start, end, score in connections(peaks[limb.a], peaks[limb.b], field[:, :, limb.channel : limb.channel + 2]):
            subset = add(subset, candidates, (limb.a, limb.b), (start, end), score, new=k < NO_NEW_PERSON_FROM)
    keep = [row for row in subset if row[19] >= MIN_KEYPOINTS and row[18] / row[19] >= MIN_SCORE]
    return candidates, np.array(keep).reshape(-1, 20)


def find_peaks(heat: Array) -> list[list[tuple[float, ...]]]:
    """Per kind of keypoint: (x, y, score, id), row by row."""
    found: list[list[tuple[float, ...]]] = []
    count = 0
    for kind in range(18):
        raw = heat[:, :, kind]
        smooth = gaussian_filter(raw, sigma=SIGMA)
        beside = []
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            other = np.roll(smooth, step, axis=axis)
            np.moveaxis(other, axis, 0)[0 if step == 1 else -1] = 0
            beside.append(smooth >= other)
        y, x = np.nonzero(np.logical_and.reduce([*beside, smooth > PEAK]))
        found.append([(i, j, raw[j, i], count + n) for n, (i, j) in enumerate(zip(x, y, strict=True))])
        count += len(x)
    return found


def connections(starts: list[tuple[float, ...]], ends: list[tuple[float, ...]], field: Array) -> list[tuple[int, int, float]]:
    """The limbs of one kind, the best first: (id, id, score)."""
    possible = []
    for i, a in enumerate(starts):
        for j, b in enumerate(ends):
            vector = np.subtract(b[:2], a[:2])
            length = max(0.001, math.hypot(*vector))
            vector = vector / length
            points = list(zip(np.linspace(a[0], b[0], SAMPLES), np.linspace(a[1], b[1], SAMPLES), strict=True))
            across = np.array([field[round(y), round(x), 0] for x, y in points])
            down = np.array([field[round(y), round(x), 1] for x, y in points])
            along = across * vector[0] + down * vector[1]
            score = sum(along) / len(along) + min(0.5 * len(field) / length - 1, 0)
            if len(np.nonzero(along > FIELD)[0]) > SHARE * len(along) and score > 0:
                possible.append((i, j, score))
    possible.sort(key=lambda limb: limb[2], reverse=True)
    used_starts, used_ends, chosen = set(), set(), []
    for i, j, score in possible:
        if i not in used_starts and j not in used_ends:
            used_starts.add(i)
            used_ends.add(j)
            chosen.append((int(starts[i][3]), int(ends[j][3]), score))
            if len(chosen) >= min(len(starts), len(ends)):
                break
    return chosen


def add(subset: Array, candidates: Array, kinds: tuple[int, int], ids: tuple[int, int], score: float, new: bool) -> Array:
    """One limb more."""
    (a, b), (start, end) = kinds, ids
    owners = [n for n, row in enumerate(subset) if row[a] == start or row[b] == end]
    if len(owners) == 2:
        one, other = subset[owners[0]], subset[owners[1]]
        if not ((one[:18] >= 0) & (other[:18] >= 0)).any():
            one[:18] += other[:18] + 1
            one[18:] += other[18:]
            one[18] += score
            return np.delete(subset, owners[1], axis=0)
        one[b] = end
        one[19] += 1
        one[18] += candidates[end, 2] + score
    elif len(owners) == 1:
        one = subset[owners[0]]
        if one[b] != end:
            one[b] = end
            one[19] += 1
            one[18] += candidates[end, 2] + score
    elif not owners and new:
        row = np.full(20, -1.0)
        row[a], row[b], row[19] = start, end, 2
        row[18] = candidates[[start, end], 2].sum() + score
        return np.vstack([subset, row])
    return subset
