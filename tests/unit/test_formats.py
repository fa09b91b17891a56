"""Predictions as text and back: what each format keeps, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.formats import FORMATS, Prediction, coco, native, openpose, txt
from zoo.formats.prediction import poses_of
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS

BODIES = ("openpose_18", "coco_17", "openpose_18_hands")
POSED = tuple(sorted(name for name, skeleton in SKELETONS.items() if skeleton.keypoints))


def predicted(skeleton: str = "openpose_18", image: str = "a.jpg", **points: tuple[float, float]) -> Prediction:
    """One person with these keypoints, each scored 0.5; rank 0.7."""
    names = SKELETONS[skeleton].keypoints
    keypoints = np.full((1, len(names), 2), np.nan)
    for name, point in points.items():
        keypoints[0, names.index(name)] = point
    scores = np.where(np.isnan(keypoints[..., 0]), 0.0, 0.5)
    return Prediction(image, (640, 480), skeleton, Poses(keypoints, scores, poses_of(keypoints, scores).boxes, np.array([0.7])))


def with_people(prediction: Prediction, *others: Prediction) -> Prediction:
    everyone = [one.poses for one in (prediction, *others)]
    fields = [np.concatenate([getattr(poses, name) for poses in everyone]) for name in ("keypoints", "scores", "boxes", "instance_scores")]
    return Prediction(prediction.image, prediction.size, prediction.skeleton, Poses(*fields))


def same(ours: Poses, theirs: Poses, pixels: float = 0.0, parts: float = 0.0) -> None:
    """Equal keypoints to `pixels` and scores to `parts`."""
    np.testing.assert_array_equal(ours.present, theirs.present)
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, rtol=0, atol=pixels)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=parts)


@st.composite
def predictions(draw: Any, skeletons: tuple[str, ...] = tuple(SKELETONS)) -> Prediction:
    """Any number of people with any part of their keypoints, anywhere, in images of any name."""
    skeleton = draw(st.sampled_from(skeletons))
    count, people = len(SKELETONS[skeleton].keypoints), draw(st.integers(0, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = np.float32 if draw(st.booleans()) else np.float64
    keypoints = random.normal(300, 10 ** random.uniform(-3, 4), (people, count, 2)).astype(kind)
    keypoints[random.random((people, count)) < draw(st.sampled_from([0, 0.5, 1]))] = np.nan
    scores = np.where(np.isnan(keypoints[..., 0]), 0, random.uniform(-1, 2, (people, count))).astype(kind)
    hulls = poses_of(keypoints, scores)
    name = draw(st.text(st.characters(codec=None), min_size=1))
    return Prediction(name, (640, 480), skeleton, Poses(keypoints, scores, hulls.boxes, random.normal(0, 9, people)))


# txt


def test_a_line_is_image_person_part_index_x_y_score() -> None:
    """Body, then left hand, then right hand, each counted from 0, whatever the skeleton's order of limbs."""
    one = predicted("openpose_18_hands", right_hand_thumb1=(9, 8), left_hand_wrist=(4.25, 5.5), nose=(1, -0.0), neck=(2, 3.00049))
    two = predicted("openpose_18_hands", left_ear=(7, 7))
    assert txt.write([with_people(one, two), predicted("hand_21", "b.jpg", thumb1=(1, 2))]).splitlines() == [
        "a.jpg 0 body 0 1.000 0.000 0.500000",
        "a.jpg 0 body 1 2.000 3.000 0.500000",
        "a.jpg 0 left_hand 0 4.250 5.500 0.500000",
        "a.jpg 0 right_hand 1 9.000 8.000 0.500000",
        "a.jpg 1 body 17 7.000 7.000 0.500000",
        "b.jpg 0 hand 1 1.000 2.000 0.500000",
    ]


@settings(deadline=None)
@given(st.sampled_from(POSED).flatmap(lambda name: st.lists(predictions((name,)), max_size=3, unique_by=lambda one: one.image)))
def test_txt_comes_back_as_it_went(given: list[Prediction]) -> None:
    text = txt.write(given)
    text.encode()  # whatever the images are called
    assert all(len(line.split()) == len(line.split(" ")) == 7 for line in text.split("\n") if line)
    back = txt.parse(text, given[0].skeleton if given else "coco_17")
    some = [one for one in given if one.found.any()]
    assert list(back) == [one.image for one in some]
    for one, poses in zip(some, back.values(), strict=True):
        last = int(np.flatnonzero(one.found.any(axis=1)).max()) + 1
        assert len(poses) == last
        same(poses, poses_of(one.poses.keypoints[:last], one.poses.scores[:last]), 0.00051, 0.51e-6)


