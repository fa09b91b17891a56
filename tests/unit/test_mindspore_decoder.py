"""MindSpore's protocol: equal to a plain version of the same steps, and in cases made by hand what its description says.

No goldens of the original's decoding exist: these two stand in for them.
"""

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import plain_mindspore as plain
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_tf_pose_decoder import STANDING, planted, stretched

from zoo.errors import StepFailed
from zoo.pose.coco_results import coco_results
from zoo.pose.decoders import Decoder, MindSporeDecoder
from zoo.pose.decoders.assemble import share
from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import Connections
from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS, Limb
from zoo.pose.decoders.mindspore import LIMBS
from zoo.pose.fits import ShortSide
from zoo.pose.skeletons import to_coco

DECODER = MindSporeDecoder(heatmaps="heat", pafs="paf")
SHAPE, IMAGE = (34, 44), (704, 272)


def person(x: int, y: int) -> Any:
    """A little beside the middles of cells: a bump that is alike on both sides of its cell has two highest pixels, hence no peak."""
    return {kind: (x + dx + 0.3, y + dy + 0.2) for kind, (dx, dy) in enumerate(STANDING)}


def check_against_plain(outputs: dict[str, np.ndarray], image: tuple[int, int]) -> int:
    """Every person with their keypoints and score, in order; returns how many there are."""
    heat, pafs = outputs["heat"][0], outputs["paf"][0]
    affine = stretched(heat.shape[1:], image)
    points, scores = plain.decode(heat, pafs, affine.input, image)
    poses = DECODER.decode(outputs, affine)
    np.testing.assert_array_equal(poses.keypoints, points)
    np.testing.assert_allclose(poses.instance_scores, scores, rtol=1e-5)
    return len(points)


@pytest.mark.assets
@pytest.mark.parametrize("image", ["197388", "217285", "78915"])
def test_people_equal_the_plain_versions_on_real_maps(assets: Path, image: str) -> None:
    with np.load(assets / "goldens/pre_post/bottomup_maps.npz") as file:
        outputs = {"heat": file[f"{image}.lop.heatmaps"][None], "paf": file[f"{image}.lop.pafs"][None]}
    outputs = {name: maps.astype(np.float32) for name, maps in outputs.items()}
    assert check_against_plain(outputs, (601, 427)) >= 1


