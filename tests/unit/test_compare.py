"""What two protocols of one recipe found, held against each other: the step, and where it is planned."""

from pathlib import Path
from typing import Any

import pytest
from test_metrics import people, scene
from workspaces import Small

from zoo.context import Context
from zoo.engine.plan import plan
from zoo.engine.wish import Wish
from zoo.errors import StepFailed
from zoo.machine import describe
from zoo.metrics import CocoOks
from zoo.metrics.matching import NAME
from zoo.pose.coco_results import coco_results
from zoo.recipe.workspace import open_place, read_recipe
from zoo.steps import reports
from zoo.steps.compare import Compare

SECOND = """\
    against: second
  - protocol: second
    title: Second
    datasets: [coco_train2017, coco_val2017]
    order: resize_then_normalize
"""


def accuracy(folder: Path, name: str, truth: Path, ids: list[int], found: list[dict[str, Any]]) -> Path:
    """The artifact of an accuracy."""
    folder.mkdir()
    figures = CocoOks().evaluate(truth, ids, found, folder / NAME)
    report = reports.Accuracy(
        figures={"AP": figures["AP"]},
        title=f"The {name} protocol",
        protocol={"name": name},
        dataset=reports.Data(name="mini", title="Mini", digest="d"),
        images=len(ids),
        detections=len(found),
        machine=describe(),
        computed_in="fp32",
    )
    reports.write(report, folder)
    return folder


def test_the_difference_is_that_of_the_figures_with_all_that_it_means(tmp_path: Path, context: Context) -> None:
    truth, found = scene(tmp_path / "truth.json", 20)
    ids = list(range(1, 21))
    perfect = [result for image in ids for result in coco_results(people(3, image), image)]
    given = {
        "one": accuracy(tmp_path / "1", "lazy", truth, ids, perfect),
        "other": accuracy(tmp_path / "2", "full", truth, ids[1:], [one for one in found if one["image_id"] > 1]),
    }
    Compare(samples=50).run(given, tmp_path, context)
    said = reports.read(tmp_path)
    assert isinstance(said, reports.Difference)
    metric = CocoOks()
    expected = metric.evaluate(truth, ids[1:], perfect)["AP"] - metric.evaluate(truth, ids[1:], found)["AP"]
    assert said.difference == pytest.approx(expected) and said.low < said.difference < said.high
    assert (said.protocol, said.against, said.against_title) == ("lazy", "full", "The full protocol")
    assert (said.images, said.apart, said.samples, said.seed, said.dataset.name) == (19, 1, 50, 0, "mini")
    one = reports.read(given["one"])
    assert isinstance(one, reports.Accuracy) and said.fingerprint == one.fingerprint
    assert said.digests == {"one": "1", "other": "2"}
    before = (tmp_path / reports.NAME).read_bytes()
    Compare(samples=50).run(given, tmp_path, context)
    assert (tmp_path / reports.NAME).read_bytes() == before, "nothing of it is left to chance"


def test_two_that_share_no_image_are_refused(tmp_path: Path, context: Context) -> None:
    truth, found = scene(tmp_path / "truth.json", 4)
    given = {
        role: accuracy(tmp_path / role, role, truth, ids, [one for one in found if one["image_id"] in ids])
        for role, ids in (("one", [1, 2]), ("other", [3, 4]))
    }
    with pytest.raises(StepFailed, match="none in common"):
        Compare().run(given, tmp_path, context)


@pytest.mark.parametrize("without", ["one", "other"])
def test_why_there_is_no_accuracy_is_why_there_is_no_difference(tmp_path: Path, context: Context, without: str) -> None:
    truth, found = scene(tmp_path / "truth.json", 2)
    given = {role: accuracy(tmp_path / role, role, truth, [1, 2], found) for role in ("one", "other")}
    failure = reports.Failure(word="rehearsal", message="seeded", dataset="mini")
    reports.write(failure, given[without])
    Compare().run(given, tmp_path, context)
    assert reports.read(tmp_path) == failure


def differences(small: Small, wish: Wish, name: str = "tiny") -> dict[str, Any]:
    """Id -> what it reads, of every difference that is planned."""
    place = open_place(str(small.root))
    recipe = read_recipe(place.find(name), place)
    actions = plan(recipe, place, place.context(offline=True), wish)
    ids = [action.id for action in actions]
    for action in actions:
        assert all(ids.index(source) < ids.index(action.id) for source in action.reads.values())
    return {action.id: action.reads for action in actions if isinstance(action.step, Compare)}


def test_a_difference_is_planned_on_every_dataset_that_both_are_judged_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small.entered(tmp_path, monkeypatch)
    last = "    datasets: [coco_val2017, coco_train2017]\n"
    small.recipe((last, last + SECOND))
    cell = "tiny/onnxruntime-fp32/{}/coco_{}/{}"
    assert differences(small, Wish(accuracy=True, assume=True)) == {
        cell.format("difference", dataset, "original"): {
            "one": cell.format("accuracy", dataset, "original"),
            "other": cell.format("accuracy", dataset, "second"),
        }
        for dataset in ("val2017", "train2017")
    }
    assert list(differences(small, Wish(accuracy=True))) == [cell.format("difference", "val2017", "original")], "the other is not here"
    assert not differences(small, Wish(latency=True, assume=True))


FIT = "    fit: {type: stretch, width: 64, height: 64}\n"


def test_no_difference_is_planned_for_a_target_that_one_of_the_two_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small.entered(tmp_path, monkeypatch)
    last, wish = "    datasets: [coco_val2017, coco_train2017]\n", Wish(accuracy=True)
    fixed = ("  onnxruntime-fp32:\n", "  onnxruntime-fp32: {shape: [64, 64]}\n")
    own = ("fit: {type: height, height: 64, multiple: 8, place: center, min_width: 64}", FIT.strip())
    small.recipe((last, last + SECOND), fixed, own)
    assert len(differences(small, wish)) == 1
    small.recipe((last, last + SECOND + FIT.replace("height: 64", "height: 128")), fixed, own)
    assert not differences(small, wish)


def test_protocols_of_a_pipeline_are_held_against_each_other_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small.entered(tmp_path, monkeypatch)
    last = "    datasets: [coco_val2017]\n"
    few = "  - {protocol: few, title: Few, datasets: [coco_val2017], against: together}\n"
    small.pipeline((last, last + few))
    (found,) = differences(small, Wish(accuracy=True), "both")
    assert found == "both/onnxruntime-fp32/difference/coco_val2017/few"
