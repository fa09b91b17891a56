"""Where the boxes come from that a top-down network looks at: annotations, a file, or a detector that an action runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_top_down import finder_file
from workspaces import picture

from zoo.backends.onnxruntime import OnnxRuntime
from zoo.boxes import AnnotatedBoxes, Boxes, DetectionFile, DetectorBoxes
from zoo.context import Context
from zoo.datasets import Coco, Dataset, Folder
from zoo.errors import StepFailed
from zoo.pose.decoders import RtmdetDecoder
from zoo.pose.fits import Box, Letterbox
from zoo.pose.preprocess import Preprocess
from zoo.record import canonical
from zoo.steps.boxes import FindBoxes
from zoo.steps.bundle import PREPROCESS
from zoo.steps.images import Views
from zoo.steps.part import Part
from zoo.steps.provenance import Provenance

FILE = DetectionFile(name="theirs")
FOUND = DetectorBoxes(recipe="finder")


def annotation(image: int, x: float, **more: Any) -> dict[str, Any]:
    """Someone with one keypoint, in a box of 20 x 30."""
    keypoints = [x + 1, 5, 2] + [0] * 48
    own = {"image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [x, 4, 20, 30], "area": 600, "keypoints": keypoints}
    return {**own, "num_keypoints": 1, **more}


@pytest.fixture
def dataset(context: Context) -> Coco:
    """Three images, in which two, nobody and one are annotated (and one of no keypoints), and detections on them."""
    for number in (1, 2, 3):
        picture(context.root / f"images/{number}.png", number)
    people = [annotation(1, 40), annotation(3, 5), annotation(1, 10), annotation(3, 50, num_keypoints=0, keypoints=[0] * 51)]
    content = {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 128, "height": 96} for number in (1, 2, 3)],
        "annotations": [{"id": place, **one} for place, one in enumerate(people, 1)],
        "categories": [{"id": 1, "name": "person"}],
    }
    (context.root / "people.json").write_text(json.dumps(content))
    found = [detection(3, 0.2), detection(1, 0.7, 7), detection(1, 0.9, 8), detection(9, 1.0), detection(1, 0.95, category_id=2)]
    (context.root / "theirs.json").write_text(json.dumps(found))
    return Coco(images="images", annotations="people.json", detections={"theirs": "theirs.json", "gone": "gone.json"})


def detection(image: int, score: float, x: float = 0, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "bbox": [x, 2, 10, 20], "score": score, **more}


def read(boxes: Boxes, dataset: Dataset, context: Context, found: Path | None = None) -> dict[int, tuple[list[list[float]], list[float]]]:
    """Image id -> boxes and scores."""
    people = boxes.read(dataset, dataset.open(context), found, context)
    assert all(one.keypoints.shape == (len(one), 0, 2) and one.boxes.shape == (len(one), 4) for one in people.values())
    return {id: (one.boxes.tolist(), one.instance_scores.tolist()) for id, one in people.items()}


def test_boxes_of_the_ground_truth_are_those_with_keypoints_in_their_order_and_score_1(dataset: Coco, context: Context) -> None:
    assert read(AnnotatedBoxes(), dataset, context) == {
        1: ([[40, 4, 60, 34], [10, 4, 30, 34]], [1, 1]),
        2: ([], []),
        3: ([[5, 4, 25, 34]], [1]),
    }
    assert read(AnnotatedBoxes(part="image"), dataset, context)[3] == ([[0, 0, 128, 96]], [1])


def test_boxes_of_the_ground_truth_need_annotations(dataset: Coco, context: Context) -> None:
    with pytest.raises(StepFailed, match="the dataset has no annotations"):
        read(AnnotatedBoxes(), Folder(images="images"), context)


def test_detections_are_those_of_people_who_are_sure_enough_in_the_order_of_the_file(dataset: Coco, context: Context) -> None:
    some = [[7, 2, 17, 22], [8, 2, 18, 22]], [0.7, 0.9]
    assert read(FILE, dataset, context) == {1: some, 2: ([], []), 3: ([[0, 2, 10, 22]], [0.2])}
    assert read(DetectionFile(name="theirs", least=0.2), dataset, context)[3] == ([[0, 2, 10, 22]], [0.2])
    assert read(DetectionFile(name="theirs", least=0.7), dataset, context) == {1: some, 2: ([], []), 3: ([], [])}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "Input data was truncated"),
        ("{}", "Expected `array`"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3], "score": 1}]', r"length 4.*bbox"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]', "`score`"),
    ],
)
def test_a_file_that_holds_no_detections_is_named_with_what_is_wrong(dataset: Coco, context: Context, text: str, said: str) -> None:
    (context.root / "theirs.json").write_text(text)
    with pytest.raises(StepFailed, match=rf"theirs\.json: .*{said}") as error:
        read(FILE, dataset, context)
    assert "image_id, category_id, bbox (x, y, width, height), score" in error.value.hint


LACKING: list[tuple[DetectionFile, dict[str, Any], str]] = [
    (FILE, {}, ""),
    (DetectionFile(name="gone"), {}, r"no file .*gone\.json \(declared as gone\.json\)"),
    (DetectionFile(name="other"), {}, "the dataset names no detections 'other'"),
    (FILE, {"detections": {"theirs": "$NOWHERE/theirs.json"}}, "NOWHERE"),
]


@pytest.mark.parametrize(("boxes", "fields", "said"), LACKING)
def test_a_file_that_is_not_here_is_lacking_and_reading_it_says_why(
    dataset: Coco, context: Context, boxes: DetectionFile, fields: dict[str, Any], said: str
) -> None:
    changed = Coco(images="images", annotations="people.json", **{"detections": dataset.detections, **fields})
    lacking = boxes.lacking(changed, context)
    if not said:
        assert lacking == ""
        return
    assert boxes.facts(changed, context) == {"detections": "absent"}
    with pytest.raises(StepFailed, match=said) as error:
        read(boxes, changed, context)
    assert lacking in error.value.message


def test_only_a_tree_in_cocos_layout_names_detections(dataset: Coco, context: Context) -> None:
    assert FILE.lacking(Folder(images="images"), context) == "the dataset names no detections 'theirs'"


def test_what_is_said_of_a_file_is_its_content_and_not_where_it_lies(dataset: Coco, context: Context) -> None:
    before = FILE.said(dataset, None, context)
    assert before["name"] == "theirs" and before["least"] == 0 and FILE.facts(dataset, context).items() <= before.items()
    moved = Coco(images="images", annotations="people.json", detections={"theirs": "moved.json"})
    (context.root / "moved.json").write_bytes((context.root / "theirs.json").read_bytes())
    assert FILE.said(moved, None, context) == before
    (context.root / "moved.json").write_text("[]")
    assert FILE.said(moved, None, context) != before


def test_the_other_sources_add_nothing_to_the_key_and_have_boxes_for_every_dataset(dataset: Coco, context: Context) -> None:
    for boxes in (AnnotatedBoxes(), FOUND):
        assert boxes.facts(dataset, context) == {} and boxes.lacking(dataset, context) == ""
    assert AnnotatedBoxes().said(dataset, None, context) == "ground truth"
    assert AnnotatedBoxes(part="hands").said(dataset, None, context) == "ground truth, hands"


DECODE = RtmdetDecoder(stride_8="stride_8", stride_16="stride_16", stride_32="stride_32", threshold=0.1)
LETTERBOX = Letterbox(width=64, height=64, pad=(0, 0, 0))


def step(dataset: Dataset, **more: Any) -> FindBoxes:
    part = Part(backend=OnnxRuntime(), fit=LETTERBOX, order="resize_then_normalize", decode=DECODE)
    return FindBoxes(detector="finder", part=part, dataset=dataset, **more)


def compiled(root: Path, *, rehearsal: bool = False) -> Path:
    folder = root / "compiled"
    folder.mkdir()
    finder_file(folder / "model.onnx")
    (folder / PREPROCESS).write_bytes(canonical(Preprocess(fit=LETTERBOX, std=(255, 255, 255))))
    files = {"finder.onnx": "0" * 64}
    Provenance(source="a test", files=files, licence="none", use="any", rehearsal=rehearsal).write(folder)
    return folder


def found(step: FindBoxes, context: Context, **more: Any) -> Path:
    out = context.root / "found"
    out.mkdir()
    step.run({"compiled": compiled(context.root, **more)}, out, context)
    return out


def bright(context: Context, *places: tuple[int, int, int]) -> None:
    """Dark images, bright at x, y in one of them."""
    import cv2

    for number in (1, 2, 3):
        image = np.zeros((96, 128, 3), np.uint8)
        for _, x, y in (place for place in places if place[0] == number):
            image[y : y + 16, x : x + 16] = 255
        assert cv2.imwrite(str(context.root / f"images/{number}.png"), image)


def test_what_a_detector_finds_is_read_the_best_first_and_within_the_limits(dataset: Coco, context: Context) -> None:
    # the input is half as large, with 8 rows above; a bright cell at (8, 8) of it finds 12 left, 20 up, 20 right, 28 down
    bright(context, (1, 64, 48), (3, 16, 16), (3, 96, 64))
    folder = found(step(dataset), context)
    people = read(FOUND, dataset, context, folder)
    assert [len(scores) for _, scores in people.values()] == [1, 0, 2]
    ((box,), (score,)) = people[1]
    assert box == pytest.approx([40, 8, 104, 96], abs=1.01) and 0.99 < score < 1
    assert read(DetectorBoxes(recipe="finder", most=1), dataset, context, folder)[3][1] == people[3][1][:1]
    assert people[3][1] == sorted(people[3][1], reverse=True)
    assert read(DetectorBoxes(recipe="finder", least=0.999), dataset, context, folder)[1] == ([], [])


def test_what_is_said_of_a_detector_is_its_weights_and_all_that_decides_what_it_finds(dataset: Coco, context: Context) -> None:
    folder = found(step(dataset), context)
    said = DetectorBoxes(recipe="finder", most=7).said(dataset, folder, context)
    assert (said["recipe"], said["target"], said["least"], said["most"]) == ("finder", "onnxruntime-fp32", 0.0, 7)
    assert said["weights"] == {"finder.onnx": "0" * 64}
    assert said["decode"]["threshold"] == 0.1 and said["fit"]["type"] == "letterbox"


def test_a_detector_that_has_not_run_has_no_boxes(dataset: Coco, context: Context) -> None:
    for ask in (lambda: read(FOUND, dataset, context), lambda: FOUND.said(dataset, None, context)):
        with pytest.raises(StepFailed, match="has not been run on these images"):
            ask()


def test_seeded_weights_find_no_boxes(dataset: Coco, context: Context) -> None:
    with pytest.raises(StepFailed, match="seeded: its boxes mean nothing"):
        found(step(dataset), context, rehearsal=True)


def test_a_detector_looks_at_the_first_images_alone_where_there_is_a_limit(dataset: Coco, context: Context) -> None:
    bright(context, (1, 64, 48), (3, 64, 48))
    folder = found(step(dataset, limit=2), context)
    assert [len(scores) for _, scores in read(FOUND, dataset, context, folder).values()] == [1, 0, 0]


@pytest.mark.parametrize("skip", [False, True])
def test_a_bad_image_stops_the_detector_or_holds_nobody_where_bad_images_are_passed_over(
    dataset: Coco, context: Context, skip: bool
) -> None:
    bright(context, (1, 64, 48), (3, 64, 48))
    (context.root / "images/1.png").write_bytes(b"no image")
    if skip:
        folder = found(step(dataset, skip_bad_images=True), context)
        assert [len(scores) for _, scores in read(FOUND, dataset, context, folder).values()] == [0, 0, 1]
        return
    with pytest.raises(StepFailed, match=r"1\.png"):
        found(step(dataset), context)


def test_the_threads_and_the_images_are_part_of_what_is_known_of_a_detectors_boxes(dataset: Coco, context: Context) -> None:
    before = step(dataset).facts(context)
    assert {"dataset", "threads", "isa", "gpus"} == before.keys()
    bright(context)
    assert step(dataset).facts(context)["dataset"] != before["dataset"]


def test_a_network_of_boxes_is_shown_the_best_of_each_image_and_no_image_without_any(dataset: Coco, context: Context) -> None:
    _, looks = Views(dataset=dataset, boxes=FILE).open({}, context)
    assert [(sample.id, None if box is None else box.tolist()) for sample, box in looks] == [(1, [8, 2, 18, 22]), (3, [0, 2, 10, 22])]
    prepare = Preprocess(fit=Box(width=12, height=16))
    feeds = list(Views(dataset=dataset, boxes=FILE).feeds({}, 1, prepare, "data", context))
    assert [name for name, _ in feeds] == ["1.png"] and feeds[0][1]["data"].shape == (1, 3, 16, 12)
    images, _ = Views(dataset=dataset).open({}, context)
    wanted, _ = prepare.prepare(images.read(images.samples[0]), np.array([8, 2, 18, 22]))
    np.testing.assert_array_equal(feeds[0][1]["data"], wanted)


def test_where_no_image_has_a_box_there_is_nothing_to_show(dataset: Coco, context: Context) -> None:
    with pytest.raises(StepFailed, match="no box in any of the images"):
        Views(dataset=dataset, boxes=DetectionFile(name="theirs", least=0.99)).open({}, context)


def test_without_boxes_all_of_every_image_is_shown(dataset: Coco, context: Context) -> None:
    _, looks = Views(dataset=dataset).open({}, context)
    assert [(sample.id, box) for sample, box in looks] == [(1, None), (2, None), (3, None)]