def tied(heat: np.ndarray) -> bool:
    """Whether two neighbours of a smoothed map, or a pixel and the threshold, differ by rounding alone where that decides."""
    height, width = heat.shape[1:]
    for plane in plain.enlarged(heat[:18], (width * 8, height * 8)):
        smooth = plain.gaussian_filter(plane, sigma=2.5)
        top = smooth == cv2.dilate(smooth, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))
        near = [np.abs(np.diff(smooth, axis=axis)) for axis in (0, 1)]
        if min(near[0][top[1:] | top[:-1]].min(initial=1), near[1][top[:, 1:] | top[:, :-1]].min(initial=1)) < 1e-6:
            return True
    return False


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 6))
def test_people_equal_the_plain_versions_on_random_maps(seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    heat = generator.uniform(0, 0.5, (1, 19, height, width)).astype(np.float32)
    # fields that point one way often enough for limbs to be found
    paf = (generator.uniform(-0.6, 1, (1, 38, height, width))).astype(np.float32)
    assume(not tied(heat[0]))
    check_against_plain({"heat": heat, "paf": paf}, (width * 11, height * 7))


def test_two_people_are_found_at_whole_pixels_of_the_image() -> None:
    people = [person(10, 4), person(30, 8)]
    poses = DECODER.decode(planted(SHAPE, people), stretched(SHAPE, IMAGE))
    assert len(poses) == 2
    for found, points in zip(sorted(poses.keypoints, key=lambda one: one[0, 0]), people, strict=True):
        # the middle of a cell, by corners; an image that is stretched has other pixels along x than along y
        expected = (np.array([points[kind] for kind in range(14)]) + 0.5) * (16, 8)
        assert np.abs(found[:14] - expected).max() <= 8
        assert np.isnan(found[14:]).all()
    np.testing.assert_array_equal(poses.keypoints[:, :14], np.rint(poses.keypoints[:, :14]))
    assert (poses.scores[:, 14:] == 0).all() and (poses.scores[:, :14] > 0.2).all()


def test_coordinates_are_parts_of_the_input_rounded_half_to_even_and_an_absent_keypoint_is_zero() -> None:
    outputs, affine = planted(SHAPE, [person(10, 4)]), stretched(SHAPE, (1000, 500))
    heat, paf = outputs["heat"][0, :18].transpose(1, 2, 0), outputs["paf"][0].transpose(1, 2, 0)
    candidates, people = DECODER.find(heat, paf)
    exact = msgspec.structs.replace(DECODER, whole_pixels=False).decode(outputs, affine).keypoints[0, :14]
    np.testing.assert_allclose(exact, candidates.points[people.ids[0, :14]] / (44 * 8, 34 * 8) * (1000, 500))
    rounded = DECODER.decode(outputs, affine)
    np.testing.assert_array_equal(rounded.keypoints[0, :14], np.round(exact))
    (result,) = coco_results(to_coco(rounded, "openpose_18"), 7)
    written = np.array(result["keypoints"]).reshape(17, 3)
    np.testing.assert_array_equal(written, np.round(written))
    assert (written[1:5] == 0).all() and (written[[0, *range(5, 17)], 2] == 1).all()
    assert result["score"] == rounded.instance_scores[0]


def test_the_score_is_the_raw_sum_of_smoothed_keypoints_and_limbs() -> None:
    outputs = planted(SHAPE, [person(10, 4)])
    poses = DECODER.decode(outputs, stretched(SHAPE, (352, 272)))
    smooth = [plain.gaussian_filter(plane, sigma=2.5) for plane in plain.enlarged(outputs["heat"][0, :14], (352, 272))]
    expected = [plane[int(y), int(x)] for plane, (x, y) in zip(smooth, poses.keypoints[0, :14], strict=True)]
    np.testing.assert_allclose(poses.scores[0, :14], expected, rtol=1e-6)
    assert max(expected) < 1, "the smoothing has made a bump lower"
    assert sum(expected) < poses.instance_scores[0] <= sum(expected) + 13.0001


def test_a_limb_longer_than_the_map_is_wide_loses_by_how_much() -> None:
    """A map of 3 x 12 cells is 24 pixels wide; its limb of 75 pixels has 24 / 75 - 1 added."""
    outputs = {"heat": np.zeros((1, 19, 12, 3), np.float32), "paf": np.zeros((1, 38, 12, 3), np.float32)}
    outputs["heat"][0, 1, 1, 1] = outputs["heat"][0, 2, 10, 1] = 1
    outputs["paf"][0, 13] = 1  # neck to right shoulder: down
    field, heat = outputs["paf"][0].transpose(1, 2, 0), outputs["heat"][0, :18].transpose(1, 2, 0)
    # a bump in the middle of a cell has two highest pixels each way, of which none is a peak
    heat[2, 1, 1] = heat[11, 1, 2] = 0.5
    heat[1, 2, 1] = heat[10, 2, 2] = 0.5
    few = msgspec.structs.replace(DECODER, min_keypoints=2)
    candidates, people = few.find(heat, field)
    (a,), (b,) = (candidates.points[candidates.ids(kind)] for kind in (1, 2))
    length = float(np.hypot(*(b - a)))
    mean = float(b[1] - a[1]) / length
    assert length > 24
    assert people.scores.tolist() == pytest.approx([candidates.scores[people.ids[0, 1:3]].sum() + mean + 24 / length - 1], abs=1e-5)
    plainly = plain.limbs([(int(a[0]), int(a[1]), 1.0)], [(int(b[0]), int(b[1]), 1.0)], plain.enlarged(outputs["paf"][0, 12:14], (24, 96)))
    assert plainly[0][2] == pytest.approx(mean + 24 / length - 1, abs=1e-5)


def test_a_maximum_of_two_equal_pixels_is_no_candidate() -> None:
    heat = np.zeros((6, 6, 18), np.float32)
    heat[2, 2, 0] = 1  # alike on all sides: four pixels around the cell's middle are the highest
    candidates, _ = DECODER.find(heat, np.zeros((6, 6, 38), np.float32))
    assert len(candidates) == 0 == len(plain.peaks(plain.enlarged(heat.transpose(2, 0, 1)[:1], (48, 48))[0]))
    heat[2, 3, 0], heat[3, 2, 0] = 0.3, 0.2
    candidates, _ = DECODER.find(heat, np.zeros((6, 6, 38), np.float32))
    assert [(int(x), int(y)) for x, y in candidates.points] == [(20, 20)]


@pytest.mark.parametrize(
    "change", [{"min_keypoints": 15}, {"min_score": 2.5}, {"threshold": 1.0}, {"limbs": {"passed": 0.95, "threshold": 1.5}}]
)
def test_every_threshold_can_send_a_person_away(change: dict[str, Any]) -> None:
    fields = msgspec.to_builtins(DECODER)
    changed = msgspec.convert({**fields, **change, "limbs": {**fields["limbs"], **change.get("limbs", {})}}, Decoder)
    outputs, affine = planted(SHAPE, [person(10, 4)]), stretched(SHAPE, (352, 272))
    assert len(DECODER.decode(outputs, affine)) == 1
    assert len(changed.decode(outputs, affine)) == 0


def put_together(limbs: list[tuple[Limb, int, int]], count: int) -> list[tuple[list[int], float, int]]:
    """Ids by kind (kind * 100 + id), scores and counts of the people that these limbs make; a keypoint is worth 1, a limb .5."""
    candidates = Candidates(np.zeros((count, 2)), np.ones(count), np.zeros(19, np.intp))
    connected = [(limb, Connections(np.array([a]), np.array([b]), np.array([0.5]))) for limb, a, b in limbs]
    people = share(candidates, connected, 18)
    return [
        ([kind * 100 + int(one) for kind, one in enumerate(ids) if one >= 0], float(score), int(number))
        for ids, score, number in zip(people.ids, people.scores, people.counts, strict=True)
    ]


def limb(a: int, b: int) -> Limb:
    return next(one for one in OPENPOSE_18_LIMBS if (one.a, one.b) == (a, b))


def test_limbs_go_by_their_channels_and_those_to_the_ears_make_nobody() -> None:
    assert [one.channel for one in LIMBS] == list(range(0, 38, 2))
    assert [(one.a, one.b) for one in LIMBS] == list(plain.LIMBS)
    assert [number for number, one in enumerate(LIMBS) if one.fills_gaps] == list(plain.EARS)
    assert put_together([(limb(2, 16), 0, 1)], 2) == []


def test_halves_without_a_common_kind_become_one() -> None:
    assert put_together([(limb(1, 2), 0, 1), (limb(3, 4), 2, 3), (limb(2, 3), 1, 2)], 4) == [([100, 201, 302, 403], 5.5, 4)]


def test_of_two_who_share_a_kind_each_gets_what_they_lack() -> None:
    """Two people with a neck each: a limb from the one's shoulder to the other's ear gives both the end that they lack."""
    halves = [(limb(1, 2), 0, 1), (limb(1, 5), 4, 5), (limb(1, 0), 4, 6), (limb(0, 14), 6, 8), (limb(14, 16), 8, 7)]
    assert put_together([*halves, (limb(2, 16), 1, 7)], 9) == [
        ([100, 201, 1607], 2.5 + 1.5, 3),
        ([6, 104, 201, 505, 1408, 1607], 7 + 1.5, 6),
    ]


def test_a_limb_with_three_owners_is_passed_over() -> None:
    necks = [(limb(1, 2), 0, 1), (limb(1, 2), 4, 2), (limb(1, 2), 5, 6)]
    # the second limb to elbow 3 has two owners, its neck's and its elbow's: from then on the elbow has two by itself
    elbows = [(Limb(1, 3, 0), neck, 3) for neck in (0, 4, 5)]
    found = put_together([*necks, *elbows], 7)
    assert found == put_together([*necks, *elbows[:2]], 7)
    assert [ids for ids, _, _ in found] == [[100, 201, 303], [104, 202, 303], [105, 206]]


def test_a_limb_from_an_end_that_has_another_end_already_puts_the_later_in_its_place() -> None:
    assert put_together([(limb(1, 2), 0, 1), (limb(1, 2), 0, 2)], 3) == [([100, 202], 2.5 + 1.5, 3)]
    assert put_together([(limb(1, 2), 0, 1), (limb(1, 2), 3, 1)], 4) == [([100, 201], 2.5, 2)], "the end `a` is not put in its place"


def test_maps_that_hold_nothing_or_nan_give_nobody_and_are_left_alone() -> None:
    outputs, affine = planted(SHAPE, [person(10, 4)]), stretched(SHAPE, (352, 272))
    for value in outputs.values():
        value.setflags(write=False)
    assert len(DECODER.decode(outputs, affine)) == 1
    for bad in (np.nan, np.inf, -np.inf, 0):
        assert len(DECODER.decode({name: np.full_like(value, bad) for name, value in outputs.items()}, affine)) == 0


def test_outputs_that_do_not_fit_are_refused() -> None:
    affine = stretched(SHAPE, (352, 272))
    with pytest.raises(StepFailed, match="the heatmaps are 44 x 34, the part affinity fields 10 x 10"):
        DECODER.decode({"heat": np.zeros((1, 19, 34, 44)), "paf": np.zeros((1, 38, 10, 10))}, affine)
    with pytest.raises(StepFailed, match="44 x 33 times 8 do not cover an input of 352 x 272"):
        DECODER.decode({"heat": np.zeros((1, 19, 33, 44)), "paf": np.zeros((1, 38, 33, 44))}, affine)


def test_decoder_is_declared_by_its_tag_and_its_limbs_by_the_fields_of_others() -> None:
    assert msgspec.convert({"type": "mindspore", "heatmaps": "heat", "pafs": "paf"}, Decoder) == DECODER
    assert (DECODER.limbs.average, DECODER.limbs.prior, DECODER.limbs.samples, DECODER.limbs.passed) == ("all", "width", 10, 0.8)
    assert not hasattr(DECODER, "decode_views"), "its protocol has one scale"


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((640, 427), (552, 368)),
        ((427, 640), (368, 552)),
        ((500, 500), (368, 368)),
        ((640, 368), (640, 368)),
        ((641, 368), (648, 368)),
        ((368, 3680), (368, 3680)),
        ((33, 20), (608, 368)),
    ],
)
def test_the_short_side_is_368_and_the_other_a_multiple_of_8(image: tuple[int, int], size: tuple[int, int]) -> None:
    fit = ShortSide()
    affine = fit.affine(image)
    assert affine.input == size == affine.content[2:] and affine.content[:2] == (0, 0)
    pixels = np.random.default_rng(0).integers(0, 256, (image[1], image[0], 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit.resize(pixels, affine), cv2.resize(pixels, size))
    assert fit.scaled(0.5) == ShortSide(side=184) and fit.size is None
