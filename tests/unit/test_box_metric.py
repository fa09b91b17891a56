"""COCO's figures of boxes: the category person, whatever else is annotated, from plain boxes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.metrics import CocoBoxes
from zoo.pose.keypoints import Poses

METRIC = CocoBoxes()


def annotations(path: Path, *boxes: tuple[int, tuple[float, ...]], **changes: Any) -> Path:
    """An image of 640 x 480 with these boxes x, y, w, h, each with its category."""
    listed = [
        {"id": number, "image_id": 1, "category_id": kind, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0, **changes}
        for number, (kind, box) in enumerate(boxes)
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
    images = [{"id": 1, "width": 640, "height": 480}, {"id": 2, "width": 640, "height": 480}]
    path.write_text(json.dumps({"images": images, "annotations": listed, "categories": categories}))
    return path


def results(*boxes: tuple[float, ...], scores: tuple[float, ...] = ()) -> list[dict[str, Any]]:
    """Of x1, y1, x2, y2, the surest first."""
    ranks = np.array(scores or np.linspace(0.9, 0.1, len(boxes)))
    return METRIC.results(Poses.of_boxes(np.array(boxes, float).reshape(-1, 4), ranks), "person", 1)


def test_equal_boxes_are_everything_and_of_each_size(tmp_path: Path) -> None:
    boxes = ((0, 0, 20, 20), (100, 100, 50, 50), (200, 200, 200, 200))
    file = annotations(tmp_path / "a.json", *((1, box) for box in boxes))
    figures = METRIC.evaluate(file, [1], results(*((x, y, x + w, y + h) for x, y, w, h in boxes)))
    assert {name: figures[name] for name in METRIC.figures} == pytest.approx(dict.fromkeys(METRIC.figures, 1.0))
    assert figures["detections"] == 3 and figures["images"] == 1


def test_a_box_counts_up_to_its_iou(tmp_path: Path) -> None:
    """IoU .8 (0.80 is met to the last digit): 7 of the 10 thresholds."""
    figures = METRIC.evaluate(annotations(tmp_path / "a.json", (1, (0, 0, 100, 100))), [1], results((0, 0, 100, 80)))
    assert figures["AP50"] == figures["AP75"] == pytest.approx(1)
    assert figures["AP"] == pytest.approx(0.7) and figures["AR"] == pytest.approx(0.7)
    assert "APS" not in figures and "APM" not in figures


def test_other_categories_are_neither_looked_for_nor_excused(tmp_path: Path) -> None:
    file = annotations(tmp_path / "a.json", (2, (0, 0, 50, 50)), (1, (100, 100, 50, 50)))
    assert METRIC.evaluate(file, [1], results((100, 100, 150, 150)))["AP"] == pytest.approx(1)
    assert METRIC.evaluate(file, [1], results((0, 0, 50, 50), (100, 100, 150, 150)))["AP"] == pytest.approx(0.5)


def test_a_crowd_is_not_looked_for_and_excuses_what_lies_in_it(tmp_path: Path) -> None:
    content = json.loads(annotations(tmp_path / "a.json", (1, (0, 0, 200, 200)), (1, (300, 300, 50, 50))).read_text())
    content["annotations"][0]["iscrowd"] = 1
    # a crowd's outline is run-length encoded in COCO's files; its box is what boxes are held against
    (tmp_path / "b.json").write_text(json.dumps(content))
    figures = METRIC.evaluate(tmp_path / "b.json", [1], results((10, 10, 50, 50), (60, 60, 120, 120), (300, 300, 350, 350)))
    assert figures["AP"] == pytest.approx(1)


def test_only_so_many_boxes_of_an_image_count(tmp_path: Path) -> None:
    file = annotations(tmp_path / "a.json", (1, (0, 0, 50, 50)))
    wrong = [(300 + index, 300, 340 + index, 340) for index in range(100)]
    assert METRIC.evaluate(file, [1], results(*wrong[:99], (0, 0, 50, 50)))["AR"] == pytest.approx(1)
    assert METRIC.evaluate(file, [1], results(*wrong, (0, 0, 50, 50)))["AR"] == 0


def test_nobody_found_is_zero_and_boxes_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    file = annotations(tmp_path / "a.json", (1, (0, 0, 50, 50)))
    assert METRIC.evaluate(file, [1, 2], [])["AP"] == 0
    assert results((np.nan,) * 4, (0, 0, 5, 5)) == [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": pytest.approx(0.1)}]


def test_keypoints_are_not_asked_for_but_boxes_are(tmp_path: Path) -> None:
    file = annotations(tmp_path / "a.json", (1, (0, 0, 50, 50)))
    content = json.loads(file.read_text())
    del content["annotations"][0]["bbox"]
    file.write_text(json.dumps(content))
    with pytest.raises(StepFailed, match="KeyError 'bbox'"):
        METRIC.evaluate(file, [1], [])
