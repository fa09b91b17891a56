"""The PAF decoder: equal to the originals on their own maps, harmless on any others."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import plain_lightweight
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import StepFailed
from zoo.pose.decoders import Decoder, PafDecoder
from zoo.pose.decoders.assemble import attach, merge
from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import Connections, LimbScoring, connect
from zoo.pose.decoders.fields import WholeField
from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS, Limb
from zoo.pose.decoders.peaks import FourNeighbours, MaxPool
from zoo.pose.geometry import Affine, View

NAMES = {"heatmaps": "heat", "pafs": "paf"}
EVALUATION = PafDecoder(**NAMES)
DEMO = PafDecoder(**NAMES, upsample=4, over_image=False, offset=0, whole_pixels=True, instance_score="pose")
MODEL_API = PafDecoder(**NAMES, upsample=1, over_image=False, peaks=MaxPool(), assemble="merge", min_score=0, offset=0)
IMAGES = ["197388", "196141", "217285", "78915", "541055", "40083"]
# COCO's keypoints as places in the 18 of OpenPose
TO_COCO = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]

Case = tuple[dict[str, Any], dict[str, np.ndarray], Affine]


def laid(shape: tuple[int, int], content: tuple[int, int, int, int], image: tuple[int, int]) -> Affine:
    """An image on a part of the input of maps of `shape` (h, w) with stride 8."""
    scale = content[3] / image[1]
    matrix = np.array([[scale, 0, content[0]], [0, scale, content[1]]])
    return Affine(matrix, image, (shape[1] * 8, shape[0] * 8), content)


def whole(shape: tuple[int, int]) -> Affine:
    """An image that is the input."""
    size = (shape[1] * 8, shape[0] * 8)
    return laid(shape, (0, 0, *size), size)


def golden(assets: Path, image: str) -> Case:
    folder = assets / "goldens/pre_post"
    facts = json.loads((folder / "bottomup_poses.json").read_text())[image]
    with np.load(folder / "bottomup_maps.npz") as file:
        outputs = {"heat": file[f"{image}.lop.heatmaps"][None], "paf": file[f"{image}.lop.pafs"][None]}
    height, width = outputs["heat"].shape[2:]
    top, left, bottom, right = facts["lop_val"]["pad_top_left_bottom_right"]
    content = (left, top, width * 8 - left - right, height * 8 - top - bottom)
    return facts, outputs, laid((height, width), content, (facts["width"], facts["height"]))


def planted(size: tuple[int, int], people: list[dict[int, tuple[float, float]]]) -> dict[str, np.ndarray]:
    """The maps that a perfect network would give: a bump at each keypoint, a unit field along each limb."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    heat, paf = np.zeros((1, 19, height, width), np.float32), np.zeros((1, 38, height, width), np.float32)
    for person in people:
        for kind, (px, py) in person.items():
            heat[0, kind] = np.maximum(heat[0, kind], np.exp(-((x - px) ** 2 + (y - py) ** 2) / 2))
        for limb in OPENPOSE_18_LIMBS:
            if limb.a in person and limb.b in person:
                a, b = np.array(person[limb.a]), np.array(person[limb.b])
                along = (b - a) / np.linalg.norm(b - a)
                t = (x - a[0]) * along[0] + (y - a[1]) * along[1]
                off = np.abs((x - a[0]) * along[1] - (y - a[1]) * along[0])
                near = (off < 1.5) & (t > -1.5) & (t < np.linalg.norm(b - a) + 1.5)
                paf[0, limb.channel][near], paf[0, limb.channel + 1][near] = along
    return {"heat": heat, "paf": paf}


