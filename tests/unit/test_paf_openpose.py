"""pytorch-openpose's body protocol, and maps of several scales: the PAF decoder does what the original does, and what it means to."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import plain_openpose
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import StepFailed
from zoo.pose.decoders import Decoder, PafDecoder
from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS
from zoo.pose.geometry import Affine, View

IMAGES = ["197388", "196141", "217285", "78915", "541055", "40083"]
# as the docstring of PafDecoder gives it
DECLARED = {
    "peaks": {"type": "gaussian"},
    "limbs": {"average": "all", "prior": "exact_half_height"},
    "assemble": "join",
    "min_keypoints": 4,
    "min_score": 0.4,
    "offset": 0,
    "instance_score": "pose",
}
BODY = msgspec.convert({"type": "paf", "heatmaps": "heat", "pafs": "paf", **DECLARED}, PafDecoder)
EVALUATION = PafDecoder(heatmaps="heat", pafs="paf")

# x, y in cells of a standing person who faces the camera; in fractions, so that no two pixels are equally near to a keypoint
STANDING = (
    *((0.13, 0.21), (0.13, 3.1), (-2.9, 3.3), (-3.7, 6.8), (-3.9, 10.7), (3.1, 3.2), (4.1, 6.7), (4.3, 10.9), (-1.7, 11.2)),
    *((-1.9, 15.9), (-2.1, 20.8), (1.8, 11.3), (2.1, 16.2), (2.2, 20.7), (-0.6, -0.7), (0.9, -0.6), (-1.4, -0.3), (1.6, -0.2)),
)

Outputs = dict[str, np.ndarray]


def at_top_left(shape: tuple[int, int], image: tuple[int, int], content: tuple[int, int] | None = None) -> Affine:
    """An image (width, height) on the top left `content` of the input of maps of `shape` (h, w); all of it where not given."""
    size = (shape[1] * 8, shape[0] * 8)
    width, height = content or size
    return Affine(np.array([[width / image[0], 0, 0], [0, height / image[1], 0]]), image, size, (0, 0, width, height))


def golden(assets: Path, image: str, case: str) -> tuple[dict[str, Any], Outputs, Affine]:
    folder = assets / "goldens/pre_post"
    facts = json.loads((folder / "bottomup_poses.json").read_text())[image]
    with np.load(folder / "bottomup_maps.npz") as file:
        outputs = {"heat": file[f"{image}.{case}.heatmaps"][None], "paf": file[f"{image}.{case}.pafs"][None]}
    height = {"hz_s0.5": 184, "hz_h256": 256}[case]
    content = (round(facts["width"] * (height / facts["height"])), height)
    return facts[case], outputs, at_top_left(outputs["heat"].shape[2:], (facts["width"], facts["height"]), content)


def people_at(size: tuple[int, int], places: list[tuple[float, float, float]], noise: float = 0.0, seed: int = 0) -> Outputs:
    """The maps of people whose noses are at x, y cells, so many times as large as STANDING."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    heat, paf = np.zeros((1, 19, height, width), np.float32), np.zeros((1, 38, height, width), np.float32)
    for left, top, large in places:
        points = np.array(STANDING) * large + (left, top)
        for kind, (px, py) in enumerate(points):
            heat[0, kind] = np.maximum(heat[0, kind], np.exp(-((x - px) ** 2 + (y - py) ** 2) / 1.6))
        for limb in OPENPOSE_18_LIMBS:
            a, b = points[limb.a], points[limb.b]
            length = np.linalg.norm(b - a)
            along = (b - a) / length
            part = (x - a[0]) * along[0] + (y - a[1]) * along[1]
            off = (x - a[0]) * along[1] - (y - a[1]) * along[0]
            strength = np.exp(-((off / 1.1) ** 2)) * ((part > -1) & (part < length + 1))
            for channel in (0, 1):
                paf[0, limb.channel + channel] += strength * along[channel]
    random = np.random.default_rng(seed)
    return {name: (maps + random.normal(0, noise, maps.shape)).astype(np.float32) for name, maps in (("heat", heat), ("paf", paf))}


