"""COCO's figures, their differences, drift without annotations."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.metrics import CocoOks, CocoOksPeople, drift
from zoo.metrics.bootstrap import Evaluated, average_precision, paired
from zoo.metrics.matching import Matches
from zoo.metrics.truth import Truth
from zoo.pose.coco_results import coco_results
from zoo.pose.keypoints import Poses
from zoo.pose.oks import COCO_SIGMAS, oks

TO_COCO = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]


def people(count: int, seed: int = 0, size: float = 100.0, keypoints: int = 17) -> Poses:
    """People beside each other, `size` pixels large."""
    random = np.random.default_rng(seed)
    points = random.uniform(0, size, (count, keypoints, 2)) + np.arange(count)[:, None, None] * 2 * size
    return Poses.of(points, np.ones((count, keypoints)), random.uniform(1, 2, count))


def shifted(poses: Poses, by: float) -> Poses:
    return Poses.of(poses.keypoints + by, poses.scores, poses.instance_scores)


def scene(path: Path, images: int, first_id: int = 1) -> tuple[Path, list[dict[str, Any]]]:
    """Annotations of three people an image, and results that are off by a random distance each."""
    random = np.random.default_rng(1)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        poses = people(3, image)
        for points in poses.keypoints:
            keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1).ravel().tolist()
            box = [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()]
            common = {"image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17}
            annotations.append({**common, "id": first_id + len(annotations), "keypoints": keypoints, "bbox": box, "area": box[2] * box[3]})
        off = poses.keypoints + random.normal(0, 8, (3, 17, 2)) * random.uniform(0, 1.5, (3, 1, 1))
        found = Poses.of(off, poses.scores, random.uniform(0, 1, 3))
        results += coco_results(found, image)
    content = {
        "images": [{"id": id} for id in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    path.write_text(json.dumps(content))
    return path, results


@pytest.mark.assets
def test_the_fixture_scores_what_pycocotools_gives(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = assets / "fixtures/keypoints"
    figures = CocoOks().evaluate(folder / "gt.json", [139099], json.loads((folder / "dt.json").read_text()))
    assert {key: round(figures[key], 3) for key in ("AP", "AP50", "AP75")} == {"AP": 0.505, "AP50": 0.723, "AP75": 0.634}
    assert figures["detections"] == 128 and figures["images"] == 1
    assert capsys.readouterr().out == ""


@pytest.mark.assets
def test_every_figure_is_that_of_pycocotools_own_summary(assets: Path) -> None:
    from pycocotools.cocoeval import COCOeval

    folder = assets / "fixtures/keypoints"
    results = json.loads((folder / "dt.json").read_text())
    truth = Truth(folder / "gt.json", [139099], 17)
    evaluation = COCOeval(truth.coco(), truth.detected(results), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
    figures = CocoOks().evaluate(folder / "gt.json", [139099], results)
    assert [figures[name] for name in names] == pytest.approx(evaluation.stats.tolist(), abs=1e-12)


def test_no_detections_score_zero(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 2)
    figures = CocoOks().evaluate(truth, [1, 2], [])
    assert figures == {"AP": 0, "AP50": 0, "AP75": 0, "APM": 0, "AR": 0, "AR50": 0, "AR75": 0, "ARM": 0} | figures
    assert figures["AP"] == figures["AR"] == figures["detections"] == 0


def test_only_the_images_asked_for_count(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 4)
    perfect = [result for image in range(1, 5) for result in coco_results(people(3, image), image)]
    assert CocoOks().evaluate(truth, [1, 3], perfect)["AP"] == pytest.approx(1)
    assert CocoOks().evaluate(truth, [1, 3], perfect)["detections"] == 6
    assert CocoOks().evaluate(truth, [1, 2, 3, 4], perfect[:6])["AR"] == pytest.approx(0.5)


def test_an_annotation_with_the_id_zero_can_be_found(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 1, first_id=0)
    assert CocoOks().evaluate(truth, [1], coco_results(people(3, 1), 1))["AR"] == pytest.approx(1)


def test_a_figure_that_no_person_can_give_is_absent(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 3)
    figures = CocoOks(medium=(0.0, 10.0)).evaluate(truth, [1, 2, 3], results)
    assert "APM" not in figures and "ARM" not in figures and "AP" in figures


def test_detections_beyond_the_limit_do_not_count(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 1)
    assert CocoOks(max_detections=2).evaluate(truth, [1], coco_results(people(3, 1), 1))["AR"] == pytest.approx(2 / 3)


def test_evaluating_leaves_the_results_as_they_were(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 1)
    CocoOks().evaluate(truth, [1], results)
    assert set(results[0]) == {"image_id", "category_id", "keypoints", "score"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1", "is not JSON"),
        ("[]", "not COCO's"),
        ('{"images": [{"id": 1}]}', "annotations"),
        ('{"images": [], "annotations": []}', "categories"),
    ],
)
def test_annotations_that_cannot_be_scored_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(StepFailed, match=rf"truth\.json.*{said}"):
        CocoOks().evaluate(tmp_path / "truth.json", [1], [])


def test_images_that_the_annotations_do_not_have_are_named(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 1)
    with pytest.raises(StepFailed, match="it has no image 5"):
        CocoOks().evaluate(truth, [1, 5], [])
    with pytest.raises(StepFailed, match="no images"):
        CocoOks().evaluate(truth, [], [])


def test_a_count_of_keypoints_other_than_that_of_the_sigmas_is_refused(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 1)
    with pytest.raises(StepFailed, match="17 keypoints, and the metric has 4 sigmas"):
        CocoOks(sigmas=(0.1,) * 4).evaluate(truth, [1], [])


def evaluated(truth: Path, results: list[dict[str, Any]], ids: list[int]) -> Evaluated:
    judge = CocoOks().judge(Truth(truth, ids, 17))
    judge.add(ids, results)
    return Evaluated.of(judge.matches())


def test_accumulating_again_is_cocos_accumulation(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 30)
    ids = list(range(1, 31))
    expected = CocoOks().evaluate(truth, ids, results)["AP"]
    assert 0.1 < expected < 0.95
    assert average_precision(evaluated(truth, results, ids), np.ones(30)) == pytest.approx(expected, abs=1e-12)


def test_an_image_drawn_twice_counts_as_if_it_were_there_twice(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 12)
    times = np.random.default_rng(4).integers(0, 4, 12).astype(np.float64)
    content = json.loads(truth.read_text())
    copied: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": content["categories"]}
    detections = []
    for image, count in enumerate(times.astype(int).tolist(), 1):
        for _ in range(count):
            id = len(copied["images"]) + 1
            copied["images"].append({"id": id})
            copied["annotations"] += [{**one, "image_id": id} for one in content["annotations"] if one["image_id"] == image]
            detections += [{**one, "image_id": id} for one in results if one["image_id"] == image]
    (tmp_path / "copied.json").write_text(json.dumps(copied))
    expected = CocoOks().evaluate(tmp_path / "copied.json", [image["id"] for image in copied["images"]], detections)["AP"]
    assert average_precision(evaluated(truth, results, list(range(1, 13))), times) == pytest.approx(expected, abs=1e-12)


def test_a_paired_difference_knows_its_error(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 40)
    ids = list(range(1, 41))
    perfect = [result for image in ids for result in coco_results(people(3, image), image)]
    metric = CocoOks()
    same = metric.paired_difference(truth, results, results, ids)
    assert (same["difference"], same["standard_error"], same["low"], same["high"]) == (0, 0, 0, 0)
    better = metric.paired_difference(truth, perfect, results, ids, seed=3)
    expected = metric.evaluate(truth, ids, perfect)["AP"] - metric.evaluate(truth, ids, results)["AP"]
    assert better["difference"] == pytest.approx(expected)
    assert 0 < better["low"] < better["difference"] < better["high"]
    assert 0.005 < better["standard_error"] < 0.1
    assert better == metric.paired_difference(truth, perfect, results, ids, seed=3)
    assert better["standard_error"] != metric.paired_difference(truth, perfect, results, ids, seed=4)["standard_error"]
    assert metric.paired_difference(truth, [], results, ids)["difference"] < 0


def kept(truth: Path, ids: list[int], results: list[dict[str, Any]], file: Path) -> Matches:
    CocoOks().evaluate(truth, ids, iter(results), file)
    return Matches.load(file)


def test_what_is_kept_of_an_evaluation_is_all_that_a_difference_needs(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 40)
    ids = list(range(1, 41))
    perfect = [result for image in ids for result in coco_results(people(3, image), image)]
    files = [tmp_path / "perfect.npz", tmp_path / "found.npz"]
    one, other = (kept(truth, ids, found, file) for found, file in zip((perfect, results), files, strict=True))
    found = paired(one, other, seed=3, samples=100)
    assert msgspec.structs.asdict(found) == CocoOks().paired_difference(truth, perfect, results, ids, seed=3, samples=100)
    assert (found.images, found.samples, found.seed) == (40, 100, 3)
    judge = CocoOks().judge(Truth(truth, ids, 17))
    judge.add(ids, results)
    for name, value in vars(judge.matches()).items():
        np.testing.assert_array_equal(getattr(other, name), value)
        assert getattr(other, name).dtype == value.dtype
    before = files[1].read_bytes()
    kept(truth, ids, results, files[1])
    assert files[1].read_bytes() == before, "the same evaluation keeps the same bytes"
    assert len(before) < 30 * len(results) + 3000


def test_images_that_only_one_was_judged_on_are_left_out(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 40)
    ids, fewer = list(range(1, 41)), [*range(3, 20), *range(25, 41)]
    perfect = [result for image in ids for result in coco_results(people(3, image), image)]
    one, other = kept(truth, ids[:30], perfect, tmp_path / "a.npz"), kept(truth, fewer, results, tmp_path / "b.npz")
    common = sorted({*ids[:30]} & {*fewer})
    found = paired(one, other)
    assert found.images == len(common) == 23
    assert msgspec.structs.asdict(found) == CocoOks().paired_difference(truth, perfect, results, common)
    with pytest.raises(StepFailed, match="they have none in common"):
        paired(one.within(np.array([1, 2])), other)


def test_two_that_were_judged_by_different_annotations_have_no_difference(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 5)
    ids, content = [1, 2, 3, 4, 5], json.loads(truth.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**content, "annotations": content["annotations"][1:]}))
    with pytest.raises(StepFailed, match="different annotations of the same images"):
        paired(kept(truth, ids, results, tmp_path / "a.npz"), kept(other, ids, results, tmp_path / "b.npz"))


def test_nobody_found_and_nobody_there_is_no_difference(tmp_path: Path) -> None:
    truth, _ = scene(tmp_path / "truth.json", 3)
    nobody = kept(truth, [1, 2, 3], [], tmp_path / "a.npz")
    assert (nobody.scores.shape, nobody.matched.shape, nobody.counting.tolist()) == ((0,), (10, 0), [3, 3, 3])
    assert paired(nobody, nobody).difference == 0


def test_an_absent_keypoint_is_three_zeros_and_never_nan() -> None:
    poses = people(1)
    poses.keypoints[0, 3] = np.nan
    (result,) = coco_results(poses, 9)
    points = np.array(result["keypoints"]).reshape(17, 3)
    assert points[3].tolist() == [0, 0, 0]
    np.testing.assert_allclose(points[[0, 16], :2], poses.keypoints[0, [0, 16]])
    assert points[0, 2] == 1 and result["image_id"] == 9 and result["score"] == poses.instance_scores[0]
    json.dumps(result, allow_nan=False)


def test_no_people_are_no_results() -> None:
    assert coco_results(Poses.of(np.zeros((0, 18, 2)), np.zeros((0, 18)), np.zeros(0)), 1) == []


@pytest.mark.assets
def test_results_are_those_that_the_original_wrote(assets: Path) -> None:
    for image_id, golden in json.loads((assets / "goldens/pre_post/bottomup_poses.json").read_text()).items():
        original = golden["lop_val"]
        rows, entries = np.array(original["all_keypoints"]), np.array(original["pose_entries"])
        ids = entries[:, :18].astype(int)
        points: NDArray[np.float64] = np.where(ids[..., None] >= 0, rows[ids, :2], np.nan)
        scores = np.where(ids >= 0, rows[ids, 2], 0)
        poses = Poses.of(points + 0.5, scores, entries[:, 18] * np.maximum(0, entries[:, 19] - 1))
        results = coco_results(poses.reordered(TO_COCO), int(image_id))
        assert [result["keypoints"] for result in results] == original["coco_keypoints"]
        assert [result["score"] for result in results] == pytest.approx(original["coco_scores"])


def test_oks_is_one_for_equal_people_and_falls_as_coco_defines() -> None:
    poses = people(2)
    areas = np.array([10000.0, 2500.0])
    similarity = oks(poses.keypoints, shifted(poses, 3.0).keypoints, areas)
    assert oks(poses.keypoints, poses.keypoints, areas)[0, 0] == pytest.approx(1)
    expected = np.mean([np.exp(-(2 * 3.0**2) / (2 * 2500 * (2 * sigma) ** 2)) for sigma in COCO_SIGMAS])
    assert similarity[1, 1] == pytest.approx(expected)
    assert similarity.shape == (2, 2) and similarity[0, 1] < 0.01


def test_a_keypoint_only_the_reference_has_counts_against_and_an_additional_one_not() -> None:
    poses, fewer = people(1), people(1)
    fewer.keypoints[0, :5] = np.nan
    areas = np.array([10000.0])
    assert oks(poses.keypoints, fewer.keypoints, areas)[0, 0] == pytest.approx(12 / 17)
    assert oks(fewer.keypoints, poses.keypoints, areas)[0, 0] == pytest.approx(1)


def test_oks_of_other_keypoints_than_sigmas_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="18 and 18 keypoints with 17 sigmas"):
        oks(np.zeros((1, 18, 2)), np.zeros((1, 18, 2)), np.ones(1))


def test_drift_of_equal_poses_is_none() -> None:
    poses = [people(3, 1), Poses.of(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0)), people(2, 2)]
    assert drift(poses, poses) == {"people": 5, "found": 1, "oks": pytest.approx(1), "extra": 0, "agreement": pytest.approx(1)}


def test_drift_counts_who_is_lost_and_who_is_invented() -> None:
    three, nobody = people(3), Poses.of(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0))
    two = Poses(three.keypoints[:2], three.scores[:2], three.boxes[:2], three.instance_scores[:2])
    lost, invented = drift([three], [two]), drift([two], [three])
    assert (lost["found"], lost["extra"], lost["agreement"]) == pytest.approx((2 / 3, 0, 2 / 3))
    assert (invented["found"], invented["extra"], invented["agreement"]) == pytest.approx((1, 1, 2 / 3))
    assert drift([three], [nobody]) == {"people": 3, "found": 0, "oks": 0, "extra": 0, "agreement": 0}
    assert drift([nobody], [three])["agreement"] == 0 and drift([nobody], [nobody])["agreement"] == 1


def test_drift_falls_with_the_distance_and_two_do_not_share_a_partner() -> None:
    poses = people(3)
    figures = [drift([poses], [shifted(poses, by)])["agreement"] for by in (0.0, 1.0, 3.0, 6.0)]
    assert figures == sorted(figures, reverse=True) and figures[1] < figures[0]
    twice = Poses.of(poses.keypoints[[0, 0]], poses.scores[[0, 0]], poses.instance_scores[[0, 0]])
    alone = Poses.of(poses.keypoints[:1], poses.scores[:1], poses.instance_scores[:1])
    assert drift([twice], [alone])["found"] == 0.5
    assert drift([alone], [twice])["extra"] == 1


def test_images_without_people_cost_nothing_where_only_people_are_judged(tmp_path: Path) -> None:
    truth, results = scene(tmp_path / "truth.json", 4)
    content = json.loads(truth.read_text())
    content["images"] += [{"id": 5}, {"id": 6}]
    # a crowd alone is somebody
    crowd = {**content["annotations"][0], "id": 99, "image_id": 6, "iscrowd": 1, "num_keypoints": 0, "keypoints": [0] * 51}
    content["annotations"].append(crowd)
    truth.write_text(json.dumps(content))
    nobody = [{**one, "image_id": 5, "score": 2.0} for one in results[:3]]
    ids = [1, 2, 3, 4, 5, 6]
    kept = tmp_path / "matches.npz"
    figures = CocoOksPeople().evaluate(truth, ids, [*results, *nobody], kept)
    assert figures == {**CocoOks().evaluate(truth, [1, 2, 3, 4, 6], results), "images": 5}
    assert figures["AP"] > CocoOks().evaluate(truth, ids, [*results, *nobody])["AP"]
    assert Matches.load(kept).ids.tolist() == [1, 2, 3, 4, 6]
    assert CocoOksPeople().evaluate(truth, [2, 5], iter(results))["images"] == 1
    with pytest.raises(StepFailed, match="nobody is annotated"):
        CocoOksPeople().evaluate(truth, [5], [])
    assert (CocoOksPeople.figures, CocoOksPeople.pairs) == (CocoOks.figures, True)
