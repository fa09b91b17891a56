"""`resolution: lazy`: what the enlarged maps would hold, without them."""

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_paf_decoder import IMAGES, NAMES, golden, laid, person_at, planted, whole

from zoo.errors import StepFailed
from zoo.pose.decoders import Decoder, PafDecoder
from zoo.pose.decoders.connect import LimbScoring
from zoo.pose.decoders.lazy import Frame, SampledLimbs, find_peaks, maxima, refined
from zoo.pose.decoders.peaks import FourNeighbours
from zoo.pose.geometry import View

LAZY = PafDecoder(**NAMES, resolution="lazy")
OVER_INPUT = PafDecoder(**NAMES, resolution="lazy", over_image=False, upsample=4, offset=0)
FULL = PafDecoder(**NAMES)


def found(plane: list[list[float]], least: float = 0.1) -> list[tuple[int, int]]:
    """x, y of the maxima of one plane."""
    _, y, x = maxima(np.array([plane], np.float32), np.float32(least))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def everywhere(planes: np.ndarray, factor: int) -> Frame:
    height, width = planes.shape[1:]
    return Frame(factor, (0, 0, width * factor, height * factor), (1, 1))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 9), st.integers(1, 9)), factor=st.sampled_from([1, 2, 3, 4, 8]))
