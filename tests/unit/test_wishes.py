"""What a command line asks of a plan, and what is said of a target that the plan cannot judge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from workspaces import Small, Zoo

from zoo.board.results import Result
from zoo.cli.results import result_of
from zoo.cli.session import Session
from zoo.engine.action import Action
from zoo.engine.execute import Outcome
from zoo.engine.plan import plan
from zoo.engine.store import Artifact
from zoo.engine.wish import Wish
from zoo.errors import UsageError
from zoo.recipe.model import Recipe
from zoo.steps import reports

FIT = "fit: {type: height, height: 64, multiple: 8, place: center, min_width: 64}"
TARGET = "  onnxruntime-fp32:\n"
WHOLE = "both/onnxruntime-fp32/whole"
JUDGED = "both/onnxruntime-fp32/accuracy/coco_val2017/together"
WAY = "both/onnxruntime-fp32/end_to_end/together"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return Small.entered(tmp_path, monkeypatch)


@pytest.mark.parametrize(("command", "measured"), [("bench", {WHOLE}), ("eval", {WHOLE, JUDGED, WAY})])
def test_again_measures_a_pipeline_anew_and_builds_nothing_anew(
    small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, command: str, measured: set[str]
) -> None:
    small.pipeline()
    anew: dict[str, bool] = {}

    def stop(_: Session, actions: Sequence[Action], *, again: Any, **__: Any) -> None:
        anew.update({action.id: again(action) for action in actions})
        raise UsageError("that was all", "")

    monkeypatch.setattr(Session, "carry_out", stop)
    zoo(command, "both", "--again")
    assert {id for id, again in anew.items() if again} == measured and "tiny/onnxruntime-fp32/compile" in anew
    zoo(command, "both")
    assert not any(anew.values())


def row(small: Small) -> Result:
    """What stands in results of `tiny`, built and held against nothing yet."""
    session = Session.open()
    (recipe,) = session.recipes(["tiny"], everything=False)
    assert isinstance(recipe, Recipe)
    actions = plan(recipe, session.place, session.context, Wish(accuracy=True))
    (small.root / "compiled").mkdir()
    compiled = Artifact("0", small.root / "compiled")
    outcomes = {action.id: Outcome(action, "made", artifact=compiled if action.id.endswith("/compile") else None) for action in actions}
    return result_of(session, recipe, "onnxruntime-fp32", outcomes, outcomes, "")


def test_a_target_of_a_fixed_size_that_no_protocol_wants_says_so_and_not_that_images_are_missing(small: Small) -> None:
    small.recipe(
        (FIT, "fit: {type: stretch, width: 64, height: 64}"),
        (TARGET, "  onnxruntime-fp32: {shape: [64, 64]}\n"),
        ("  - protocol: original\n", f"  - protocol: original\n    {FIT}\n"),
    )
    (told,) = row(small).accuracy
    assert isinstance(told, reports.Failure) and told.word == "other size" and "64x64" in told.message


def test_a_target_that_nothing_can_be_judged_on_says_that_images_are_missing(small: Small) -> None:
    small.recipe(
        (FIT, "fit: {type: stretch, width: 64, height: 64}"),
        (TARGET, "  onnxruntime-fp32: {shape: [64, 64]}\n"),
        ("[coco_val2017, coco_train2017]", "[coco_train2017]"),
    )
    (told,) = row(small).accuracy
    assert isinstance(told, reports.Failure) and told.word == "no images" and "coco_train2017" in told.message


def test_a_recipe_that_names_no_protocol_says_so_and_not_that_images_are_missing(small: Small) -> None:
    evaluate = "evaluate:\n  - protocol: original\n    title: The original's evaluation\n    datasets: [coco_val2017, coco_train2017]\n"
    small.recipe((evaluate, ""))
    (told,) = row(small).accuracy
    assert isinstance(told, reports.Failure) and told.word == "no protocol"
