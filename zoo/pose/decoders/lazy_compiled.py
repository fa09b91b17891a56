"""`lazy.py` and `assemble.attach` compiled by Numba: the whole way from maps to people, the same numbers to the last bit.

Whoever changes one changes the other; tests/unit/test_lazy_compiled.py holds them together. Only `lazy.compiled` imports this
module, by its name: a figure is what NumPy computes, so this file is no part of the code that figures depend on.

It is one file, though a long one: what Numba keeps on disk it makes anew when the file of a function changes, and not when that
of a function that it calls does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zoo.pose.decoders.assemble import Assembled
from zoo.pose.decoders.candidates import MOST, Candidates
from zoo.pose.decoders.connect import LimbScoring
from zoo.pose.decoders.lazy import OVERSHOOT, REACH, TAPS, Frame, bicubic
from zoo.pose.decoders.limbs import KEYPOINTS, OPENPOSE_18_LIMBS
from zoo.pose.decoders.peaks import FourNeighbours

LIMBS = np.array(OPENPOSE_18_LIMBS, dtype=np.intp)
LOWER, HIGHEST, TIED = 0, 1, 2
compiled = njit(cache=True, nogil=True)


def find(
    heatmaps: NDArray[np.float32], pafs: NDArray[np.float32], frame: Frame, peaks: FourNeighbours, limbs: LimbScoring
) -> tuple[Candidates, Assembled]:
    """heatmaps (18, h, w), pafs (38, h, w), contiguous -> candidates, and all people that `attach` makes of them."""
    threshold = np.float32(peaks.threshold)
    reach = limbs.reach(pafs.shape[1] * frame.factor, pafs.shape[2] * frame.factor)
    # NumPy compares many cells at once, which is most of the work
    high = np.flatnonzero(heatmaps.reshape(-1) >= np.float32(peaks.threshold / OVERSHOOT))
    points, values, starts, ids, scores, counts = _people(
        *(_read_only(heatmaps), _read_only(pafs), high, threshold, bicubic(frame.factor)),
        *(frame.content, frame.scale, float(peaks.distance)),
        *(_probes(limbs), limbs.samples, np.float32(1 / (limbs.samples - 1)), np.float32(limbs.threshold), limbs.passed),
        *(limbs.average == "all", reach, LIMBS),
    )
    return Candidates(points, values, starts), Assembled(ids, scores, counts)


def _read_only(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """A view: to Numba what may be written is of another type, for which all would be compiled a second time."""
    view = maps.view()
    view.flags.writeable = False
    return view


def _probes(limbs: LimbScoring) -> tuple[NDArray[np.intp], int]:
    """The samples that are read first, and how many may fail."""
    probes = limbs.probes()
    return np.array(probes), len(probes) - 1


@compiled
def _people(
    heatmaps: Any, pafs: Any, high: Any, threshold: Any, weights: Any, content: Any, scale: Any, distance: Any,
    probes: Any, samples: Any, step: Any, counting: Any, passed: Any, average_all: Any, reach: Any, limbs: Any,
) -> Any:  # fmt: skip
    factor = len(weights)
    cells = _maxima(heatmaps, high)
    points, values, starts = _peaks(heatmaps, cells, threshold, weights, content, scale, distance)
    a, b, found, ends = _connect(pafs, points, starts, factor, probes, samples, step, counting, passed, average_all, reach, limbs)
    ids, scores, counts = _attach(values, a, b, found, ends, limbs)
    return points, values, starts, ids, scores, counts


@compiled
def _rank(plane: Any, y: Any, x: Any) -> Any:
    """Whether a neighbour is higher than this cell or none is, and whether one is as high."""
    height, width = plane.shape
    value = plane[y, x]
    tied = False
    for j in range(max(y - 1, 0), min(y + 2, height)):
        for i in range(max(x - 1, 0), min(x + 2, width)):
            other = plane[j, i]
            if not value >= other:
                return LOWER
            tied |= value == other and (j != y or i != x)
    return TIED if tied else HIGHEST


@compiled
def _maxima(planes: Any, high: Any) -> Any:
    """See `lazy.maxima`: the numbers of the cells, ascending, of those that are `high` enough."""
    _, height, width = planes.shape
    area = height * width
    found, count = np.empty(len(high), np.intp), 0
    seen = np.zeros(0, np.uint8)
    for cell in high:
        k = cell // area
        y, x = (cell - k * area) // width, cell % width
        rank = _rank(planes[k], y, x)
        if rank == HIGHEST:
            found[count] = cell
            count += 1
        elif rank == TIED:
            if not len(seen):
                seen = np.zeros(planes.size, np.uint8)
            if not seen[cell]:
                middle = _middle(planes[k], y, x, seen[k * area : (k + 1) * area])
                if middle >= 0:
                    found[count] = k * area + middle
                    count += 1
    if len(seen):
        found[:count].sort()
    return found[:count]


@compiled
def _middle(plane: Any, y: Any, x: Any, seen: Any) -> Any:
    """See `lazy._middles`: the middle cell of the plateau of y, x; -1 for a terrace."""
    height, width = plane.shape
    plateau = [y * width + x]
    seen[y * width + x] = 1
    alone = True
    place = 0
    while place < len(plateau):
        y, x = plateau[place] // width, plateau[place] % width
        place += 1
        for j in range(max(y - 1, 0), min(y + 2, height)):
            for i in range(max(x - 1, 0), min(x + 2, width)):
                other = j * width + i
                if not seen[other] and plane[j, i] == plane[y, x]:
                    if _rank(plane, j, i) == LOWER:
                        alone = False
                    else:
                        seen[other] = 1
                        plateau.append(other)
    if not alone:
        return -1
    count, down, across = len(plateau), 0, 0
    for member in plateau:
        down += member // width
        across += member % width
    best, least = -1, 0
    for member in plateau:
        far = (count * (member // width) - down) ** 2 + (count * (member % width) - across) ** 2
        if best < 0 or far < least or (far == least and member < best):
            best, least = member, far
    return best


@compiled
def _peaks(planes: Any, cells: Any, threshold: Any, weights: Any, content: Any, scale: Any, distance: Any) -> Any:
    """See `lazy.find_peaks`: points (M, 2), values (M,), starts (K + 1,)."""
    kinds, height, width = planes.shape
    factor = len(weights)
    left, top = content[0], content[1]
    right, bottom = left + content[2] - 1, top + content[3] - 1
    taps = np.ascontiguousarray(weights.T)
    patch, lines = np.empty((TAPS, TAPS), np.float32), np.empty((TAPS, factor), np.float32)
    pixels = np.empty((factor, factor), np.float32)
    kind, across, down = np.empty(len(cells), np.intp), np.empty(len(cells), np.intp), np.empty(len(cells), np.intp)
    value = np.empty(len(cells), np.float32)
    count, widest = 0, 0.0
    for cell in cells:
        k, y, x = cell // (height * width), cell // width % height, cell % width
        for j in range(TAPS):
            row = min(max(y + j - REACH, 0), height - 1)
            for i in range(TAPS):
                patch[j, i] = planes[k, row, min(max(x + i - REACH, 0), width - 1)]
        _enlarge(patch, taps, lines, pixels)
        best, best_y, best_x = pixels[0, 0], 0, 0
        sound = True
        for j in range(factor):
            for i in range(factor):
                sound &= not math.isnan(pixels[j, i])
                if pixels[j, i] > best:
                    best, best_y, best_x = pixels[j, i], j, i
        i, j = x * factor + best_x, y * factor + best_y
        wide = i >= left - factor and i <= right + factor
        high = j >= top - factor and j <= bottom + factor
        if sound and best >= threshold and best < np.inf and wide and high:
            kind[count], across[count], down[count] = k, min(max(i, left), right), min(max(j, top), bottom)
            value[count] = best
            widest = max(widest, across[count] * scale[0])
            count += 1
    span = int(widest) + int(distance) + 2
    points, values = np.empty((count, 2)), np.empty(count)
    starts = np.empty(kinds + 1, np.intp)
    first, kept = 0, 0
    for k in range(kinds):
        starts[k] = kept
        last = first
        while last < count and kind[last] == k:
            last += 1
        if last > first:
            order = first + np.argsort(across[first:last] * (height * factor) + down[first:last], kind="mergesort")
            order = order[_apart(across[order] * scale[0], down[order] * scale[1], k * span, distance)]
            if len(order) > MOST:
                chosen = np.argsort(-value[order], kind="mergesort")[:MOST]
                chosen.sort()
                order = order[chosen]
            for i in order:
                points[kept, 0], points[kept, 1], values[kept] = across[i], down[i], value[i]
                kept += 1
        first = last
    starts[kinds] = kept
    return points[:kept], values[:kept], starts


@compiled
def _enlarge(patch: Any, taps: Any, lines: Any, pixels: Any) -> None:
    """patch (TAPS, TAPS) -> pixels (factor, factor) of its middle cell."""
    factor = taps.shape[1]
    for i in range(TAPS):
        for j in range(factor):
            lines[i, j] = taps[0, j] * patch[0, i]
        for tap in range(1, TAPS):
            for j in range(factor):
                lines[i, j] += taps[tap, j] * patch[tap, i]
    for j in range(factor):
        for i in range(factor):
            pixels[j, i] = taps[0, i] * lines[0, j]
        for tap in range(1, TAPS):
            for i in range(factor):
                pixels[j, i] += taps[tap, i] * lines[tap, j]


@compiled
def _apart(x: Any, y: Any, shift: Any, distance: Any) -> Any:
    """See `FourNeighbours.apart`, of one kind: which are kept (M,)."""
    kept = np.ones(len(x), np.bool_)
    for i in range(len(x)):
        if kept[i]:
            end = (shift + x[i]) + distance
            for j in range(i + 1, len(x)):
                if not shift + x[j] < end:
                    break
                if not math.hypot(x[j] - x[i], y[j] - y[i]) >= distance:
                    kept[j] = False
    return kept


@compiled
def _connect(
    fields: Any, points: Any, starts: Any, factor: Any, probes: Any, samples: Any, step: Any, counting: Any, passed: Any,
    average_all: Any, reach: Any, limbs: Any,
) -> Any:  # fmt: skip
    """See `connect.connect` and `lazy.SampledLimbs`: the ends a and b and the score of each limb, and where each kind of limb ends."""
    cells = ((points + 0.5) / factor - 0.5).astype(np.float32)
    most = 0
    for limb in range(len(limbs)):
        one, other = limbs[limb, 0], limbs[limb, 1]
        most += min(starts[one + 1] - starts[one], starts[other + 1] - starts[other])
    a, b, found = np.empty(most, np.intp), np.empty(most, np.intp), np.empty(most)
    ends = np.empty(len(limbs), np.intp)
    taken = np.empty(len(points), np.intp)
    taken[:] = -1
    kept = 0
    for limb in range(len(limbs)):
        first_a, last_a = starts[limbs[limb, 0]], starts[limbs[limb, 0] + 1]
        first_b, last_b = starts[limbs[limb, 1]], starts[limbs[limb, 1] + 1]
        across, down = fields[limbs[limb, 2]], fields[limbs[limb, 2] + 1]
        pairs, scores = [(0, 0) for _ in range(0)], [0.0 for _ in range(0)]
        for end in range(first_b, last_b):
            for start in range(first_a, last_a):
                line = (
                    cells[start, 0], cells[start, 1],
                    np.float32((points[end, 0] - points[start, 0]) / factor), np.float32((points[end, 1] - points[start, 1]) / factor),
                )  # fmt: skip
                score = _score(across, down, line, probes, samples, step, counting, passed, average_all, reach, factor)
                if score > 0:
                    pairs.append((start, end))
                    scores.append(score)
        if scores:
            order = np.argsort(np.array(scores), kind="mergesort")
            for place in order[::-1]:
                start, end = pairs[place]
                if taken[start] != limb and taken[end] != limb:
                    taken[start] = taken[end] = limb
                    a[kept], b[kept], found[kept] = start, end, scores[place]
                    kept += 1
        ends[limb] = kept
    return a, b, found, ends


@compiled
def _score(
    across: Any, down: Any, line: Any, probes: Any, samples: Any, step: Any, counting: Any, passed: Any, average_all: Any,
    reach: Any, factor: Any,
) -> Any:  # fmt: skip
    """Of one pair, whose line is x and y of start and vector in cells; 0 for one that is no limb."""
    x, y, vector_x, vector_y = line
    length = np.sqrt(vector_x * vector_x + vector_y * vector_y)
    right, below = vector_x / (length + np.float32(1e-6)), vector_y / (length + np.float32(1e-6))
    indices, spare = probes
    alive = False
    for sample in indices:
        time = np.float32(sample) * step
        if _along(across, down, x + time * vector_x, y + time * vector_y, right, below) > counting:
            alive = True
            break
    if not alive:
        return 0.0
    total, count = np.float32(0), 0
    for sample in range(samples):
        time = np.float32(sample) * step
        along = _along(across, down, x + time * vector_x, y + time * vector_y, right, below)
        if along > counting:
            count += 1
            total += along
        elif sample + 1 - count > spare:
            return 0.0
        elif average_all:
            total += along
    found = np.float64(total) / samples if average_all else np.float64(total) / (count + 1e-6)
    found += min(reach / max(np.float64(length) * factor, 1e-6) - 1, 0.0)
    if count / samples > passed and found < np.inf:
        return found
    return 0.0


@compiled
def _along(across: Any, down: Any, x: Any, y: Any, right: Any, below: Any) -> Any:
    """The field's projection on a direction, at x and y in cells, bilinear."""
    height, width = across.shape
    x = min(max(x, np.float32(0)), np.float32(width - 1))
    y = min(max(y, np.float32(0)), np.float32(height - 1))
    i, j = min(np.intp(x), max(width - 2, 0)), min(np.intp(y), max(height - 2, 0))
    x, y = x - np.float32(i), y - np.float32(j)
    after, lower = min(i + 1, width - 1), min(j + 1, height - 1)
    upper = across[j, i] + (across[j, after] - across[j, i]) * x
    horizontal = upper + (across[lower, i] + (across[lower, after] - across[lower, i]) * x - upper) * y
    upper = down[j, i] + (down[j, after] - down[j, i]) * x
    vertical = upper + (down[lower, i] + (down[lower, after] - down[lower, i]) * x - upper) * y
    return horizontal * right + vertical * below