def test_a_refined_value_is_the_greatest_pixel_that_opencv_makes_of_the_cell(seed: int, size: tuple[int, int], factor: int) -> None:
    planes = np.random.default_rng(seed).normal(0.3, 0.3, (2, *size)).astype(np.float32)
    plane, y, x = maxima(planes, np.float32(0))
    value, down, across = refined(planes, plane, y, x, factor)
    for i, k in enumerate(plane):
        large = cv2.resize(planes[k], None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC).reshape(size[0] * factor, -1)
        cell = large[y[i] * factor : (y[i] + 1) * factor, x[i] * factor : (x[i] + 1) * factor]
        assert value[i] == pytest.approx(cell.max(), abs=2e-6)
        assert large[down[i], across[i]] == pytest.approx(value[i], abs=2e-6)
        assert (down[i] // factor, across[i] // factor) == (y[i], x[i])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 9), st.integers(1, 9)), levels=st.integers(2, 12))
def test_every_plateau_that_nothing_beside_it_exceeds_has_one_peak(seed: int, size: tuple[int, int], levels: int) -> None:
    plane = np.random.default_rng(seed).integers(0, levels, size).astype(np.float32)
    plateaus = 0
    for level in range(1, levels):
        count, labels = cv2.connectedComponents((plane == level).astype(np.uint8), connectivity=8)
        for label in range(1, count):
            member = (labels == label).astype(np.uint8)
            around = cv2.dilate(member, np.ones((3, 3), np.uint8)) > 0
            top = plane[around].max() == level
            plateaus += top
            assert sum(bool(member[y, x]) for x, y in found(plane.tolist(), 1)) == top
    assert len(found(plane.tolist(), 1)) == plateaus


def test_the_peak_of_a_plateau_is_its_middle_and_a_terrace_has_none() -> None:
    assert found([[0, 0, 0, 0, 0], [0, 0.7, 0.7, 0.7, 0], [0, 0, 0, 0, 0]]) == [(2, 1)]
    assert found([[0.5, 0.5, 0.5, 0.9, 0.5, 0.5]]) == [(3, 0)]
    two = np.zeros((1, 5, 6), np.float32)
    two[0, 2, 2:4] = 0.7
    candidates = find_peaks(two, everywhere(two, 8), FourNeighbours())
    assert candidates.points[:, 0].tolist() == [23]  # between the two: pixel 24 is as high
    assert candidates.scores[0] > 0.7


def test_a_peak_between_cells_that_are_all_below_the_threshold_is_found() -> None:
    plane = np.zeros((1, 6, 6), np.float32)
    plane[0, 2:4, 2:4] = 0.09
    candidates = find_peaks(plane, everywhere(plane, 8), FourNeighbours())
    assert len(candidates) == 1 and candidates.scores[0] > 0.1


def test_peaks_nearer_than_the_distance_are_one() -> None:
    plane = np.zeros((1, 5, 9), np.float32)
    plane[0, 2, 3], plane[0, 2, 5] = 0.8, 0.6
    count = [len(find_peaks(plane, everywhere(plane, 8), FourNeighbours(distance=distance))) for distance in (6, 12, 20)]
    assert count == [2, 2, 1]
    shrunk = Frame(8, (0, 0, 72, 40), (0.25, 0.25))
    assert len(find_peaks(plane, shrunk, FourNeighbours(distance=6))) == 1


@pytest.mark.parametrize(
    "scoring",
    [
        LimbScoring(),
        LimbScoring(average="all", prior="half_height"),
        LimbScoring(average="all", prior="width"),
        LimbScoring(samples=7, passed=0.3),
    ],
)
def test_limbs_are_scored_as_by_a_loop_over_samples(scoring: LimbScoring) -> None:
    random = np.random.default_rng(3)
    fields = random.normal(0.4, 0.5, (4, 9, 12)).astype(np.float32)
    a, b = random.integers(0, (96, 72), (300, 2)).astype(float), random.integers(0, (96, 72), (300, 2)).astype(float)
    channel = random.integers(0, 2, 300) * 2
    scores, valid = SampledLimbs(fields, 8, scoring).score(a, b, channel)
    for i in range(300):
        vector, length = b[i] - a[i], np.hypot(*(b[i] - a[i]))
        along = []
        for t in np.linspace(0, 1, scoring.samples):
            x, y = np.clip((a[i] + t * vector + 0.5) / 8 - 0.5, 0, (11, 8))
            (j, fy), (k, fx) = divmod(min(y, 7.999999), 1), divmod(min(x, 10.999999), 1)
            square = fields[channel[i] : channel[i] + 2, int(j) : int(j) + 2, int(k) : int(k) + 2]
            along.append(np.array([1 - fy, fy]) @ square @ np.array([1 - fx, fx]) @ vector / max(length, 1e-6))
        counted = np.array(along) > scoring.threshold
        expected = np.mean(along) if scoring.average == "all" else np.array(along)[counted].sum() / max(counted.sum(), 1e-6)
        if scoring.prior != "none":
            expected += min((36 if scoring.prior == "half_height" else 96) / max(length, 1e-6) - 1, 0)
        assert valid[i] == (counted.mean() > scoring.passed and expected > 0)
        if valid[i]:
            assert scores[i] == pytest.approx(expected, abs=1e-4)
    assert 10 < valid.sum() < 290


@pytest.mark.parametrize("decoder", [LAZY, OVER_INPUT], ids=["over_image", "over_input"])
def test_planted_people_are_found_where_they_stand(decoder: PafDecoder) -> None:
    size = (32, 48)
    people = [person_at(10.2, 8.3), person_at(33, 10)]  # the second one's bumps are in the middles of cells
    outputs = {name: np.repeat(maps, 1, axis=0) for name, maps in planted(size, people).items()}
    decoder = decoder if decoder.over_image else msgspec.structs.replace(decoder, upsample=8)
    poses = decoder.decode(outputs, whole(size))
    assert len(poses) == 2
    order = np.argsort(poses.keypoints[:, 0, 0])
    for i, person in zip(order, people, strict=True):
        assert set(np.flatnonzero(poses.present[i])) == set(person)
        for kind, point in person.items():
            assert np.abs((poses.keypoints[i, kind] + 0.5 - decoder.offset) / 8 - 0.5 - point).max() < 0.15


def test_padding_is_no_part_of_the_image() -> None:
    size = (32, 48)
    outputs = planted(size, [person_at(24.2, 8.3), person_at(45.5, 8.3)])
    poses = LAZY.decode(outputs, laid(size, (64, 0, 256, 256), (128, 128)))
    assert len(poses) == 1
    assert np.abs(poses.keypoints[0, 0] - ((24.2 * 8 + 4 - 64) / 2, (8.3 * 8 + 4) / 2)).max() < 1


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
def test_on_real_maps_the_surest_people_are_those_of_the_full_resolution(assets: Path, image: str) -> None:
    _, outputs, affine = golden(assets, image)
    lazy, full = LAZY.decode(outputs, affine), FULL.decode(outputs, affine)
    for i in np.argsort(-full.instance_scores)[:3]:
        both = lazy.present & full.present[i]
        off = [
            np.median(np.hypot(*(other - full.keypoints[i])[mask].T))
            for other, mask in zip(lazy.keypoints, both, strict=True)
            if mask.any()
        ]
        assert min(off) < 2


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf, -np.inf])
def test_flat_and_broken_maps_hold_nobody(fill: float) -> None:
    outputs = {"heat": np.full((1, 19, 6, 8), fill, np.float32), "paf": np.full((1, 38, 6, 8), fill, np.float32)}
    poses = LAZY.decode(outputs, whole((6, 8)))
    assert len(poses) == 0 and poses.keypoints.shape == (0, 18, 2)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    broken=st.sampled_from([0.0, 0.01]),
    assemble=st.sampled_from(["attach", "merge", "join"]),
)
def test_any_maps_give_sound_poses_and_stay_as_they_were(seed: int, size: tuple[int, int], broken: float, assemble: Any) -> None:
    outputs = noise(seed, size, broken)
    before = {name: maps.copy() for name, maps in outputs.items()}
    poses = msgspec.structs.replace(LAZY, assemble=assemble).decode(outputs, whole(size))
    for name, maps in outputs.items():
        np.testing.assert_array_equal(maps, before[name])
    assert ((poses.scores > 0) == poses.present).all()
    assert np.isfinite(poses.instance_scores).all()
    assert (poses.keypoints[poses.present] >= 0).all()
    assert (poses.keypoints[poses.present] <= (size[1] * 8, size[0] * 8)).all()


def noise(seed: int, size: tuple[int, int], broken: float) -> dict[str, np.ndarray]:
    """Maps that hold much of everything, read only."""
    random = np.random.default_rng(seed)
    outputs = {"heat": random.normal(0.3, 0.3, (1, 19, *size)), "paf": random.normal(0.5, 0.5, (1, 38, *size))}
    outputs = {name: maps.astype(np.float32) for name, maps in outputs.items()}
    for maps in outputs.values():
        maps[random.random(maps.shape) < broken] = random.choice([np.nan, np.inf, -np.inf])
        maps.flags.writeable = False
    return outputs


def test_what_lazy_cannot_do_is_refused() -> None:
    outputs = planted((4, 4), [])
    with pytest.raises(StepFailed, match="several scales have no common cells"):
        LAZY.decode_views([View(outputs, whole((4, 4)))] * 2)
    with pytest.raises(StepFailed, match="do not cover an input of 40 x 32"):
        LAZY.decode(outputs, whole((4, 5)))
    with pytest.raises(msgspec.ValidationError, match="lazy finds peaks in its own way"):
        msgspec.convert({"type": "paf", **NAMES, "resolution": "lazy", "peaks": {"type": "max_pool"}}, Decoder)
