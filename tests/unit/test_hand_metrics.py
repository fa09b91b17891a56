"""PCK, AUC and EPE of single hands; COCO-WholeBody's average precision of persons' hands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.annotations import instances
from zoo.errors import StepFailed, ZooError
from zoo.metrics import CocoOks, CocoWholebodyHands, HandPck
from zoo.metrics.wholebody import HAND_SIGMAS
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS

K = 21
Floats = NDArray[np.float64]


def annotation(image: int, points: Floats, box: list[float], **other: Any) -> dict[str, Any]:
    """`points` (K, 3)."""
    common = {"image_id": image, "category_id": 1, "iscrowd": 0, "area": box[2] * box[3], "num_keypoints": int((points[:, 2] > 0).sum())}
    return {**common, "bbox": box, "keypoints": points.ravel().tolist(), **other}


def written(path: Path, annotations: list[dict[str, Any]]) -> Path:
    images = [{"id": id, "width": 640, "height": 480} for id in sorted({one["image_id"] for one in annotations})]
    numbered = [{**one, "id": number} for number, one in enumerate(annotations, 1)]
    path.write_text(json.dumps({"images": images, "annotations": numbered, "categories": [{"id": 1, "name": "hand"}]}))
    return path


def hands(path: Path, images: int = 5, seed: int = 0) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]:
    """Two hands an image of which some keypoints are not annotated, one nowhere; results that are off, some absent, some hands lost."""
    random = np.random.default_rng(seed)
    metric = HandPck()
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        points = np.concatenate([random.uniform(100, 200, (2, K, 2)), random.integers(0, 3, (2, K, 1))], axis=2)
        points[:, 7, 2] = 0
        boxes = random.uniform(40, 160, (2, 4))
        annotations += [annotation(image, one, box.tolist()) for one, box in zip(points, boxes, strict=True)]
        found = points[..., :2] + random.normal(0, 15, (2, K, 2)) * random.uniform(0, 2, (2, K, 1))
        found[random.uniform(size=(2, K)) < 0.15] = np.nan
        if image == 2:
            found[1] = np.nan
        results += metric.results(poses(found, boxes=boxes), "hand_21", image) if image != 4 else []
    return written(path, annotations), annotations, results


def poses(points: Floats, scores: Floats | None = None, boxes: Floats | None = None) -> Poses:
    """Poses that were looked for in `boxes`, as COCO writes them."""
    count = len(points)
    corners = np.zeros((count, 4)) if boxes is None else np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return Poses(points, (~np.isnan(points[..., 0])).astype(np.float64), corners, np.ones(count) if scores is None else scores)


def plainly(annotations: list[dict[str, Any]], results: list[dict[str, Any]], sides: list[float]) -> dict[str, float]:
    """mmpose's keypoint_pck_accuracy, keypoint_auc and keypoint_epe, keypoint by keypoint; absent ones are infinitely far."""
    distances: list[list[float | None]] = []
    for place, one in enumerate(annotations):
        same = [number for number, other in enumerate(annotations) if other["image_id"] == one["image_id"]]
        found = [result for result in results if result["image_id"] == one["image_id"]]
        row: list[float | None] = []
        for k in range(K):
            x, y, v = one["keypoints"][3 * k : 3 * k + 3]
            if v <= 0:
                row.append(None)
                continue
            a, b, there = found[same.index(place)]["keypoints"][3 * k : 3 * k + 3] if found else (0, 0, 0)
            row.append(((x - a) ** 2 + (y - b) ** 2) ** 0.5 if there else float("inf"))
        distances.append(row)

    def accuracy(limit: float, scale: list[float]) -> float:
        shares = []
        for k in range(K):
            column = [row[k] / by for row, by in zip(distances, scale, strict=True) if row[k] is not None]
            if column:
                shares.append(sum(value < limit for value in column) / len(column))
        return sum(shares) / len(shares)

    known = [value for row in distances for value in row if value is not None]
    near = [value for value in known if value != float("inf")]
    return {
        "PCK": accuracy(0.2, sides),
        "AUC": sum(accuracy(number / 20, [30.0] * len(distances)) / 20 for number in range(20)),
        "EPE": sum(near) / len(near),
        "missing": 1 - len(near) / len(known),
    }


def test_the_figures_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    path, annotations, results = hands(tmp_path / "a.json")
    figures = HandPck().evaluate(path, [1, 2, 3, 4, 5], results)
    expected = plainly(annotations, results, [max(one["bbox"][2:]) for one in annotations])
    assert {name: figures[name] for name in HandPck.figures} == pytest.approx(expected, abs=1e-12)
    assert 0.3 < figures["PCK"] < 0.9 and 0.1 < figures["AUC"] < figures["PCK"] and 0.2 < figures["missing"] < 0.6
    assert figures["images"] == 5 and figures["instances"] == 10
    assert figures["keypoints"] == sum(one["num_keypoints"] for one in annotations)


