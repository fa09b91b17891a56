"""People found one by one: their scores, and who is dropped as found twice; equal to mmpose's."""

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zoo.metrics import CocoOks
from zoo.pose.coco_results import coco_results
from zoo.pose.keypoints import Poses
from zoo.pose.oks import COCO_SIGMAS, oks
from zoo.pose.people import People, oks_nms, soft_oks_nms

GOLDEN = "goldens/pre_post/oks_nms_and_cocometric.json"
NMS = {"oks_nms": "oks", "soft_oks_nms": "soft_oks", "none": "none"}
FIGURES = {"AP": "AP", "AP .5": "AP50", "AP .75": "AP75", "AP (M)": "APM", "AP (L)": "APL"}
FIGURES |= {"AR": "AR", "AR .5": "AR50", "AR .75": "AR75", "AR (M)": "ARM", "AR (L)": "ARL"}
SIGMAS = (0.03, 0.08, 0.1)


@pytest.fixture(scope="module")
def golden(assets: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((assets / GOLDEN).read_text())
    return content


@pytest.fixture(scope="module")
def instances(golden: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """The golden's instances: keypoints (N, K, 3) with their scores, scores (N,), areas (N,)."""
    known = golden["oks_nms"]["instances"]
    return {
        name: np.array([one[key] for one in known]) for name, key in (("keypoints", "keypoints"), ("scores", "score"), ("areas", "area"))
    }


def judged(golden: dict[str, Any], people: People) -> tuple[list[list[float]], list[dict[str, Any]]]:
    """[prediction id, score] of those who stay, and their COCO results; image after image, by the predictions' ids."""
    images: dict[int, list[dict[str, Any]]] = {}
    for one in sorted(golden["cocometric"]["predictions"], key=lambda one: int(one["id"])):
        images.setdefault(one["img_id"], []).append(one)
    kept: list[list[float]] = []
    results: list[dict[str, Any]] = []
    for image, found in images.items():
        keypoints, scores, box_scores, scales = (
            np.array([one[key] for one in found]) for key in ("keypoints", "keypoint_scores", "bbox_score", "bbox_scale")
        )
        # the ids stand in for boxes, which are passed through
        ids = np.array([[one["id"]] * 4 for one in found], np.float64)
        poses = people.of(keypoints, scores, ids, box_scores, scales.prod(axis=1), COCO_SIGMAS)
        kept += np.stack([poses.boxes[:, 0], poses.instance_scores], axis=1).tolist()
        results += coco_results(poses, image)
    return kept, results


@pytest.mark.assets
@pytest.mark.parametrize("threshold", ["0.3", "0.5", "0.7", "0.9"])
def test_oks_nms_keeps_whom_the_original_keeps(golden: dict[str, Any], instances: dict[str, Any], threshold: str) -> None:
    kept = oks_nms(instances["keypoints"][..., :2], instances["scores"], instances["areas"], golden["oks_nms"]["sigmas"], float(threshold))
    assert kept.tolist() == golden["oks_nms"]["keep"][threshold]


@pytest.mark.assets
@pytest.mark.parametrize("threshold", ["0.5", "0.9"])
def test_keypoints_that_are_nan_count_as_the_originals_invisible_ones(
    golden: dict[str, Any], instances: dict[str, Any], threshold: str
) -> None:
    points, visible = instances["keypoints"][..., :2], instances["keypoints"][..., 2:] > 0.2
    assert not visible.all()
    seen = np.where(visible, points, np.nan)
    kept = oks_nms(seen, instances["scores"], instances["areas"], golden["oks_nms"]["sigmas"], float(threshold))
    assert kept.tolist() == golden["oks_nms"]["keep_vis_thr_0_2"][threshold]


@pytest.mark.assets
def test_soft_oks_nms_takes_whom_the_original_takes_in_its_order(golden: dict[str, Any], instances: dict[str, Any]) -> None:
    sigmas = golden["oks_nms"]["sigmas"]
    kept = soft_oks_nms(instances["keypoints"][..., :2], instances["scores"], instances["areas"], sigmas, 0.9, 20)
    assert kept.tolist() == golden["oks_nms"]["soft_keep_0_9_max20"]


@pytest.mark.assets
def test_oks_with_the_mean_of_both_areas_is_the_originals(golden: dict[str, Any], instances: dict[str, Any]) -> None:
    points, areas = instances["keypoints"][..., :2], instances["areas"]
    similarity = oks(points[:1], points, (areas[:1, None] + areas) / 2, golden["oks_nms"]["sigmas"], shared=True)
    np.testing.assert_allclose(similarity[0], golden["oks_nms"]["oks_of_0_vs_all"], atol=1e-5)


@pytest.mark.assets
@pytest.mark.parametrize("mode", ["bbox_keypoint/oks_nms", "bbox_rle/oks_nms", "bbox_keypoint/none"])
def test_whoever_stays_has_the_originals_score_and_place(golden: dict[str, Any], mode: str) -> None:
    score, nms = mode.split("/")
    kept, _ = judged(golden, msgspec.convert({"score": score, "nms": NMS[nms]}, People))
    assert kept == golden["cocometric"]["kept"][mode]


@pytest.mark.assets
@pytest.mark.parametrize("nms", NMS)
@pytest.mark.parametrize("score", ["bbox", "bbox_keypoint", "bbox_rle", "keypoint"])
def test_the_figures_are_those_of_mmposes_metric(assets: Path, golden: dict[str, Any], score: str, nms: str) -> None:
    annotations = assets / "coco_mini/annotations/person_keypoints_val_mini.json"
    assert annotations.name == golden["cocometric"]["ann_file"]
    ids = [image["id"] for image in json.loads(annotations.read_text())["images"]]
    _, results = judged(golden, msgspec.convert({"score": score, "nms": NMS[nms]}, People))
    figures = CocoOks().evaluate(annotations, ids, results)
    expected = golden["cocometric"]["metrics"][f"{score}/{nms}"]
    assert {name: figures[FIGURES[name]] for name in expected} == pytest.approx(expected, abs=1e-9)


def plain_oks(a: Any, b: Any, area: float, sigmas: tuple[float, ...]) -> float:
    terms = []
    for (ax, ay), (bx, by), sigma in zip(a.tolist(), b.tolist(), sigmas, strict=True):
        if not math.isnan(ax) and not math.isnan(bx):
            terms.append(math.exp(-((ax - bx) ** 2 + (ay - by) ** 2) / (2 * area * (2 * sigma) ** 2)))
    return sum(terms) / len(terms) if terms else 0.0


def plain_oks_nms(points: Any, scores: Any, areas: Any, threshold: float) -> list[int]:
    order = sorted(range(len(points)), key=lambda one: float(scores[one]))[::-1]
    kept: list[int] = []
    while order:
        first, *rest = order
        kept.append(first)
        order = [one for one in rest if plain_oks(points[first], points[one], (areas[first] + areas[one]) / 2, SIGMAS) <= threshold]
    return kept


def plain_soft_oks_nms(points: Any, scores: Any, areas: Any, threshold: float, most: int) -> list[int]:
    left: dict[int, float] = dict(enumerate(scores.tolist()))
    taken: list[int] = []
    while left and len(taken) < most:
        first = max(left, key=lambda one: left[one])
        del left[first]
        taken.append(first)
        for one in left:
            left[one] *= math.exp(-(plain_oks(points[first], points[one], (areas[first] + areas[one]) / 2, SIGMAS) ** 2) / threshold)
    return taken


@st.composite
def crowds(draw: st.DrawFn, distinct: bool = False) -> tuple[Any, Any, Any]:
    """keypoints (N, 3, 2), scores (N,), areas (N,): close together, some keypoints absent, some people equal."""
    count = draw(st.integers(0, 8))
    numbers = st.lists(st.integers(0, 12), min_size=6, max_size=6)
    points = np.array(draw(st.lists(numbers, min_size=count, max_size=count)), np.float64).reshape(count, 3, 2)
    absent = draw(st.lists(st.booleans(), min_size=3 * count, max_size=3 * count))
    points[np.array(absent, np.bool_).reshape(count, 3) & draw(st.booleans())] = np.nan
    scores = draw(st.lists(st.integers(1, 1000 if distinct else 4), min_size=count, max_size=count, unique=distinct))
    areas = draw(st.lists(st.integers(100, 9000), min_size=count, max_size=count))
    return points, np.array(scores) / 1000, np.array(areas, np.float64)


@given(crowds(), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
def test_oks_nms_is_what_it_says_one_pair_after_another(crowd: Any, threshold: float) -> None:
    points, scores, areas = crowd
    assert oks_nms(points, scores, areas, SIGMAS, threshold).tolist() == plain_oks_nms(points, scores, areas, threshold)


@given(crowds(distinct=True), st.sampled_from([0.1, 0.5, 0.9]), st.integers(1, 9))
def test_soft_oks_nms_is_what_it_says_one_pair_after_another(crowd: Any, threshold: float, most: int) -> None:
    points, scores, areas = crowd
    taken = soft_oks_nms(points, scores, areas, SIGMAS, threshold, most)
    assert taken.tolist() == plain_soft_oks_nms(points, scores, areas, threshold, most)


@settings(max_examples=50)
@given(crowds(), st.sampled_from(["bbox", "bbox_keypoint", "bbox_rle", "keypoint"]), st.sampled_from(list(NMS.values())))
def test_no_one_is_scored_nan_or_twice(crowd: Any, score: str, nms: str) -> None:
    points, box_scores, areas = crowd
    scores = np.where(np.isnan(points[..., 0]), 0, 0.5)
    numbered = np.repeat(np.arange(len(points), dtype=np.float64)[:, None], 4, axis=1)
    poses = msgspec.convert({"score": score, "nms": nms}, People).of(points, scores, numbered, box_scores, areas, SIGMAS)
    kept = poses.boxes[:, 0].astype(int)
    assert np.isfinite(poses.instance_scores).all() and len(set(kept.tolist())) == len(poses)
    np.testing.assert_array_equal(poses.keypoints, points[kept])
    np.testing.assert_array_equal(poses.scores, scores[kept])
    assert len(poses) == len(points) or nms == "oks"
    if nms == "oks":
        assert (np.diff(poses.instance_scores) <= 0).all()


def two(apart: float) -> tuple[Any, Any, Any]:
    """Two people of 3 keypoints each, `apart` pixels from each other; scores 0.5 and 0.6."""
    points = np.stack([np.array([[10.0, 10.0], [50.0, 20.0], [30.0, 90.0]])] * 2) + np.array([0.0, apart])[:, None, None]
    return points, np.array([0.5, 0.6]), np.array([4000.0, 4000.0])


def of(people: People, points: Any, scores: Any, box_scores: Any, areas: Any) -> Poses:
    return people.of(points, scores, np.zeros((len(points), 4)), box_scores, areas, SIGMAS)


def test_scores_count_only_above_least_and_a_person_without_any_has_none() -> None:
    points, box_scores, areas = two(500)
    scores = np.array([[0.2, 0.4, 0.8], [0.2, 0.1, 0.0]])
    assert of(People(nms="none"), points, scores, box_scores, areas).instance_scores == pytest.approx([0.5 * 0.6, 0])
    assert of(People(nms="none", least=0.05), points, scores, box_scores, areas).instance_scores == pytest.approx(
        [0.5 * 1.4 / 3, 0.6 * 0.15]
    )
    assert of(People(nms="none", score="bbox_rle"), points, scores, box_scores, areas).instance_scores == pytest.approx(
        [0.5 + 1.4 / 3 + 0.8, 0.6 + 0.1 + 0.2]
    )


def test_soft_nms_puts_a_double_last_and_keeps_its_score() -> None:
    points, box_scores, areas = two(0)
    points = np.concatenate([points, points[:1] + 500])
    poses = of(People(score="bbox", nms="soft_oks"), points, np.ones((3, 3)), np.array([*box_scores, 0.4]), np.array([*areas, 4000.0]))
    assert poses.instance_scores.tolist() == [0.6, 0.4, 0.5]
    fewer = of(People(score="bbox", nms="soft_oks", most=2), points, np.ones((3, 3)), np.array([*box_scores, 0.4]), np.full(3, 4000.0))
    assert fewer.instance_scores.tolist() == [0.6, 0.4]


def test_people_without_a_common_keypoint_are_not_doubles() -> None:
    points, scores, areas = two(0)
    assert oks_nms(points, scores, areas, SIGMAS, 0.5).tolist() == [1]
    points[0, 0] = points[1, 1:] = np.nan
    assert oks_nms(points, scores, areas, SIGMAS, 0.5).tolist() == [1, 0]


def test_of_people_with_equal_scores_the_last_stays() -> None:
    points, _, areas = two(0)
    assert oks_nms(points, np.ones(2), areas, SIGMAS, 0.5).tolist() == [1]


def test_boxes_without_an_area_do_no_harm() -> None:
    points, scores, _ = two(3)
    assert oks_nms(points, scores, np.zeros(2), SIGMAS, 0.5).tolist() == [1, 0]
    assert oks_nms(points[[0, 0]], scores, np.zeros(2), SIGMAS, 0.5).tolist() == [1]


@pytest.mark.parametrize("nms", NMS.values())
def test_nobody_stays_nobody(nms: str) -> None:
    nobody = np.zeros((0, 3, 2))
    poses = of(msgspec.convert({"nms": nms}, People), nobody, np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    assert len(poses) == 0 and poses.keypoints.shape == (0, 3, 2) and poses.instance_scores.shape == (0,)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": 1.1}, {"most": 0}, {"score": "box"}, {"nms": "soft"}, {"keep": 1}])
def test_what_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, People)


def test_the_table_in_the_documentation_is_the_record() -> None:
    page = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", page.partition("\n| people |")[2].partition("\n\n")[0], re.M)
    assert dict(rows) == {name: str(value) for name, value in msgspec.structs.asdict(People()).items()}
