"""Who of COCO's annotations is learnt from, and what is said of annotations that nothing can be learnt from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from goldens_of_training import coco_mini

from zoo.datasets.coco import annotated
from zoo.datasets.images import BadAnnotations, Images, Sample
from zoo.errors import StepFailed
from zoo.pose.skeletons import SKELETONS
from zoo.training.labels import Labels, openpose

NAMES = SKELETONS["coco_17"].keypoints
PERSON = {"id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[1, 2]]}


def someone(id: int, image: int = 1, *, seen: int = 5, at: tuple[float, float] = (50.0, 100.0), **other: Any) -> dict[str, Any]:
    """A person of whom the first `seen` keypoints are visible, in a box of 40 x 80 pixels around `at`."""
    x, y = at
    points = [number for index in range(17) for number in ([x + index, y + index, 2] if index < seen else [0, 0, 0])]
    box = [x - 20, y - 40, 40, 80]
    common = {"id": id, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": seen, "area": 2000.0}
    return {**common, "bbox": box, "keypoints": points, **other}


def dataset(folder: Path, annotations: list[dict[str, Any]], categories: Any = (PERSON,), images: Any = None) -> Images:
    """Images 1 and 2 of 200 x 300 pixels."""
    images = images or [{"id": id, "file_name": f"{id}.jpg", "width": 200, "height": 300} for id in (1, 2)]
    for image in images:
        (folder / image["file_name"]).touch()
    file = folder / "annotations.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": list(categories)}))
    return annotated(folder, file)


@pytest.mark.assets
def test_the_labels_are_those_that_the_original_prepares(assets: Path) -> None:
    wanted = json.loads((assets / "goldens/pre_post/lightweight_prepared_labels.json").read_text())
    found = []
    for scene in Labels().scenes(coco_mini(assets)):
        for (one,) in scene.centres:
            low, high = scene.boxes[one].reshape(2, 2)
            found.append([scene.sample.id, *(low + high) / 2, (high - low)[1] / 368, len(scene.people) - 1])
    expected = [[label["image_id"], *label["objpos"], label["scale_provided"], label["others"]] for label in wanted]
    assert len(found) == 108
    # the original has images in the order of their first annotation, the zoo by id; within an image both have the file's
    expected.sort(key=lambda label: label[0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.assets
def test_one_example_an_image_is_about_everyone_who_counts(assets: Path) -> None:
    people, images = (Labels(per=per).scenes(coco_mini(assets)) for per in ("person", "image"))
    assert [scene.sample.id for scene in people] == [scene.sample.id for scene in images] and len(images) == 44
    for scene in images:
        assert scene.centres == (scene.counting,)
    assert sum(len(scene.counting) for scene in images) == 110


@pytest.mark.assets
def test_what_is_learnt_may_be_those_alone_who_count(assets: Path) -> None:
    everyone, counting = (Labels(learnt=learnt).scenes(coco_mini(assets)) for learnt in ("annotated", "counting"))
    assert sum(len(scene.people) for scene in everyone) > sum(len(scene.people) for scene in counting)
    for all_of_them, chosen in zip(everyone, counting, strict=True):
        np.testing.assert_array_equal(all_of_them.people[list(all_of_them.counting)], chosen.people)
        assert chosen.counting == tuple(range(len(chosen.people))) and len(chosen.centres) == len(all_of_them.centres)


def test_who_counts_has_keypoints_and_area_and_is_no_crowd(tmp_path: Path) -> None:
    people = [
        someone(1, seen=4),
        someone(2, area=1023.9),
        someone(3, iscrowd=1),
        someone(4, seen=0),
        someone(5, bbox=[10, 10, 0, 40]),
        someone(6, at=(90.0, 100.0)),
        someone(7, image=2, seen=4),
    ]
    (scene,) = Labels().scenes(dataset(tmp_path, people))
    assert scene.sample.id == 1 and scene.size == (200, 300)
    assert scene.people[:, 0, 0].tolist() == [50, 50, 50, 90] and scene.counting == (3,) and scene.centres == ((3,),)
    assert scene.boxes[3].tolist() == [70, 60, 110, 140]


def test_who_is_near_to_one_before_makes_no_example(tmp_path: Path) -> None:
    """Boxes of 40 pixels' width: 0.3 of that is 12."""
    people = [someone(1), someone(2, at=(61.9, 100.0)), someone(3, at=(62.0, 100.0)), someone(4, at=(73.9, 100.0))]
    images = dataset(tmp_path, people)
    assert Labels().scenes(images)[0].centres == ((0,), (2,))
    assert Labels(apart=0).scenes(images)[0].centres == ((0,), (1,), (2,), (3,))


def coco(**seen: tuple[float, float, float]) -> np.ndarray[Any, Any]:
    points = np.zeros((1, 17, 3))
    for name, point in seen.items():
        points[0, NAMES.index(name)] = point
    return points