def test_a_perfect_hand_has_the_best_figures_that_there_are(tmp_path: Path) -> None:
    path, annotations, _ = hands(tmp_path / "a.json")
    points = np.array([one["keypoints"] for one in annotations]).reshape(-1, 2, K, 3)[..., :2]
    boxes = np.array([one["bbox"] for one in annotations]).reshape(-1, 2, 4)
    found = [poses(both, boxes=box) for both, box in zip(points, boxes, strict=True)]
    results = [result for image, both in enumerate(found, 1) for result in HandPck().results(both, "hand_21", image)]
    figures = HandPck().evaluate(path, [1, 2, 3, 4, 5], results)
    assert {name: figures[name] for name in HandPck.figures} == pytest.approx({"PCK": 1, "AUC": 0.95, "EPE": 0, "missing": 0})


def test_a_keypoint_at_the_limit_is_not_correct(tmp_path: Path) -> None:
    points = np.array([[10.0, 10.0, 1.0]] * K)
    path = written(tmp_path / "a.json", [annotation(1, points, [0, 0, 50, 100])])
    results = HandPck().results(poses(points[None, :, :2] + [0.0, 20.0]), "hand_21", 1)
    assert HandPck().evaluate(path, [1], results)["PCK"] == 0
    assert HandPck(threshold=0.2001).evaluate(path, [1], results)["PCK"] == 1
    assert HandPck(auc_pixels=40, auc_thresholds=4).evaluate(path, [1], results)["AUC"] == 0.25


def test_the_image_can_be_what_distances_are_measured_by(tmp_path: Path) -> None:
    points = np.array([[10.0, 10.0, 1.0]] * K)
    path = written(tmp_path / "a.json", [annotation(1, points, [0, 0, 50, 100])])
    results = HandPck().results(poses(points[None, :, :2] + [0.0, 100.0]), "hand_21", 1)
    assert HandPck(part="image").evaluate(path, [1], results)["PCK"] == 1


def test_nothing_found_is_all_missing_and_has_no_error(tmp_path: Path) -> None:
    path, _, _ = hands(tmp_path / "a.json")
    figures = HandPck().evaluate(path, [1, 2], [])
    assert (figures["PCK"], figures["AUC"], figures["missing"]) == (0, 0, 1) and "EPE" not in figures
    unseen = written(tmp_path / "b.json", [annotation(1, np.zeros((K, 3)), [0, 0, 5, 5])])
    assert HandPck().evaluate(unseen, [1], []) == {"images": 1, "instances": 0, "keypoints": 0}


def test_another_number_of_hands_or_of_keypoints_is_refused(tmp_path: Path) -> None:
    path, _, results = hands(tmp_path / "a.json")
    with pytest.raises(StepFailed, match="image 3: 1 hands were found and 2 are annotated"):
        HandPck().evaluate(path, [3], [one for one in results if one["image_id"] == 3][:1])
    with pytest.raises(StepFailed, match="image 1: 20 keypoints were found and 21"):
        HandPck().evaluate(path, [1], [{**one, "keypoints": one["keypoints"][3:]} for one in results])


def test_hands_in_another_order_than_the_annotations_are_refused(tmp_path: Path) -> None:
    path, _, results = hands(tmp_path / "a.json")
    with pytest.raises(StepFailed, match=r"image 1: a hand was looked for in another box") as caught:
        HandPck().evaluate(path, [1, 2, 3, 4, 5], results[::-1])
    assert "nms: none" in caught.value.hint


def test_only_a_single_hand_is_judged_by_its_keypoints_and_only_two_by_their_persons() -> None:
    with pytest.raises(ZooError, match="coco_17 is not one hand"):
        HandPck().results(poses(np.zeros((1, 17, 2))), "coco_17", 1)
    with pytest.raises(ZooError, match="hand_21 has no left and right hand"):
        CocoWholebodyHands().results(poses(np.zeros((1, K, 2))), "hand_21", 1)


def test_results_are_plain_data_without_nan() -> None:
    points = np.full((1, 60, 2), np.nan)
    points[0, 39:] = 3.0
    (person,) = CocoWholebodyHands().results(poses(points, np.array([0.7])), "openpose_18_hands", 8)
    assert person == {
        "image_id": 8,
        "category_id": 1,
        "score": 0.7,
        "lefthand_kpts": [0.0] * 63,
        "righthand_kpts": [3.0, 3.0, 1.0] * 21,
    }
    assert json.loads(json.dumps(HandPck().results(poses(points[:, :K]), "hand_21", 8), allow_nan=False))[0]["keypoints"] == [0.0] * 63