def check_against_plain(outputs: Outputs, affine: Affine) -> int:
    """The decoder's candidates and people equal the plain version's; returns how many people there are."""
    rows, expected = plain_openpose.body(outputs["heat"][0].astype(np.float32), outputs["paf"][0].astype(np.float32), affine)
    candidates, people, _ = BODY.find([View(outputs, affine)])
    np.testing.assert_array_equal(candidates.points, rows[:, :2])
    np.testing.assert_allclose(candidates.scores, rows[:, 2], atol=1e-5)
    np.testing.assert_array_equal(people.ids, expected[:, :18])
    np.testing.assert_array_equal(people.counts, expected[:, 19])
    np.testing.assert_allclose(people.scores, expected[:, 18], atol=1e-5)
    return len(people)


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("case", ["hz_s0.5", "hz_h256"])
def test_candidates_and_people_equal_the_originals(assets: Path, image: str, case: str) -> None:
    expected, outputs, affine = golden(assets, image, case)
    candidates, people, _ = BODY.find([View(outputs, affine)])
    table, subset = np.array(expected["candidate"]), np.array(expected["subset"])
    np.testing.assert_array_equal(candidates.points, table[:, :2])
    np.testing.assert_array_equal(np.arange(len(candidates)), table[:, 3])
    np.testing.assert_allclose(candidates.scores, table[:, 2], atol=1e-5)
    np.testing.assert_array_equal(people.ids, subset[:, :18])
    np.testing.assert_array_equal(people.counts, subset[:, 19])
    np.testing.assert_allclose(people.scores, subset[:, 18], atol=1e-5)


@pytest.mark.assets
@pytest.mark.parametrize("case", ["hz_s0.5", "hz_h256"])
def test_the_plain_version_is_the_original(assets: Path, case: str) -> None:
    expected, outputs, affine = golden(assets, "40083", case)
    candidates, people = plain_openpose.body(outputs["heat"][0].astype(np.float32), outputs["paf"][0].astype(np.float32), affine)
    np.testing.assert_array_equal(candidates, expected["candidate"])
    np.testing.assert_array_equal(people, expected["subset"])


@pytest.mark.assets
def test_poses_are_whole_pixels_of_the_image_with_the_scores_of_the_subset(assets: Path) -> None:
    expected, outputs, affine = golden(assets, "197388", "hz_h256")
    poses = BODY.decode(outputs, affine)
    for keypoints, scores, total, row in zip(poses.keypoints, poses.scores, poses.instance_scores, expected["subset"], strict=True):
        assert total == pytest.approx(row[18], abs=1e-5)
        for point, score, id in zip(keypoints, scores, row[:18], strict=True):
            x, y, value, _ = expected["candidate"][int(id)] if id >= 0 else (np.nan, np.nan, 0, 0)
            np.testing.assert_array_equal(point, (x, y))
            assert score == pytest.approx(value, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 6),
    image=st.tuples(st.integers(40, 420), st.integers(40, 420)),
    padding=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    noise=st.sampled_from([0.0, 0.03]),
)
def test_candidates_and_people_equal_the_plain_version(
    seed: int, count: int, image: tuple[int, int], padding: tuple[int, int], noise: float
) -> None:
    # Drawn evenly, and not by hypothesis, which likes round numbers: a keypoint in the middle between two pixels makes these equal
    # but for the last digit, and float32 and float64 do not agree about that.
    places = np.random.default_rng(seed).uniform((2, 0, 0.4), (30, 16, 1.2), (count, 3))
    size = (22, 34)
    outputs = people_at(size, [(x, y, large) for x, y, large in places], noise, seed)
    check_against_plain(outputs, at_top_left(size, image, (size[1] * 8 - padding[0], size[0] * 8 - padding[1])))


def test_planted_people_are_found() -> None:
    outputs = people_at((26, 40), [(8.3, 2.27, 1), (28.6, 3.1, 0.9)])
    assert check_against_plain(outputs, at_top_left((26, 40), (480, 312))) == 2


@pytest.mark.parametrize(
    ("change", "count"),
    [({}, 1), ({"min_keypoints": 19}, 0), ({"min_score": 2.5}, 0), ({"peaks": {"type": "gaussian", "threshold": 0.99}}, 0)],
)
def test_every_threshold_can_send_a_person_away(change: dict[str, Any], count: int) -> None:
    decoder = msgspec.convert({"type": "paf", "heatmaps": "heat", "pafs": "paf", **DECLARED, **change}, Decoder)
    assert len(decoder.decode(people_at((26, 20), [(8.3, 2.2, 1)]), at_top_left((26, 20), (240, 312)))) == count


@pytest.mark.parametrize("decoder", [EVALUATION, BODY], ids=["evaluation", "body"])
def test_two_views_that_are_one_give_the_same_poses(decoder: PafDecoder) -> None:
    view = View(people_at((26, 40), [(8.3, 2.2, 1), (28.6, 3.1, 0.9)]), at_top_left((26, 40), (480, 312)))
    one, two = decoder.decode(*view), decoder.decode_views([view, view])
    assert len(one) == 2
    np.testing.assert_array_equal(one.keypoints, two.keypoints)
    np.testing.assert_allclose(one.instance_scores, two.instance_scores, rtol=1e-6)


