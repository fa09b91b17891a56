"""A recipe that is judged on a detector's boxes: what is planned and read, what outdates its rows, its faults, and the whole way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_top_down import FOUND, make, poser, poser_file
from workspaces import Small, Zoo, position

from zoo.cli import run
from zoo.cli.results import report
from zoo.datasets import Coco
from zoo.engine import joint, network
from zoo.engine.action import Action
from zoo.engine.code import Code
from zoo.engine.execute import Outcome
from zoo.engine.plan import Definitions, declared, plan
from zoo.engine.store import Artifact
from zoo.engine.wish import Wish
from zoo.errors import RecipeError, StepFailed
from zoo.measure.interleaved import Taken, Task
from zoo.measure.isolated import Isolated
from zoo.recipe import workspace
from zoo.recipe.workspace import open_place, read_recipe
from zoo.steps import timing
from zoo.steps.accuracy import MeasureAccuracy
from zoo.steps.boxes import FindBoxes
from zoo.steps.reports import Failure

CODE = Code()  # parses what it meets once
FINDER = "finder/onnxruntime-fp32"
BOXES = f"boxes/{FINDER}/coco_val2017"
GIVEN = "poser/onnxruntime-fp32/accuracy/coco_val2017/given"
JUDGED = "poser/onnxruntime-fp32/accuracy/coco_val2017/found"


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return make(tmp_path)


def planned(small: Small, name: str = "poser", **wish: Any) -> dict[str, Action]:
    place = open_place(str(small.root))
    actions = plan(read_recipe(place.find(name), place), place, place.context(offline=True), Wish(**wish))
    return {action.id: action for action in actions}


def test_only_what_is_judged_on_a_detectors_boxes_reads_them_and_they_are_found_once(small: Small) -> None:
    actions = planned(small, accuracy=True, latency=True)
    assert actions[JUDGED].reads == {"compiled": "poser/onnxruntime-fp32/compile", "boxes": BOXES}
    assert actions[BOXES].reads == {"compiled": f"{FINDER}/compile"}
    assert [id for id, action in actions.items() if "boxes" in action.reads] == [JUDGED]
    assert [id for id in actions if id.startswith("finder/")] == [
        *(f"finder/{what}" for what in ("fetch", "export", "edit", "parity")), *(f"{FINDER}/{what}" for what in ("compile", "parity")),
    ]  # fmt: skip
    order = list(actions)
    assert all(order.index(source) < order.index(id) for id, action in actions.items() for source in action.reads.values())


def test_whether_images_are_here_is_looked_up_once_a_plan(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    absent = Coco.absent
    monkeypatch.setattr(Coco, "absent", lambda self, context: (asked.append(self.images), absent(self, context))[1])
    first = planned(small, accuracy=True, latency=True, end_to_end=True)
    assert len(asked) == 3, "without boxes, with those of annotations, and with those that a detector finds"
    shutil.rmtree(small.root / "coco")
    assert planned(small, accuracy=True).keys() < first.keys(), "the next plan looks again"


def test_where_only_building_is_asked_for_no_detector_is_needed(small: Small) -> None:
    assert not any(id.startswith(("finder/", "boxes/")) for id in planned(small))
    # but for calibrating and comparing, where there are no other boxes
    poser(small, ("    boxes: {type: annotations}\n", "    boxes: {type: detector, recipe: finder}\n"), found="")
    actions = planned(small)
    assert actions["poser/parity"].reads["boxes"] == actions["poser/onnxruntime-fp32/parity"].reads["boxes"] == BOXES


def test_calibration_is_shown_the_boxes_that_it_names(small: Small) -> None:
    boxes = "calibration: {dataset: other, images: 2, boxes: {type: detector, recipe: finder, target: openvino-fp32}}\n"
    poser(
        small,
        ("  onnxruntime-fp32:\ndecode", "  onnxruntime-int8: {parity: {snr: 1, reason: a test}}\ndecode"),
        ("evaluate:", f"{boxes}evaluate:"),
    )
    actions = planned(small)
    assert actions["poser/onnxruntime-int8/int8"].reads == {"model": "poser/edit", "boxes": "boxes/finder/openvino-fp32/other"}
    assert f"{FINDER}/compile" not in actions, "another of the detector's targets finds them"


def test_a_limit_is_the_detectors_too_but_where_images_are_left_out(small: Small) -> None:
    first = f"{BOXES}/first-2"
    actions = planned(small, accuracy=True, limit=2, skip_bad_images=True)
    step = actions[first].step
    assert actions[JUDGED].reads["boxes"] == first and isinstance(step, FindBoxes) and (step.limit, step.skip_bad_images) == (2, True)
    # of those that remain the first two may be any
    calibration = "calibration: {dataset: other, leave_out: true, boxes: {type: detector, recipe: finder}}\n"
    poser(small, ("evaluate:", f"{calibration}evaluate:"))
    actions = planned(small, accuracy=True, limit=2)
    assert actions[JUDGED].reads["boxes"] == BOXES and first not in actions


def test_images_of_the_users_own_are_looked_at_by_the_detector_and_the_users_weights_are_not_its(small: Small) -> None:
    own = Coco(images="coco/val2017", annotations="coco/annotations/person_keypoints_val2017.json", title="mine")
    place = open_place(str(small.root))
    source = read_recipe(place.find("tiny"), place).weights[0]  # type: ignore[union-attr]
    actions = planned(small, accuracy=True, dataset=own, weights=source)
    assert actions["poser/onnxruntime-fp32/accuracy/own/found"].reads["boxes"] == f"boxes/{FINDER}/own"
    assert actions["poser/fetch"].step.sources == (source,)  # type: ignore[attr-defined]
    assert actions["finder/fetch"].step.sources != (source,)  # type: ignore[attr-defined]


def test_a_pipeline_finds_its_boxes_by_itself(small: Small) -> None:
    actions = planned(small, "top_down", accuracy=True, latency=True)
    step = actions["top_down/onnxruntime-fp32/accuracy/coco_val2017/together"].step
    assert isinstance(step, MeasureAccuracy) and step.boxes is None and list(step.parts) == ["detector", "pose"]
    assert not any(id.startswith("boxes/") for id in actions)
    assert actions["top_down/onnxruntime-fp32/compile"].reads == {
        "detector": f"{FINDER}/compile", "pose": "poser/onnxruntime-fp32/compile",
    }  # fmt: skip


@pytest.mark.parametrize("flip", [False, True])
def test_a_pipeline_says_whether_its_crops_are_flipped(small: Small, flip: bool) -> None:
    poser(small, ("decode: {", f"flip: {str(flip).lower()}\ndecode: {{"))
    step = planned(small, "top_down", accuracy=True)["top_down/onnxruntime-fp32/accuracy/coco_val2017/together"].step
    assert isinstance(step, MeasureAccuracy)
    assert step._protocol("all", None)["flip"] is flip


def digests(small: Small) -> dict[str, str]:
    place = open_place(str(small.root))
    context = place.context(offline=True)
    return {
        row: digest
        for name in ("poser", "alone", "top_down")
        for row, digest in declared(read_recipe(place.find(name), place), place, context, CODE).items()
    }


def finder(small: Small, change: tuple[str, str]) -> None:
    path = small.root / "recipes/finder.yaml"
    text = path.read_text()
    assert text.count(change[0]) == 1
    path.write_text(text.replace(*change))


CHANGES = [
    (("threshold: 0.1", "threshold: 0.2"), True),
    (("std: [255, 255, 255]", "std: [128, 128, 128]"), True),
    (("path: finder.onnx", "path: other.onnx"), True),
    (("    title: Boxes\n", "    title: Other boxes\n"), False),
    (("  openvino-fp32:\n", "  openvino-fp32:\n  openvino-bf16:\n"), False),
    (("benchmark: {height: 64, width: 64}", "benchmark: {height: 64, width: 64, batch: 2}"), False),
]


@pytest.mark.parametrize(("change", "outdates"), CHANGES)
def test_a_change_of_the_detector_outdates_what_stands_on_its_boxes_and_nothing_else(
    small: Small, change: tuple[str, str], outdates: bool
) -> None:
    text = poser(small, found="")
    small.recipe(("name: poser\n", "name: alone\n"), name="alone", text=text)
    poser(small)
    before = digests(small)
    finder(small, change)
    after = digests(small)
    changed = {row.partition("/")[0] for row in before if before[row] != after[row]}
    assert changed == ({"poser", "top_down"} if outdates else set())


FAULTS = {
    "an unknown detector": ("recipe: finder", "recipe: findor", "findor", "there is no recipe findor; did you mean finder?"),
    "a network of another task": (
        "recipe: finder", "recipe: tiny", "tiny, most", "tiny finds no boxes: its task is body_pose, and not person_detection",
    ),
    "a pipeline": (
        "recipe: finder", "recipe: top_down", "top_down", "top_down finds no boxes: its task is body_pose, and not person_detection",
    ),
    "a target that the detector lacks": (
        "recipe: finder", "recipe: finder, target: openvino-fp23", "openvino-fp23",
        "there is no target of finder 'openvino-fp23'; did you mean openvino-fp32?",
    ),
    "a target that nothing runs on": (
        "recipe: finder", "recipe: finder, target: tensorrt-rtx-fp32", "tensorrt-rtx-fp32",
        "tensorrt-rtx-fp32 is built and not run: nothing can be found on it",
    ),
    "a file that is no recipe": (
        "recipe: finder", "recipe: list", "list", "list finds no boxes: its task is None, and not person_detection",
    ),
    "a detector without targets": (
        "recipe: finder", "recipe: half", "{type: detector", "there is no target of half 'onnxruntime-fp32'; there is none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_detector_that_cannot_be_had_is_a_fault_at_its_line(small: Small, name: str) -> None:
    old, new, word, said = FAULTS[name]
    (small.root / "recipes/list.yaml").write_text("- format\n- 1\n")
    (small.root / "recipes/half.yaml").write_text("format: 1\ntask: person_detection\ntargets:\n")
    finder(small, ("  openvino-fp32:\n", "  openvino-fp32:\n  tensorrt-rtx-fp32:\n"))
    text = poser(small, found=FOUND.replace(old, new))
    place = open_place(str(small.root))
    with pytest.raises(RecipeError) as error:
        read_recipe(place.find("poser"), place)
    (problem,) = error.value.problems
    assert problem.message == said
    assert str(problem).startswith(f"{small.root}/recipes/poser.yaml:{position(text, word)}: ")


def test_a_faulty_detector_is_told_by_its_own_lines_where_it_is_needed(small: Small) -> None:
    finder(small, ("threshold: 0.1", "threshold: -1"))
    with pytest.raises(RecipeError, match=r"finder\.yaml:\d+:\d+: decode\.threshold"):
        planned(small, accuracy=True)


def test_a_detector_that_has_changed_since_is_read_as_it_stands(small: Small) -> None:
    place = open_place(str(small.root))
    before = place.network("finder")
    finder(small, ("threshold: 0.1", "threshold: 0.2"))
    assert place.network("finder").decode != before.decode
    assert [one.name for one in place.networks(place.network("poser"))] == ["poser", "finder"]
    assert [one.name for one in place.networks(read_recipe(place.find("top_down"), place))] == ["finder", "poser", "finder"]


def test_recipes_are_parsed_once_and_what_defines_their_rows_is_found_once(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    read = workspace.read
    monkeypatch.setattr(workspace, "read", lambda path: parsed.append(path) or read(path))
    place = open_place(str(small.root))
    definitions = Definitions(place, place.context(offline=True), CODE)
    first = [definitions.of(recipe) for recipe in workspace.read_all(place.files(), place)]
    again = [definitions.of(recipe) for recipe in workspace.read_all(place.files(), place)]
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert len(parsed) == len(set(parsed)) == 1 + len(place.files())
    finder(small, ("threshold: 0.1", "threshold: 0.2"))
    changed = [definitions.of(recipe) for recipe in workspace.read_all(place.files(), place)]
    assert [recipe.stem for recipe, one, other in zip(place.files(), first, changed, strict=True) if one != other] == ["finder", "top_down"]


def at_once(tasks: Sequence[Task[Any]]) -> list[Taken[Any]]:
    """`interleave` without processes."""
    return [Taken(Isolated(task.function(*task.prepare(), context=task.context), 0)) for task in tasks]


@pytest.fixture(scope="module")
def _judged(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Judged once, and timed for a moment."""
    small = make(tmp_path_factory.mktemp("judged"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "MeasureLatency", partial(network.MeasureLatency, seconds=0.01, runs=2))
        patch.setattr(joint, "MeasureWhole", partial(joint.MeasureWhole, seconds=0.01, runs=2))
        patch.setattr(timing, "interleave", at_once)
        assert run(["eval", "poser", "top_down", "--workspace", str(small.root)]) == 0
    return small


@pytest.fixture
def judged(_judged: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    root = tmp_path / "workspace"
    shutil.copytree(_judged.root, root, copy_function=shutil.copy2)
    monkeypatch.chdir(root)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return Small(root)


def detections(small: Small, id: str) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for one in json.loads((small.artifact(id) / "detections.json").read_text()):
        found.setdefault(one["image_id"], []).append(one)
    return found


def test_people_are_looked_at_where_each_protocol_says(judged: Small) -> None:
    assert {image: len(people) for image, people in detections(judged, GIVEN).items()} == {1: 1, 2: 1, 3: 1}
    boxes = json.loads((judged.artifact(BOXES) / "boxes.json").read_text())
    most = {image: min(3, sum(box["image_id"] == image and box["score"] >= 0.3 for box in boxes)) for image in (1, 2, 3)}
    found = detections(judged, JUDGED)
    assert max(most.values()) == 3 and {image: len(people) for image, people in found.items()} == {k: n for k, n in most.items() if n}


def test_a_pipeline_finds_who_is_found_in_the_boxes_of_its_detector(judged: Small) -> None:
    found = detections(judged, JUDGED)
    together = detections(judged, "top_down/onnxruntime-fp32/accuracy/coco_val2017/together")
    assert found.keys() == together.keys()
    for image, people in found.items():
        for one, other in zip(people, together[image], strict=True):
            np.testing.assert_allclose(one["keypoints"], other["keypoints"], atol=1e-6)
            assert one["score"] == pytest.approx(other["score"])


def test_rows_of_other_boxes_stand_in_other_tables_and_say_whose_they_are(judged: Small) -> None:
    protocols = {
        cell["title"]: cell["protocol"]
        for path in (judged.root / "results").rglob("*.json")
        for cell in json.loads(path.read_text())["accuracy"]
    }
    assert len(protocols) == 3
    said = {title: protocol["boxes"] for title, protocol in protocols.items()}
    assert said["boxes of the ground truth"] == "ground truth" and said["Whom the detector finds"] == "found by finder"
    assert said["boxes that a detector finds"]["weights"].keys() == {"finder.onnx"}


def test_another_network_on_the_same_boxes_does_not_find_them_anew(judged: Small, zoo: Zoo) -> None:
    poser_file(judged.root / "poser.onnx", seed=1)
    told = zoo("plan", "poser", "--json")
    states = {one["id"]: one["state"] for one in json.loads(told.out)}
    assert states["poser/fetch"] == "to do" and states[BOXES] == "known"


def test_fetching_a_recipe_fetches_the_weights_of_the_detectors_that_it_names(judged: Small, zoo: Zoo) -> None:
    for name, wanted in (("poser", ["poser", "finder"]), ("top_down", ["finder", "poser"]), ("finder", ["finder"])):
        assert [row["recipe"] for row in json.loads(zoo("fetch", name, "--json").out)] == wanted


def test_a_target_that_has_only_found_boxes_has_no_row(judged: Small, zoo: Zoo) -> None:
    poser(judged, ("  onnxruntime-fp32:\n", "  onnxruntime-fp32:\n  openvino-fp32:\n"))
    told = zoo("eval", "poser", "finder", "--target", "openvino-fp32", "--json")
    rows = [(row["recipe"], row["target"]) for row in json.loads(told.out)]
    assert rows == [("poser", "openvino-fp32"), ("finder", "openvino-fp32")]


def test_where_the_detector_cannot_be_had_the_cell_says_that_there_are_no_boxes(judged: Small, zoo: Zoo) -> None:
    shutil.rmtree(judged.root / ".zoo")
    (judged.root / "finder.onnx").unlink()
    calibration = "calibration: {dataset: other, images: 2, boxes: {type: detector, recipe: finder}}\n"
    poser(
        judged,
        ("  onnxruntime-fp32:\ndecode", "  onnxruntime-fp32:\n  onnxruntime-int8: {parity: {snr: 1, reason: a test}}\ndecode"),
        ("evaluate:", f"{calibration}evaluate:"),
    )
    told = zoo("eval", "poser", "--offline", "--json")
    assert told.code == 4
    plain, int8 = json.loads(told.out)
    given, found = plain["accuracy"]
    assert given["figures"] and found["word"] == "no boxes" and found["message"].startswith("finder found none: none of the sources")
    assert plain["weights"]["title"] == "official" and plain["parity"]["comparisons"] and plain["latency"].get("word") is None
    for cell in (int8["latency"], *int8["accuracy"]):
        assert cell["word"] == "no boxes"


def test_boxes_of_a_seeded_detector_are_no_boxes_and_other_failures_keep_their_word(small: Small) -> None:
    actions = planned(small, accuracy=True)
    seeded = Outcome(actions[BOXES], "failed", error=StepFailed("the detector's weights are seeded: its boxes mean nothing"))
    compiled = Outcome(actions["poser/onnxruntime-fp32/compile"], "failed", error=StepFailed("no room"))
    for outcomes, word, message in (
        ({BOXES: seeded, "poser/onnxruntime-fp32/compile": Outcome(compiled.action, "made", artifact=Artifact("0", small.root))},
         "no boxes", "finder found none: the detector's weights are seeded: its boxes mean nothing"),
        ({BOXES: seeded, "poser/onnxruntime-fp32/compile": compiled}, "failed", "no room"),
    ):  # fmt: skip
        first = next(one for id in actions[JUDGED].reads.values() if (one := outcomes[id]).artifact is None)
        found = report(Outcome(actions[JUDGED], "blocked", error=first.error), outcomes)
        assert isinstance(found, Failure) and (found.word, found.message) == (word, message)


def test_the_parity_of_a_pipeline_is_told_by_its_parts(judged: Small, zoo: Zoo) -> None:
    (row,) = json.loads(zoo("build", "top_down", "--json").out)
    assert row["parity"] == "detector: ok, equal; pose: ok, equal"