def persons(path: Path, images: int = 4) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]:
    """Two persons an image; of some the left or the right hand is not annotated; found ones are off."""
    random = np.random.default_rng(7)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        both = np.full((2, 60, 2), np.nan)
        for person in range(2):
            kpts = {f"{side}hand_kpts": np.zeros((K, 3)) for side in ("left", "right")}
            for number, points in enumerate(kpts.values()):
                if random.uniform() < 0.75:
                    points[:] = np.concatenate([random.uniform(0, 40, (K, 2)) + 200 * person, random.integers(0, 3, (K, 1))], axis=1)
                off = random.normal(0, 3, (K, 2)) * random.uniform(0, 1.5)
                both[person, 18 + K * number : 18 + K * (number + 1)] = points[:, :2] + off
            hidden = {key: points.ravel().tolist() for key, points in kpts.items()}
            annotations.append(annotation(image, np.ones((17, 3)), [200.0 * person, 0.0, 60.0, 90.0], **hidden))
        both[1, 39:] = np.nan if image == 1 else both[1, 39:]
        results += CocoWholebodyHands().results(poses(both, random.uniform(0, 1, 2)), "openpose_18_hands", image)
    return written(path, annotations), annotations, results


def test_each_side_is_judged_as_coco_would_were_its_hand_the_person(tmp_path: Path) -> None:
    path, annotations, results = persons(tmp_path / "a.json")
    figures = CocoWholebodyHands().evaluate(path, [1, 2, 3, 4], results)
    expected = {}
    for side in ("left", "right"):
        key = f"{side}hand_kpts"
        counted = [{**one, "keypoints": one[key], "num_keypoints": sum(v > 0 for v in one[key][2::3])} for one in annotations]
        found = [{**one, "keypoints": one[key]} for one in results if any(one[key])]
        alone = written(tmp_path / f"{side}.json", counted)
        expected[side] = CocoOks(sigmas=HAND_SIGMAS).evaluate(alone, [1, 2, 3, 4], found)
    assert figures["AP_left"] == expected["left"]["AP"] and figures["AP_right"] == expected["right"]["AP"]
    assert figures["AP_left"] != figures["AP_right"] and 0.05 < figures["AP"] < 0.95
    for name in ("AP", "AP50", "AP75", "AR"):
        assert figures[name] == pytest.approx((expected["left"][name] + expected["right"][name]) / 2)
    assert figures["images"] == 4 and figures["detections"] == 15


def test_hands_that_are_not_annotated_cost_nothing_and_one_side_alone_is_the_mean(tmp_path: Path) -> None:
    path, _, results = persons(tmp_path / "a.json", 1)
    content = json.loads(path.read_text())
    for one in content["annotations"]:
        one["lefthand_kpts"] = [0.0] * 63
    path.write_text(json.dumps(content))
    figures = CocoWholebodyHands().evaluate(path, [1], results)
    assert "AP_left" not in figures and figures["AP"] == figures["AP_right"]
    assert CocoWholebodyHands().evaluate(path, [1], [])["AP"] == 0


def test_the_scale_of_a_hands_oks_is_its_persons_area(tmp_path: Path) -> None:
    points = np.concatenate([np.arange(42.0).reshape(K, 2) + 50, np.full((K, 1), 2)], axis=1)
    kpts = {"lefthand_kpts": points.ravel().tolist(), "righthand_kpts": [0.0] * 63}
    path = written(tmp_path / "a.json", [annotation(1, np.ones((17, 3)), [40, 40, 50, 50], **kpts)])
    found = np.full((1, 60, 2), np.nan)
    found[0, 18:39] = points[:, :2] + [1.5, 0.0]
    results = CocoWholebodyHands().results(poses(found), "openpose_18_hands", 1)
    oks = sum(np.exp(-(1.5**2) / (2 * 2500 * (2 * sigma) ** 2)) for sigma in HAND_SIGMAS) / K
    reached = sum(oks >= 0.5 + 0.05 * step for step in range(10)) / 10
    assert 0 < reached < 1
    assert CocoWholebodyHands().evaluate(path, [1], results)["AR"] == pytest.approx(reached)


@pytest.mark.assets
def test_the_annotations_themselves_are_perfect(assets: Path) -> None:
    path = assets / "coco_wholebody/test_coco_wholebody.json"
    content = json.loads(path.read_text())
    ids = [image["id"] for image in content["images"]]
    people = [{**one, "score": 1.0, "category_id": 1} for one in content["annotations"]]
    assert CocoWholebodyHands().evaluate(path, ids, people)["AP"] == pytest.approx(1)
    single = [
        {"image_id": image, "keypoints": one.keypoints.ravel().tolist(), "bbox": [*one.box[:2], *(one.box[2:] - one.box[:2])]}
        for image, found in instances(path, ids, "hands").items()
        for one in found
    ]
    figures = HandPck(part="hands").evaluate(path, ids, single)
    assert (figures["PCK"], figures["EPE"], figures["instances"]) == (1, 0, 10)


def test_a_hand_has_as_many_sigmas_as_keypoints() -> None:
    assert len(HAND_SIGMAS) == len(SKELETONS["hand_21"].keypoints)