NAMES = ["my photo.jpg", "100%.jpg", "a%20b.jpg", "tab\tnew\nline.jpg", "\u4e2d\u6587 \u00e9.png", "bad\udce9.jpg", "a\u2028b\x85c"]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_may_be_called_anything(name: str) -> None:
    given = predicted(image=name, nose=(1, 2))
    (line,) = txt.write([given]).splitlines()
    assert len(line.split()) == 7
    assert list(txt.parse(line, "openpose_18")) == [name]
    assert native.parse(native.write([given])).image == name
    assert json.loads(coco.write([given]))[0]["image_id"] == name


def test_names_stay_readable_where_they_can() -> None:
    assert txt.write([predicted(image="\u4e2d\u6587.jpg", nose=(1, 2))]).startswith("\u4e2d\u6587.jpg 0 ")
    assert txt.write([predicted(image="my photo.jpg", nose=(1, 2))]).startswith("my%20photo.jpg 0 ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg 0 body 0 1 2", "line 2 is no keypoint"),
        ("a.jpg 0 tail 0 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 0 left_hand 0 1 2 0.5", "line 2 is no keypoint of openpose_18"),
        ("a.jpg 0 body 18 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 0 body -1 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg -1 body 0 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 0 body 0 nan 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 0 body x 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 999999999999 body 0 1 2 0.5", "line 2 is no keypoint"),
        ("a.jpg 0 body 3 1 2 0.5", "line 2 gives a keypoint a second time"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        txt.parse(f"a.jpg 0 body 3 1 2 0.5\n{line}\n", "openpose_18")


# json


@settings(deadline=None)
@given(predictions())
def test_json_comes_back_exactly(given: Prediction) -> None:
    text = native.write([given])
    back = native.parse(text)
    assert (back.image, back.size, back.skeleton) == (given.image, given.size, given.skeleton)
    same(back.poses, given.poses)
    np.testing.assert_array_equal(back.poses.boxes, given.poses.boxes)
    np.testing.assert_array_equal(back.poses.instance_scores, given.poses.instance_scores)
    assert native.write([back]) == text


def test_json_says_the_skeleton_once_and_null_for_what_is_absent() -> None:
    content = json.loads(native.write([predicted("hand_21", wrist=(1, 2))]))
    assert content["names"] == list(SKELETONS["hand_21"].keypoints)
    assert {key: content[key] for key in ("format", "image", "width", "height", "skeleton")} == {
        "format": 1, "image": "a.jpg", "width": 640, "height": 480, "skeleton": "hand_21",
    }  # fmt: skip
    assert content["people"] == [{"score": 0.7, "box": [1, 2, 1, 2], "keypoints": [[1, 2, 0.5]] + [None] * 20}]
    jsonschema.validate(content, msgspec.json.schema(native.File))


@pytest.mark.parametrize("change", [{"format": 2}, {"skeleton": "cat_9"}, {"names": ["nose"]}, {"people": [{}]}, {"more": 1}, {"people": [
    {"score": 1.0, "box": None, "keypoints": [None]}]}])  # fmt: skip
def test_json_of_something_else_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(native.write([predicted(nose=(1, 2))]))
    with pytest.raises(ZooError):
        native.parse(json.dumps({**content, **change}))
    with pytest.raises(ZooError, match="no prediction"):
        native.parse("{")


# openpose


@settings(deadline=None)
@given(predictions(("openpose_18", "openpose_18_hands")))
def test_openposes_json_comes_back_as_it_went(given: Prediction) -> None:
    back = openpose.parse(openpose.write([given]), given.image, given.size)
    assert (back.image, back.size) == (given.image, given.size)
    # without anyone, nothing says that hands were looked for
    assert back.skeleton == given.skeleton or not len(given.poses)
    if len(given.poses):
        same(back.poses, given.poses, 0.00051, 0.51e-6)


def test_openposes_keys_stand_as_openpose_writes_them() -> None:
    content = json.loads(openpose.write([predicted("openpose_18_hands", nose=(1, 2), left_hand_wrist=(3, 4))]))
    (person,) = content["people"]
    assert content["version"] == 1.3
    assert list(person) == [
        "person_id", "pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d",
        "pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
    ]  # fmt: skip
    assert person["person_id"] == [-1]
    assert person["pose_keypoints_2d"] == [1, 2, 0.5] + [0] * 51
    assert person["hand_left_keypoints_2d"] == [3, 4, 0.5] + [0] * 60
    assert person["hand_right_keypoints_2d"] == [0] * 63
    assert all(person[key] == [] for key in person if key.endswith("3d") or "face" in key)
    (alone,) = json.loads(openpose.write([predicted(nose=(1, 2))]))["people"]
    assert alone["hand_left_keypoints_2d"] == alone["hand_right_keypoints_2d"] == []


def test_coco_bodies_get_a_neck_between_the_shoulders_for_openpose() -> None:
    shoulders = {"left_shoulder": (10.0, 20.0), "right_shoulder": (30.0, 24.0)}
    given = predicted("coco_17", nose=(1, 2), left_ankle=(5, 6), **shoulders)
    given.poses.scores[0, SKELETONS["coco_17"].keypoints.index("left_shoulder")] = 0.3
    back = openpose.parse(openpose.write([given]), "a.jpg", (640, 480))
    names = SKELETONS["openpose_18"].keypoints
    assert {names[kind] for kind in np.flatnonzero(back.poses.present[0])} == {"nose", "neck", "left_ankle", *shoulders}
    assert back.poses.keypoints[0, names.index("neck")].tolist() == [20, 22]
    assert back.poses.scores[0, names.index("neck")] == 0.3
    assert back.poses.keypoints[0, names.index("left_ankle")].tolist() == [5, 6]
    lone = openpose.parse(openpose.write([predicted("coco_17", left_shoulder=(10, 20))]), "a.jpg", (640, 480))
    assert not lone.poses.present[0, names.index("neck")]


@pytest.mark.parametrize("text", ["[]", "{", '{"people": [{}]}', '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', json.dumps({
    "people": [{"pose_keypoints_2d": [1] * 75}]})])  # fmt: skip
def test_other_json_is_no_output_of_openpose(text: str) -> None:
    with pytest.raises(ZooError):
        openpose.parse(text, "a.jpg", (640, 480))


# coco


def test_coco_results_have_its_order_and_the_hands_beside() -> None:
    given = predicted("openpose_18_hands", "000000000785.jpg", nose=(1, 2), left_eye=(3, 4), right_hand_thumb1=(5, 6))
    (result,) = json.loads(coco.write([given]))
    assert (result["image_id"], result["category_id"], result["score"]) == (785, 1, 0.7)
    assert result["keypoints"] == [1, 2, 1, 3, 4, 1] + [0] * 45
    assert result["lefthand_kpts"] == [0] * 63
    assert result["righthand_kpts"] == [0, 0, 0, 5, 6, 1] + [0] * 57
    (alone,) = json.loads(coco.write([predicted("coco_17", "photo_7.jpg", nose=(1, 2))]))
    assert set(alone) == {"image_id", "category_id", "keypoints", "score"} and alone["image_id"] == "photo_7.jpg"


def test_coco_results_of_all_images_are_one_list() -> None:
    everyone = [predicted("coco_17", f"{i:012}.jpg", nose=(i, i)) for i in (3, 1)]
    assert [result["image_id"] for result in json.loads(coco.write(everyone))] == [3, 1]
    assert json.loads(coco.write([])) == []


def test_images_of_one_number_are_not_taken_for_one() -> None:
    everyone = [predicted(image=name, nose=(1, 1)) for name in ("a/7.jpg", "b/007.png", "8.jpg")]
    assert [result["image_id"] for result in json.loads(coco.write(everyone))] == ["a/7.jpg", "b/007.png", 8]


@pytest.mark.assets
def test_pycocotools_reads_the_results(assets: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    truth = COCO(str(assets / "coco_mini/annotations/person_keypoints_val_mini.json"))
    path = tmp_path / "results.json"
    path.write_text(coco.write([predicted("openpose_18_hands", "000000000785.jpg", nose=(1, 2), neck=(3, 9))]))
    (result,) = truth.loadRes(str(path)).anns.values()
    assert result["keypoints"][:3] == [1, 2, 1]


# all of them


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("skeleton", BODIES)
def test_whatever_is_no_number_is_written_as_absent(name: str, skeleton: str) -> None:
    """Never NaN in a file: no strict reader of JSON takes it."""
    clean = predicted(skeleton, nose=(1, 2), left_wrist=(3, 4))
    dirty = predicted(skeleton, nose=(1, 2), left_wrist=(3, 4), left_eye=(np.inf, 1), right_eye=(5, np.nan), left_ear=(1, 1))
    dirty.poses.scores[0, SKELETONS[skeleton].keypoints.index("left_ear")] = np.nan
    nobody = Poses(np.full_like(clean.poses.keypoints, np.nan), clean.poses.scores * 0, np.full((1, 4), np.nan), np.array([np.nan]))
    for prediction in (clean, dirty, Prediction("a.jpg", (640, 480), skeleton, nobody)):
        text = FORMATS[name].write([prediction])
        assert "nan" not in text.lower() and "inf" not in text.lower()
    if name in ("txt", "openpose"):
        assert FORMATS[name].write([clean]) == FORMATS[name].write([dirty])


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_without_people_is_no_special_case(name: str) -> None:
    nobody = Prediction("a.jpg", (640, 480), "coco_17", poses_of(np.zeros((0, 17, 2)), np.zeros((0, 17))))
    text = FORMATS[name].write([nobody])
    if name == "txt":
        assert text == ""
    else:
        assert not json.loads(text) or json.loads(text)["people"] == []


@pytest.mark.parametrize("name", ["coco", "openpose"])
def test_a_lone_hand_is_refused_where_a_body_is_needed(name: str) -> None:
    with pytest.raises(ZooError, match="hand_21 has none of COCO's keypoints"):
        FORMATS[name].write([predicted("hand_21", wrist=(1, 2))])


def test_a_prediction_is_of_the_skeleton_that_it_names() -> None:
    poses = predicted("coco_17", nose=(1, 2)).poses
    with pytest.raises(ZooError, match="openpose_18 has 18 keypoints, these poses have 17"):
        Prediction("a.jpg", (640, 480), "openpose_18", poses)
    with pytest.raises(ZooError, match="no skeleton 'cat_9'"):
        Prediction("a.jpg", (640, 480), "cat_9", poses)
    with pytest.raises(ZooError, match="no image name"):
        Prediction("", (640, 480), "coco_17", poses)


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if not format.TOGETHER])
def test_a_file_of_one_image_takes_one(name: str) -> None:
    with pytest.raises(ValueError):
        FORMATS[name].write([predicted(nose=(1, 2))] * 2)


