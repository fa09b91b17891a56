"""Judging a few images at a time: the figures of pycocotools over all of them at once, to the last bit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import StepFailed
from zoo.metrics import CocoBoxes, CocoOks, CocoWholebodyHands, matching
from zoo.metrics.coco import summary
from zoo.metrics.truth import Truth
from zoo.metrics.wholebody import HAND_SIGMAS

Figures = dict[str, float]
PERSON = {"image_id": 1, "category_id": 1}


def at_once(metric: CocoOks | CocoBoxes, truth: Truth, detections: list[dict[str, Any]]) -> Figures:
    """What pycocotools itself gives for everything together."""
    from pycocotools.cocoeval import COCOeval

    boxes = isinstance(metric, CocoBoxes)
    evaluation = COCOeval(truth.coco(), truth.detected(detections), "bbox" if boxes else "keypoints")
    everything, sizes = [0, 1e10], [metric.medium, metric.large]
    evaluation.params.maxDets = [metric.max_detections]
    evaluation.params.areaRng = [everything, *map(list, [metric.small, *sizes] if isinstance(metric, CocoBoxes) else sizes)]
    if isinstance(metric, CocoOks):
        evaluation.params.kpt_oks_sigmas = np.array(metric.sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    return summary(evaluation, ("S", "M", "L") if boxes else ("M", "L"))


def scene(seed: int, images: int, crowds: bool, keypoints: tuple[str, ...] = ("keypoints",), count: int = 17) -> tuple[Any, Any]:
    """Annotations and detections: many of equal scores, people without keypoints, crowds, images with nobody or nothing found."""
    random = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    ids = random.permutation(np.arange(images) * 3 + 1).tolist()
    for image in ids:
        for _ in range(random.integers(0, 4)):
            size = random.uniform(10, 200)
            points = np.round(random.uniform(0, size, (count, 2)) + random.uniform(0, 300, 2), int(random.integers(0, 3)))
            seen = random.integers(0, 3, count) * (random.random() > 0.2)
            flat = np.concatenate([points * (seen[:, None] > 0), seen[:, None]], axis=1).ravel().tolist()
            box = [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()]
            person = {**PERSON, "image_id": image, "bbox": box, "area": box[2] * box[3] * 0.6, **dict.fromkeys(keypoints, flat)}
            crowd, visible = int(crowds and random.random() < 0.2), int((seen > 0).sum())
            annotations.append({**person, "id": len(annotations), "iscrowd": crowd, "num_keypoints": visible})
            for _ in range(random.integers(0, 3)):
                off = points + random.normal(0, size * random.uniform(0, 0.15), points.shape)
                triples = np.concatenate([off, np.ones((count, 1))], axis=1).ravel().tolist()
                corner, extent = off.min(axis=0).tolist(), np.ptp(off, axis=0).tolist()
                result = {**PERSON, "image_id": image, "score": round(float(random.random()), 1)}
                found.append({**result, "bbox": [*corner, *extent], **dict.fromkeys(keypoints, triples)})
    return {"images": [{"id": id} for id in ids], "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}, found


def without(found: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != key} for one in found]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans(), st.sampled_from([1, 2, 5]), st.sampled_from([1, 3, 20]))
def test_any_number_at_a_time_gives_the_figures_of_all_at_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int, images: int, crowds: bool, together: int, most: int
) -> None:
    content, found = scene(seed, images, crowds)
    path = tmp_path_factory.mktemp("scene") / "truth.json"
    path.write_text(json.dumps(content))
    ids = [image["id"] for image in content["images"]]
    people, boxes = without(found, "bbox"), without(found, "keypoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "TOGETHER", together)
        for metric, given, keypoints in ((CocoOks(max_detections=most), people, 17), (CocoBoxes(max_detections=most), boxes, None)):
            expected = at_once(metric, Truth(path, ids, keypoints), given)
            assert metric.evaluate(path, ids, given) == {**expected, "images": images, "detections": len(given)}
            # images in the order in which they were found, whatever that is
            assert metric.evaluate(path, ids, iter(given)) == metric.evaluate(path, ids, given)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_hands_of_persons_in_a_stream_are_those_of_a_list(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    content, found = scene(seed, 6, False, ("lefthand_kpts", "righthand_kpts"), len(HAND_SIGMAS))
    path = tmp_path_factory.mktemp("scene") / "truth.json"
    path.write_text(json.dumps(content))
    ids = [image["id"] for image in content["images"]]
    people = without(found, "bbox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "TOGETHER", 2)
        few = CocoWholebodyHands().evaluate(path, ids, iter(people))
    assert few == CocoWholebodyHands().evaluate(path, ids, people)
    expected = at_once(
        CocoOks(sigmas=HAND_SIGMAS), Truth(path, ids, len(HAND_SIGMAS), "lefthand_kpts"),
        [{**PERSON, "image_id": one["image_id"], "score": one["score"], "keypoints": one["lefthand_kpts"]} for one in people],
    )  # fmt: skip
    assert few.get("AP_left") == expected.get("AP")


def test_of_a_stream_no_more_is_read_ahead_than_is_matched_together() -> None:
    read: list[int] = []

    def stream() -> Iterator[dict[str, Any]]:
        for image in range(10):
            read.append(image)
            yield {"image_id": image}

    chunks = matching.together(range(12), stream(), 3)
    assert next(chunks) == ([0, 1, 2], [{"image_id": image} for image in range(3)])
    assert len(read) <= 4  # the next image's first tells that the last one is over
    assert [ids for ids, _ in chunks] == [[3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_an_image_that_comes_twice_in_a_stream_is_refused_and_in_a_list_is_not() -> None:
    results = [{"image_id": 1, "score": 1}, {"image_id": 2, "score": 2}, {"image_id": 1, "score": 3}]
    with pytest.raises(StepFailed, match="image 1 do not follow each other"):
        list(matching.together([1, 2], iter(results)))
    ((ids, found),) = matching.together([1, 2], results)
    assert ids == [1, 2] and [one["score"] for one in found] == [1, 3, 2]


@pytest.mark.assets
@pytest.mark.parametrize("together", [1, 10, 64])
def test_the_figures_of_coco_mini_are_pycocotools_own(assets: Path, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "TOGETHER", together)
    path = assets / "coco_mini/annotations/person_keypoints_val_mini.json"
    content = msgspec.json.decode(path.read_bytes())
    random = np.random.default_rng(0)
    ids = [image["id"] for image in content["images"]]
    found = []
    for one in content["annotations"]:
        points = np.array(one["keypoints"], float).reshape(17, 3)
        points[:, :2] += random.normal(0, 0.02 * one["bbox"][3], (17, 2))
        result = {"image_id": one["image_id"], "category_id": 1, "score": float(random.random())}
        found.append({**result, "keypoints": points.ravel().tolist()})
    for metric in (CocoOks(), CocoOks(max_detections=1)):
        figures = metric.evaluate(path, ids, found)
        assert figures == {**at_once(metric, Truth(path, ids, 17), found), "images": 97, "detections": len(found)}
        assert 0.05 < figures["AP"] < 0.95