def person_at(x: float, y: float) -> dict[int, tuple[float, float]]:
    """A nose, neck, right arm and left shoulder, standing upright.

    Give it fractions: a bump in the middle of a cell becomes a plateau of four equal pixels when it is enlarged by an
    even factor, and the originals' strict comparison finds no peak there.
    """
    return {0: (x, y), 1: (x, y + 4), 2: (x - 4, y + 4), 3: (x - 4, y + 9), 4: (x - 4, y + 14), 5: (x + 4, y + 4)}


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("protocol", ["lop_val", "lop_demo"])
def test_candidates_and_people_equal_the_originals(assets: Path, image: str, protocol: str) -> None:
    facts, outputs, affine = golden(assets, image)
    expected = facts[protocol]
    candidates, people, _ = (EVALUATION if protocol == "lop_val" else DEMO).find([View(outputs, affine)])
    table = np.array(expected["all_keypoints" if protocol == "lop_val" else "keypoints_in_x4_map"])
    np.testing.assert_array_equal(candidates.points, table[:, :2])
    np.testing.assert_array_equal(np.arange(len(candidates)), table[:, 3])
    np.testing.assert_allclose(candidates.scores, table[:, 2], atol=1e-5)
    entries = np.array(expected["pose_entries"])
    np.testing.assert_array_equal(people.ids, entries[:, :18])
    np.testing.assert_array_equal(people.counts, entries[:, 19])
    np.testing.assert_allclose(people.scores, entries[:, 18], atol=1e-5)


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
def test_evaluation_poses_equal_the_originals_coco_results(assets: Path, image: str) -> None:
    facts, outputs, affine = golden(assets, image)
    poses = EVALUATION.decode(outputs, affine)
    expected = np.array(facts["lop_val"]["coco_keypoints"]).reshape(-1, 17, 3)
    ours = poses.reordered(TO_COCO)
    np.testing.assert_array_equal(ours.present, expected[..., 2] == 1)
    np.testing.assert_array_equal(np.nan_to_num(ours.keypoints), expected[..., :2])
    np.testing.assert_allclose(poses.instance_scores, facts["lop_val"]["coco_scores"], rtol=1e-6)


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
def test_demo_poses_equal_the_originals(assets: Path, image: str) -> None:
    facts, outputs, affine = golden(assets, image)
    poses = DEMO.decode(outputs, affine)
    expected = facts["lop_demo"]["poses"]
    np.testing.assert_array_equal(np.nan_to_num(poses.keypoints, nan=-1), [pose["keypoints"] for pose in expected])
    np.testing.assert_allclose(poses.instance_scores, [pose["confidence"] for pose in expected], rtol=1e-6)


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
def test_demo_poses_equal_those_of_a_plain_loop(assets: Path, image: str) -> None:
    _, outputs, affine = golden(assets, image)
    poses = DEMO.decode(outputs, affine)
    heat, paf = (outputs[name][0].astype(np.float32) for name in ("heat", "paf"))
    keypoints, scores = plain_lightweight.people(heat, paf, affine)
    np.testing.assert_array_equal(np.nan_to_num(poses.keypoints, nan=-1), keypoints)
    np.testing.assert_allclose(poses.instance_scores, scores, rtol=1e-5)


@pytest.mark.parametrize("decoder", [EVALUATION, DEMO, MODEL_API], ids=["evaluation", "demo", "model_api"])
def test_planted_people_are_found_where_they_stand(decoder: PafDecoder) -> None:
    people = [person_at(10.2, 8.3), person_at(33.8, 10.2)]
    size = (32, 48)
    poses = decoder.decode(planted(size, people), whole(size))
    assert len(poses) == 2
    order = np.argsort(poses.keypoints[:, 0, 0])
    for i, person in zip(order, people, strict=True):
        assert set(np.flatnonzero(poses.present[i])) == set(person)
        for kind, point in person.items():
            assert np.abs(poses.keypoints[i, kind] / 8 - point).max() < 1
    assert (poses.scores[~poses.present] == 0).all()
    assert (poses.scores[poses.present] > 0.5).all()