@compiled
def _attach(values: Any, a: Any, b: Any, found: Any, ends: Any, limbs: Any) -> Any:
    """See `assemble.attach`."""
    ids = np.full((len(values), KEYPOINTS), -1, np.intp)
    scores, counts = np.empty(len(values)), np.empty(len(values), np.intp)
    owner = np.full(len(values), -1, np.intp)
    people, first = 0, 0
    for limb in range(len(limbs)):
        one, other, fills_gaps = limbs[limb, 0], limbs[limb, 1], limbs[limb, 3]
        for i in range(first, ends[limb]):
            start, end = a[i], b[i]
            person = owner[start]
            if fills_gaps:
                second = owner[end]
                lacks_start = second >= 0 and ids[second, one] < 0
                if person >= 0 and ids[person, other] < 0:
                    ids[person, other] = end
                if lacks_start:
                    ids[second, one] = start
            elif person < 0:
                owner[start] = owner[end] = people
                ids[people, one], ids[people, other] = start, end
                scores[people], counts[people] = values[start] + values[end] + found[i], 2
                people += 1
            else:
                owner[end] = person
                ids[person, other] = end
                scores[person] += values[end] + found[i]
                counts[person] += 1
        first = ends[limb]
    return ids[:people], scores[:people], counts[:people]