def test_keypoints_are_told_by_name_and_the_neck_is_between_the_shoulders() -> None:
    every = openpose(np.arange(1.0, 52).reshape(1, 17, 3), (99, 99))[0]
    for index, name in enumerate(SKELETONS["openpose_18"].keypoints):
        if name != "neck":
            assert every[index].tolist() == [3 * NAMES.index(name) + part for part in (1, 2, 3)]
    neck = openpose(coco(left_shoulder=(10, 20, 2), right_shoulder=(21, 24, 2)), (99, 99))[0, 1]
    assert neck.tolist() == [15.5, 22, 2]


@pytest.mark.parametrize(("left", "right", "neck"), [(2, 2, 2), (1, 2, 1), (2, 1, 1), (1, 1, 1), (0, 2, 0), (1, 0, 0)])
def test_a_neck_is_as_visible_as_the_less_visible_shoulder(left: int, right: int, neck: int) -> None:
    assert openpose(coco(left_shoulder=(10, 20, left), right_shoulder=(20, 20, right)), (99, 99))[0, 1, 2] == neck


@pytest.mark.parametrize("at", [(-1, 5), (5, -1), (40, 5), (5, 30)])
def test_what_lies_outside_of_the_image_is_not_annotated(at: tuple[int, int]) -> None:
    points = openpose(coco(left_shoulder=(*at, 2), right_shoulder=(20, 20, 2), nose=(39, 29, 2)), (40, 30))[0]
    assert points[SKELETONS["openpose_18"].keypoints.index("left_shoulder"), 2] == 0
    assert points[1, 2] == 0 and points[0, 2] == 2


def refused(images: Images, labels: Labels | None = None) -> str:
    with pytest.raises(BadAnnotations) as told:
        (labels or Labels()).scenes(images)
    assert told.value.hint
    return told.value.message


def test_all_that_is_at_fault_is_told_at_once(tmp_path: Path) -> None:
    bare = someone(11)
    del bare["keypoints"]
    dog = {"id": 7, "name": "dog", "keypoints": ["nose"]}
    people = [
        someone(1),
        someone(2, image=2),
        bare,
        someone(12, keypoints=[1, 2, 2] * 5),
        someone(13, category_id=7),
        someone(14, area="large"),
        someone(15, image=3),
    ]
    listed = [{"id": id, "file_name": f"{id}.jpg", "width": 200, "height": 300} for id in (1, 2)] + [{"id": 3, "file_name": "3.jpg"}]
    images = dataset(tmp_path, people, (PERSON, dog), listed)
    (tmp_path / "2.jpg").unlink()
    told = refused(images)
    for fault in (
        "people without keypoints: annotations: 11",
        "another number of keypoints than 17: annotations: 12",
        "categories without COCO's 17 keypoints: dog",
        "categories without a skeleton: dog",
        "annotations that are not COCO's: 14 (Expected `float`, got `str` - at `$.area`)",
        "images without width and height: 3.jpg",
        f"images that are not in {tmp_path}: 2.jpg",
        str(tmp_path / "annotations.json"),
    ):
        assert fault in told


def test_a_category_of_another_skeleton_is_named_and_one_that_nobody_is_of_is_not_asked(tmp_path: Path) -> None:
    turned = {"id": 1, "name": "person", "keypoints": NAMES[::-1], "skeleton": [[1, 2]]}
    assert "categories without COCO's 17 keypoints: person" in refused(dataset(tmp_path, [someone(1)], (turned,)))
    unused = {"id": 2, "name": "chair"}
    assert Labels().scenes(dataset(tmp_path, [someone(1)], (PERSON, unused)))
    assert "categories without a skeleton: 5" in refused(dataset(tmp_path, [someone(1, category_id=5)]))


def test_of_many_faults_of_a_kind_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    people = [{**someone(id), "keypoints": []} for id in range(1, 31)]
    assert "annotations: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more" in refused(dataset(tmp_path, people))


def test_a_crowd_needs_no_keypoints(tmp_path: Path) -> None:
    crowd = someone(2, iscrowd=1)
    del crowd["keypoints"]
    assert len(Labels().scenes(dataset(tmp_path, [someone(1), crowd]))[0].people) == 1


def test_nobody_who_counts_is_told_with_the_reasons(tmp_path: Path) -> None:
    images = dataset(tmp_path, [someone(1, seen=3), someone(2, area=10.0)])
    assert "nobody counts of 2 people: 1 have fewer than 5 keypoints, 1 less than 1024 square pixels" in refused(images)


def test_images_without_annotations_cannot_be_learnt_from(tmp_path: Path) -> None:
    assert "without annotations" in refused(Images((Sample(1, tmp_path / "1.jpg", "1.jpg"),)))


def test_a_file_that_is_gone_is_a_failed_step(tmp_path: Path) -> None:
    images = dataset(tmp_path, [someone(1)])
    (tmp_path / "annotations.json").unlink()
    with pytest.raises(StepFailed, match="No such file"):
        Labels().scenes(images)