# people without keypoints


def boxed(image: str = "a.jpg", *others: tuple[float, ...]) -> Prediction:
    """Two people with boxes, one whose box is not known, and `others`."""
    boxes = np.array([[1.25, 2.5, 31.25, 62.5], [-0.0001, 0, 640, 480.0006], [np.nan] * 4, *others])
    return Prediction(image, (640, 480), "person", Poses.of_boxes(boxes, np.array([0.75, 0.5, 0.25, *[0.1] * len(others)])))


def test_a_box_is_two_lines_of_text_and_comes_back() -> None:
    text = txt.write([boxed(), boxed("b.jpg", (5, 6, 7, 8))])
    assert text.splitlines()[:4] == [
        "a.jpg 0 box 0 1.250 2.500 0.750000",
        "a.jpg 0 box 1 31.250 62.500 0.750000",
        "a.jpg 1 box 0 0.000 0.000 0.500000",
        "a.jpg 1 box 1 640.000 480.001 0.500000",
    ]
    back = txt.parse(text, "person")
    assert list(back) == ["a.jpg", "b.jpg"]
    assert back["a.jpg"].boxes.tolist() == [[1.25, 2.5, 31.25, 62.5], [0, 0, 640, 480.001]]
    np.testing.assert_array_equal(back["b.jpg"].boxes[2:], [[np.nan] * 4, [5, 6, 7, 8]])
    assert back["b.jpg"].instance_scores.tolist() == [0.75, 0.5, 0, 0.1]
    assert back["b.jpg"].keypoints.shape == (4, 0, 2)
    with pytest.raises(ZooError, match="line 1 is no keypoint of person"):
        txt.parse("a.jpg 0 box 2 1 2 0.5", "person")