@pytest.mark.parametrize("decoder", [EVALUATION, BODY], ids=["evaluation", "body"])
def test_views_of_one_size_are_decoded_as_the_mean_of_their_maps(decoder: PafDecoder) -> None:
    affine = at_top_left((26, 40), (480, 312))
    # a person whom only one view shows is still found; a shadow of one is not
    first = people_at((26, 40), [(8.3, 2.2, 1), (28.6, 3.1, 0.9)])
    second = people_at((26, 40), [(8.3, 2.2, 1)], noise=0.02)
    mean = {name: (first[name] + second[name]) / 2 for name in first}
    poses, expected = decoder.decode_views([View(first, affine), View(second, affine)]), decoder.decode(mean, affine)
    assert len(expected) == 2
    np.testing.assert_array_equal(poses.keypoints, expected.keypoints)
    np.testing.assert_allclose(poses.scores, expected.scores, atol=1e-6)
    assert len(decoder.decode_views([View(second, affine)])) == 1


def test_views_of_two_scales_are_averaged_over_the_image() -> None:
    image = (481, 313)
    large, small = (40, 62), (20, 31)
    place = [(8.3, 2.2, 1), (20.6, 1.6, 0.8)]
    views = [
        View(people_at(small, [(x, y * 0.8, s * 0.75) for x, y, s in place]), at_top_left(small, image, (246, 160))),
        View(people_at(large, [(2 * x, 1.6 * y, 1.5 * s) for x, y, s in place]), at_top_left(large, image, (493, 320))),
    ]
    laid = [[plain_openpose.image_sized(outputs[name][0], affine) for name in ("heat", "paf")] for outputs, affine in views]
    rows, expected = plain_openpose.people(*(sum(maps) / 2 for maps in zip(*laid, strict=True)))
    candidates, people, _ = BODY.find(views)
    assert len(expected) == 2
    np.testing.assert_array_equal(candidates.points, rows[:, :2])
    np.testing.assert_array_equal(people.ids, expected[:, :18])
    np.testing.assert_allclose(people.scores, expected[:, 18], atol=1e-5)


@pytest.mark.parametrize("decoder", [EVALUATION, BODY], ids=["evaluation", "body"])
def test_views_of_opposite_infinities_hold_nobody(decoder: PafDecoder) -> None:
    affine = at_top_left((20, 20), (160, 160))
    views = [View({name: np.full_like(maps, sign * np.inf) for name, maps in people_at((20, 20), []).items()}, affine) for sign in (1, -1)]
    assert len(decoder.decode_views(views)) == 0


def test_views_that_cannot_be_averaged_are_refused() -> None:
    view = View(people_at((20, 20), []), at_top_left((20, 20), (160, 160)))
    other = View(view.outputs, at_top_left((20, 20), (150, 160)))
    with pytest.raises(StepFailed, match="no common size") as failed:
        msgspec.structs.replace(BODY, over_image=False).decode_views([view, view])
    assert "over_image: true" in failed.value.hint
    with pytest.raises(StepFailed, match="different sizes"):
        BODY.decode_views([view, other])
    with pytest.raises(StepFailed, match="no view"):
        BODY.decode_views([])


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("over_image", [True, False])
def test_flat_and_broken_maps_hold_nobody(fill: float, over_image: bool) -> None:
    outputs = {"heat": np.full((1, 19, 6, 8), fill, np.float32), "paf": np.full((1, 38, 6, 8), fill, np.float32)}
    decoder = msgspec.structs.replace(BODY, over_image=over_image)
    assert len(decoder.decode(outputs, at_top_left((6, 8), (64, 48)))) == 0


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    broken=st.sampled_from([0.0, 0.01]),
    over_image=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float16]),
)
def test_any_maps_give_sound_poses_and_stay_as_they_were(
    seed: int, size: tuple[int, int], broken: float, over_image: bool, dtype: type
) -> None:
    random = np.random.default_rng(seed)
    outputs = {"heat": random.normal(0.3, 0.3, (1, 19, *size)).astype(dtype), "paf": random.normal(0.5, 0.5, (1, 38, *size)).astype(dtype)}
    for maps in outputs.values():
        maps[random.random(maps.shape) < broken] = np.nan
        maps.flags.writeable = False
    before = {name: maps.copy() for name, maps in outputs.items()}
    image = (size[1] * 9, size[0] * 7)
    poses = msgspec.structs.replace(BODY, over_image=over_image).decode(outputs, at_top_left(size, image))
    for name, maps in outputs.items():
        np.testing.assert_array_equal(maps, before[name])
    assert np.isfinite(poses.instance_scores).all()
    assert (poses.present.sum(axis=1) >= 3).all()
    assert (poses.keypoints[poses.present] >= 0).all()
    assert (poses.keypoints[poses.present] < (max(image[0], size[1] * 9), max(image[1], size[0] * 8))).all()