def test_padding_is_no_part_of_the_image() -> None:
    size = (32, 48)
    outputs = planted(size, [person_at(24.2, 8.3)])
    half = laid(size, (64, 0, 256, 256), (128, 128))
    for decoder in (EVALUATION, DEMO, MODEL_API):
        nose = decoder.decode(outputs, half).keypoints[0, 0]
        assert np.abs(nose - ((24 * 8 + 4 - 64) / 2, (8 * 8 + 4) / 2)).max() < 4


def test_two_keypoints_of_a_kind_stay_apart_and_the_left_one_wins() -> None:
    heat = np.zeros((20, 30, 2), np.float32)
    for x, y, kind, value in [(5, 5, 0, 0.5), (9, 5, 0, 0.9), (12, 5, 0, 0.3), (9, 5, 1, 0.9), (7, 11, 0, 0.2)]:
        heat[y, x, kind] = value
    found = FourNeighbours().find(heat)
    # (9, 5) is 4 px from (5, 5) and goes; what it would have removed, (12, 5), stays; (7, 11) is 6.3 px away
    assert found.points.tolist() == [[5, 5], [7, 11], [12, 5], [9, 5]]
    assert found.starts.tolist() == [0, 3, 4]


def test_a_plateau_is_no_peak_of_four_neighbours_and_two_of_max_pool() -> None:
    heat = np.zeros((9, 9, 1), np.float32)
    heat[4, 4] = heat[4, 5] = 0.7
    assert len(FourNeighbours().find(heat)) == 0
    assert len(MaxPool().find(heat)) == 2


def test_max_pool_moves_to_the_higher_neighbour_and_keeps_the_highest() -> None:
    heat = np.zeros((9, 9, 1), np.float32)
    heat[4, 4], heat[4, 5], heat[3, 4] = 0.7, 0.5, 0.2
    heat[0, 0], heat[8, 8] = 0.6, 0.3
    found = MaxPool(top=2).find(heat)
    assert found.points.tolist() == [[4.75, 4.25], [0.5, 0.5]]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6])


def score(scoring: LimbScoring, a: tuple[float, float], b: tuple[float, float], field: np.ndarray) -> tuple[float, bool]:
    """Of one limb in a field (H, W, 2)."""
    scores, valid = scoring.score(np.array([a]), np.array([b]), np.array([0]), WholeField(field))
    return scores.item(), valid.item()


def test_a_long_limb_loses_by_the_prior() -> None:
    field = np.zeros((21, 200, 2), np.float32)
    field[..., 0] = 1
    near, far = ((5, 10), (10, 10)), ((5, 10), (105, 10))
    for limb in (near, far):
        assert score(LimbScoring(), *limb, field) == (pytest.approx(1, abs=1e-5), True)
    for prior, half in (("half_height", 10), ("exact_half_height", 10.5)):
        assert score(LimbScoring(prior=prior), *near, field) == (pytest.approx(1, abs=1e-5), True)
        assert score(LimbScoring(prior=prior), *far, field) == (pytest.approx(half / 100, abs=1e-5), True)
    upright = np.ascontiguousarray(field.transpose(1, 0, 2)[..., ::-1])
    for limb, expected in ((near, 1), (far, 21 / 100)):
        turned = [(y, x) for x, y in limb]
        assert score(LimbScoring(prior="width"), *turned, upright) == (pytest.approx(expected, abs=1e-5), True)
        assert score(LimbScoring(prior="width"), *limb, field) == (pytest.approx(1, abs=1e-5), True)


def test_exactly_nine_of_ten_samples_are_more_than_80_percent_and_eight_are_not() -> None:
    field = np.zeros((20, 20, 2), np.float32)
    field[..., 0] = 1
    field[10, 6] = -1
    assert score(LimbScoring(), (5, 10), (14, 10), field) == (pytest.approx(1, abs=1e-5), True)
    assert score(LimbScoring(average="all"), (5, 10), (14, 10), field) == (pytest.approx(0.8, abs=1e-5), True)
    for second in (5, 7, 8, 10, 11, 14):
        less = field.copy()
        less[10, second] = 0
        assert not score(LimbScoring(), (5, 10), (14, 10), less)[1]