def test_json_has_a_boxs_people_without_keypoints_and_gives_them_back() -> None:
    given = boxed()
    content = json.loads(native.write([given]))
    assert content["names"] == [] and content["people"][0] == {"score": 0.75, "box": [1.25, 2.5, 31.25, 62.5], "keypoints": []}
    back = native.parse(native.write([given])).poses
    np.testing.assert_array_equal(back.boxes, given.poses.boxes)
    assert back.instance_scores.tolist() == [0.75, 0.5, 0.25] and back.keypoints.shape == (3, 0, 2)


def test_coco_has_boxes_as_detections() -> None:
    detections = json.loads(coco.write([boxed("000000000139.jpg")]))
    assert detections[0] == {"image_id": 139, "category_id": 1, "bbox": [1.25, 2.5, 30, 60], "score": 0.75}
    assert [one["score"] for one in detections] == [0.75, 0.5]


def test_openpose_has_no_boxes() -> None:
    with pytest.raises(ZooError, match="person has none of COCO's keypoints"):
        openpose.write([boxed()])


@pytest.mark.parametrize("name", ["txt", "json", "coco"])
def test_nobody_is_written_where_a_detector_finds_nobody(name: str) -> None:
    nobody = Prediction("a.jpg", (4, 4), "person", Poses.of_boxes(np.zeros((0, 4)), np.zeros(0)))
    FORMATS[name].write([nobody])
