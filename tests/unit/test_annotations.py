"""Which instances of an annotation file a top-down network is given, and in which order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.annotations import content, instances
from zoo.errors import StepFailed

SEEN = [5.0, 6.0, 2.0]
UNSEEN = [0.0, 0.0, 0.0]


def person(id: int, image: int = 1, **other: Any) -> dict[str, Any]:
    """A person of one keypoint without hands."""
    hands = {f"{side}_{what}": value for side in ("lefthand", "righthand") for what, value in NO_HAND.items()}
    common = {"id": id, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 1, "area": 50.0 + id}
    return {**common, "bbox": [1, 2, 10, 5], "keypoints": SEEN, **hands, **other}


NO_HAND = {"valid": False, "kpts": UNSEEN, "box": [0, 0, 0, 0]}


def hand(side: str, box: list[float]) -> dict[str, Any]:
    return {f"{side}_valid": True, f"{side}_kpts": SEEN, f"{side}_box": box}


def written(path: Path, annotations: list[dict[str, Any]], images: list[dict[str, Any]] | None = None) -> Path:
    images = images or [{"id": 1, "width": 20, "height": 30}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return path


def areas(path: Path, **how: Any) -> list[float]:
    return [one.area for one in instances(path, [1], **how)[1]]


def test_persons_come_in_the_order_of_the_file_and_only_those_that_count(tmp_path: Path) -> None:
    people = [
        person(3),
        person(1, iscrowd=1),
        person(4, num_keypoints=0),
        person(5, keypoints=UNSEEN),
        person(6, bbox=[1, 2, 0, 5]),
        person(2),
    ]
    path = written(tmp_path / "a.json", people)
    assert areas(path) == [53, 52]
    (first, _) = instances(path, [1])[1]
    assert first.image == 1 and first.box.tolist() == [1, 2, 11, 7] and first.keypoints.tolist() == [SEEN]
    del people[0]["num_keypoints"]
    assert areas(written(path, people)) == [53, 52]


def test_a_box_ends_at_the_last_pixel_where_the_size_is_known(tmp_path: Path) -> None:
    annotations = [person(1, bbox=[-4, 25, 40, 40])]
    (inside,) = instances(written(tmp_path / "a.json", annotations), [1])[1]
    assert inside.box.tolist() == [0, 25, 19, 29]
    (as_it_stands,) = instances(written(tmp_path / "b.json", annotations, [{"id": 1}]), [1])[1]
    assert as_it_stands.box.tolist() == [-4, 25, 36, 65]


def test_of_each_person_the_left_hand_comes_before_the_right(tmp_path: Path) -> None:
    left, right = hand("lefthand", [1, 1, 2, 3]), hand("righthand", [-5, 6, 7, 8])
    people = [person(1, **right, **left), person(2), person(3, **right), person(4, **left, iscrowd=1), person(5, num_keypoints=0, **left)]
    found = instances(written(tmp_path / "a.json", people), [1], "hands")[1]
    assert [(one.area, one.box.tolist()) for one in found] == [
        (51, [1, 1, 3, 4]),
        (51, [-5, 6, 2, 14]),
        (53, [-5, 6, 2, 14]),
        (55, [1, 1, 3, 4]),
    ]


def test_a_valid_flag_without_keypoints_is_no_hand(tmp_path: Path) -> None:
    people = [person(1, **{**hand("lefthand", [1, 1, 2, 3]), "lefthand_kpts": UNSEEN})]
    assert areas(written(tmp_path / "a.json", people), part="hands") == []


def test_the_whole_image_can_be_the_box(tmp_path: Path) -> None:
    (found,) = instances(written(tmp_path / "a.json", [person(1)]), [1], "image")[1]
    assert found.box.tolist() == [0, 0, 20, 30]
    with pytest.raises(StepFailed, match="width, height"):
        instances(written(tmp_path / "b.json", [person(1)], [{"id": 1}]), [1], "image")


def test_an_image_without_anyone_has_an_empty_list(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", [person(1, image=2)], [{"id": 1}, {"id": 2}, {"id": 3}])
    assert {image: len(found) for image, found in instances(path, [3, 2]).items()} == {2: 1, 3: 0}


@pytest.mark.parametrize("lacking", ["bbox", "keypoints", "area"])
def test_what_an_annotation_lacks_is_named(tmp_path: Path, lacking: str) -> None:
    annotation = person(1)
    del annotation[lacking]
    with pytest.raises(StepFailed, match=rf"a\.json.*not COCO's.*{lacking}"):
        instances(written(tmp_path / "a.json", [annotation]), [1])


def test_hands_are_asked_of_a_file_that_has_none(tmp_path: Path) -> None:
    annotation = {key: value for key, value in person(1).items() if "hand" not in key}
    with pytest.raises(StepFailed, match="lefthand_valid"):
        instances(written(tmp_path / "a.json", [annotation]), [1], "hands")


def test_keypoints_that_are_not_triples_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"a\.json.*not COCO's"):
        instances(written(tmp_path / "a.json", [person(1, keypoints=[1, 2])]), [1])
    with pytest.raises(StepFailed, match=r"b\.json: No such file"):
        content(tmp_path / "b.json", [1])


@pytest.mark.assets
def test_the_real_files_have_these_instances(assets: Path) -> None:
    whole_body = assets / "coco_wholebody/test_coco_wholebody.json"
    images = [image["id"] for image in json.loads(whole_body.read_text())["images"]]
    assert [len(found) for found in instances(whole_body, images).values()] == [1, 2, 4, 5]
    assert [len(found) for found in instances(whole_body, images, "hands").values()] == [1, 1, 3, 5]
    (left, right) = instances(whole_body, images, "hands")[196141][:2]
    np.testing.assert_allclose(left.box, [249.12, 146.31, 269.04, 162.13])
    assert left.keypoints.shape == right.keypoints.shape == (21, 3) and left.area == right.area == 17123.92955