def test_a_limb_of_no_length_is_none() -> None:
    assert not score(LimbScoring(prior="half_height"), (3, 3), (3, 3), np.ones((9, 9, 2), np.float32))[1]


@pytest.mark.parametrize("passed", [0.0, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("samples", [2, 6, 10])
def test_samples_that_are_not_read_would_not_have_changed_a_limb(samples: int, passed: float) -> None:
    random = np.random.default_rng(samples)
    field = random.normal(0.4, 0.5, (30, 40, 2)).astype(np.float32)
    a, b = random.integers(0, (40, 30), (400, 2)), random.integers(0, (40, 30), (400, 2))
    scores, valid = LimbScoring(samples=samples, passed=passed).score(
        a.astype(float), b.astype(float), np.zeros(400, np.intp), WholeField(field)
    )
    for i, (start, end) in enumerate(zip(a, b, strict=True)):
        points = np.linspace(start, end, samples).round().astype(int)
        along = field[points[:, 1], points[:, 0]] @ ((end - start) / max(1e-6, np.hypot(*(end - start))))
        counted = along > 0.05
        assert valid[i] == (counted.mean() > passed)
        if valid[i]:
            assert scores[i] == pytest.approx(along[counted].mean(), abs=1e-4)


def test_halves_merge_only_where_asked() -> None:
    # neck - right shoulder and right elbow - right wrist, then shoulder - elbow joins them
    candidates = Candidates(np.zeros((4, 2)), np.ones(4), np.array([0, 0, 1, 2, 3, 4] + [4] * 13))
    one = np.array([1.0])
    chain = [(Limb(1, 2, 12), 0, 1), (Limb(3, 4, 16), 2, 3), (Limb(2, 3, 14), 1, 2)]
    connected = [(limb, _connections(a, b, one)) for limb, a, b in chain]
    assert [row[row >= 0].tolist() for row in merge(candidates, connected, 18).ids] == [[0, 1, 2, 3]]
    assert len(attach(candidates, connected, 18)) == 2


def _connections(a: int, b: int, score: np.ndarray) -> Any:
    return Connections(np.array([a]), np.array([b]), score)


def test_a_candidate_is_in_one_limb_of_a_kind() -> None:
    points = np.array([[2.0, 5.0], [2.0, 6.0], [20.0, 5.0], [20.0, 6.0]])
    candidates = Candidates(points, np.ones(4), np.array([0, 0, 2, 4] + [4] * 15))
    pafs = np.zeros((10, 30, 38), np.float32)
    pafs[..., 12] = 1
    ((_, (a, b, _)),) = connect(candidates, [Limb(1, 2, 12)], partial(LimbScoring().score, field=WholeField(pafs)))
    assert sorted(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 2), (1, 3)]


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("decoder", [EVALUATION, DEMO, MODEL_API], ids=["evaluation", "demo", "model_api"])
def test_flat_and_broken_maps_hold_nobody(decoder: PafDecoder, fill: float) -> None:
    outputs = {"heat": np.full((1, 19, 6, 8), fill, np.float32), "paf": np.full((1, 38, 6, 8), fill, np.float32)}
    poses = decoder.decode(outputs, whole((6, 8)))
    assert len(poses) == 0
    assert poses.keypoints.shape == (0, 18, 2)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    broken=st.sampled_from([0.0, 0.01]),
    decoder=st.sampled_from([EVALUATION, DEMO, MODEL_API]),
    dtype=st.sampled_from([np.float32, np.float16]),
)
def test_any_maps_give_sound_poses_and_stay_as_they_were(
    seed: int, size: tuple[int, int], broken: float, decoder: PafDecoder, dtype: type
) -> None:
    random = np.random.default_rng(seed)
    outputs = {"heat": random.normal(0.3, 0.3, (1, 19, *size)).astype(dtype), "paf": random.normal(0.5, 0.5, (1, 38, *size)).astype(dtype)}
    for maps in outputs.values():
        maps[random.random(maps.shape) < broken] = np.nan
        maps.flags.writeable = False
    before = {name: maps.copy() for name, maps in outputs.items()}
    poses = decoder.decode(outputs, whole(size))
    for name, maps in outputs.items():
        np.testing.assert_array_equal(maps, before[name])
    assert ((poses.scores > 0) == poses.present).all()
    assert np.isfinite(poses.instance_scores).all()
    assert (poses.present.sum(axis=1) >= 2).all()
    assert (poses.keypoints[poses.present] >= -1).all()
    assert (poses.keypoints[poses.present] <= (size[1] * 8 + 1, size[0] * 8 + 1)).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 14), st.integers(1, 14)), levels=st.sampled_from([3, 50]))
