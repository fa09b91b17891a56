"""What a recipe says of boxes, mirrored crops and the people in them: each fault at its place."""

from pathlib import Path

import pytest
from workspaces import HAND, Small, position

from zoo.errors import RecipeError
from zoo.recipe.workspace import open_place, read_recipe

#: tests/unit/workspaces.py's hands, looked at in boxes
BOXES = (
    (
        "  fit: {type: letterbox, width: 224, height: 224, interpolation: linear, pad: [0, 0, 0]}\n",
        "  fit: {type: box, width: 224, height: 224}\n",
    ),
    (
        "calibration: {dataset: other, images: 1}\n",
        "calibration: {dataset: coco_train2017, images: 1, boxes: {type: annotations}}\n"
        "people: {nms: none}\n"
        "evaluate:\n"
        "  - protocol: given\n"
        "    title: given boxes\n"
        "    datasets: [coco_val2017]\n"
        "    metric: {type: hand_pck}\n"
        "    boxes: {type: annotations}\n",
    ),
)
GIVEN = "    boxes: {type: annotations}\n"


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.make(tmp_path)


def faults(small: Small, *changes: tuple[str, str]) -> tuple[str, list[str]]:
    """The changed recipe, and its faults as `line:column: path: message`."""
    text = small.recipe(*BOXES, *changes, name="hand", text=HAND)
    small.recipe()
    path = small.root / "recipes" / "hand.yaml"
    try:
        read_recipe(path, open_place(str(small.root)))
    except RecipeError as error:
        return text, [str(problem).removeprefix(f"{path}:") for problem in error.problems]
    return text, []


def test_the_recipe_of_these_tests_has_no_fault(small: Small) -> None:
    assert faults(small)[1] == []


CASES = {
    "a protocol without boxes": (
        (GIVEN, ""),
        "- protocol: given", 2, "evaluate[0]", "the network looks at boxes: say with `boxes:` whose, as in {type: annotations}",
    ),
    "a calibration without boxes": (
        (", boxes: {type: annotations}}", "}"), "calibration: {", 13, "calibration", "the network looks at boxes",
    ),
    "boxes for a protocol of whole images": (
        (GIVEN, GIVEN + "    fit: {type: stretch, width: 224, height: 224}\n"),
        "boxes: {type: annotations}\n    fit", 7, "evaluate[0].boxes", "nobody looks at these boxes: the fit is not `box`",
    ),
    "a detection file that the dataset does not name": (
        (GIVEN, "    boxes: {type: detections, name: ap_h_56}\n"),
        "ap_h_56", 0, "evaluate[0].boxes.name", "there is no detection file of coco_val2017 'ap_h_56'; there is none",
    ),
    "boxes of annotations that there are not": (
        ("dataset: coco_train2017,", "dataset: other,"),
        "boxes: {type: annotations}}", 7, "calibration.boxes", "other has no annotations to take boxes from",
    ),
    "a detector that is not there": (
        (GIVEN, "    boxes: {type: detector, recipe: nobody}\n"),
        "nobody", 0, "evaluate[0].boxes.recipe", "there is no recipe nobody",
    ),
    "a detector that finds no boxes": (
        (GIVEN, "    boxes: {type: detector, recipe: tiny}\n"),
        "tiny}", 0, "evaluate[0].boxes.recipe", "tiny finds no boxes: its task is body_pose, and not person_detection",
    ),
    "a flip test that the decoder cannot read": (
        ("people: {nms: none}\n", "people: {nms: none}\nflip: true\n"), "flip: true", 6, "flip", "this decoder cannot read a mirrored crop",
    ),
    "a flip test of whole images": (
        (GIVEN, "    fit: {type: stretch, width: 224, height: 224}\n    flip: true\n"),
        "flip: true", 6, "evaluate[0].flip", "only networks that look at boxes are run on mirrored crops",
    ),
    "people who cannot be compared": (
        ("people: {nms: none}\n", "people: {nms: oks}\n"),
        "{nms: oks}", 0, "people", "hand_21 has no sigmas to compare people with: say `people: {nms: none}`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_reported_at_its_line_and_column_with_what_to_do(small: Small, name: str) -> None:
    change, word, further, path, said = CASES[name]
    text, found = faults(small, change)
    line, column = position(text, word).split(":")
    assert any(one.startswith(f"{line}:{int(column) + further}: {path}: {said}") for one in found), found


def test_a_crop_that_is_not_square_cannot_be_turned(small: Small) -> None:
    _, found = faults(
        small,
        ("fit: {type: box, width: 224, height: 224}", "fit: {type: box, width: 192, height: 256}"),
        ("people:", "turns: [0, 90]\npeople:"),
    )
    assert any("turns: only square crops can be turned" in one for one in found)


def test_a_protocol_s_own_turns_are_of_square_crops_too(small: Small) -> None:
    _, found = faults(small, (GIVEN, GIVEN + "    fit: {type: box, width: 192, height: 256}\n    turns: [0, 90]\n"))
    assert any("evaluate[0].turns: only square crops can be turned" in one for one in found)


def test_a_detector_does_not_look_at_boxes(small: Small) -> None:
    _, found = faults(small, ("task: hand_pose", "task: person_detection"))
    assert any("preprocess.fit: a recipe of the task person_detection finds boxes in whole images" in one for one in found)