def test_peaks_equal_a_loop_over_pixels(seed: int, shape: tuple[int, int], levels: int) -> None:
    heat = (np.random.default_rng(seed).integers(0, levels, (*shape, 2)) / levels).astype(np.float32)
    expected: list[tuple[int, int, int]] = []
    for kind in range(2):
        kept: list[tuple[int, int]] = []
        for x in range(shape[1]):
            for y in range(shape[0]):
                beside = [(y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)]
                values = [heat[j, i, kind] if 0 <= j < shape[0] and 0 <= i < shape[1] else 0 for j, i in beside]
                peak = heat[y, x, kind] >= np.float32(0.1) and all(heat[y, x, kind] > value for value in values)
                if peak and all((x - i) ** 2 + (y - j) ** 2 >= 36 for i, j in kept):
                    kept.append((x, y))
        expected += [(x, y, kind) for x, y in kept]
    found = FourNeighbours().find(heat)
    kinds = np.repeat(np.arange(2), np.diff(found.starts))
    assert [(x, y, k) for (x, y), k in zip(found.points.astype(int).tolist(), kinds.tolist(), strict=True)] == expected


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"heat": np.zeros((1, 19, 4, 4))}, "asks for the output 'paf'"),
        ({"heat": np.zeros((2, 19, 4, 4)), "paf": np.zeros((2, 38, 4, 4))}, "has the shape"),
        ({"heat": np.zeros((1, 17, 4, 4)), "paf": np.zeros((1, 38, 4, 4))}, "has the shape"),
        ({"heat": np.zeros((1, 19, 0, 4)), "paf": np.zeros((1, 38, 0, 4))}, "has the shape"),
        ({"heat": np.zeros((1, 19, 4, 5)), "paf": np.zeros((1, 38, 4, 5))}, "do not cover an input of 32 x 32"),
    ],
)
def test_outputs_that_do_not_fit_are_refused_by_name(outputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        EVALUATION.decode(outputs, whole((4, 4)))


def test_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(StepFailed, match="4 x 4, the part affinity fields 5 x 4"):
        DEMO.decode({"heat": np.zeros((1, 19, 4, 4)), "paf": np.zeros((1, 38, 4, 5))}, whole((4, 4)))


def test_a_decoder_is_its_yaml_and_back() -> None:
    declared = {"type": "paf", **NAMES, "peaks": {"type": "max_pool", "kernel": 5}, "limbs": {"prior": "half_height"}}
    decoder = msgspec.convert(declared, Decoder)
    assert decoder == PafDecoder(**NAMES, peaks=MaxPool(kernel=5), limbs=LimbScoring(prior="half_height"))
    assert msgspec.convert(msgspec.to_builtins(decoder), Decoder) == decoder
    with pytest.raises(msgspec.ValidationError, match="unknown field `treshold`"):
        msgspec.convert({"type": "paf", **NAMES, "treshold": 1}, Decoder)


def test_every_field_of_a_decoder_is_described() -> None:
    _, definitions = msgspec.json.schema_components([Decoder])
    for name, schema in definitions.items():
        for field, facts in schema["properties"].items():
            assert field == "type" or "description" in facts or "description" in str(facts), f"{name}.{field}"
