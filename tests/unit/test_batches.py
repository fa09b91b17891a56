"""Timing at several batches: what is planned, what is refused, and that images are counted as they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workspaces import Small, Zoo, position

from zoo.cli.results import result_of
from zoo.cli.session import Session
from zoo.context import Context
from zoo.datasets import Folder
from zoo.engine.action import Action
from zoo.engine.execute import Outcome
from zoo.engine.joint import parts_on
from zoo.engine.plan import plan
from zoo.engine.use import shapes
from zoo.engine.wish import Wish
from zoo.errors import StepFailed, UsageError
from zoo.measure import windows
from zoo.pipelines.estimator import Stopwatch
from zoo.recipe.composite import Composite
from zoo.recipe.model import Recipe, TargetOptions
from zoo.steps import reports
from zoo.steps import whole as whole_step
from zoo.steps.latency import MeasureLatency
from zoo.steps.whole import MeasureWhole, time_whole

ROW = "tiny/onnxruntime-fp32"
TARGET = "  onnxruntime-fp32:\n"
SIZE = "benchmark: {height: 64, width: 64}"
BATCHES = (SIZE, "benchmark: {height: 64, width: 64, batches: [8, 32, 1]}")
FIXED = (TARGET, "  onnxruntime-fp32:\n  openvino-fp32: {batch: 2}\n")
WHOLE = "{dataset: coco_val2017, images: 2}"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return Small.entered(tmp_path, monkeypatch)


def opened(name: str = "tiny") -> tuple[Session, Any]:
    session = Session.open()
    (recipe,) = session.recipes([name], everything=False)
    return session, recipe


def timed(name: str = "tiny", **wish: Any) -> dict[str, int]:
    """The id of each timing that is planned, and its batch."""
    session, recipe = opened(name)
    actions = plan(recipe, session.place, session.context, Wish(latency=True, **wish))
    return {action.id: action.step.batch for action in actions if isinstance(action.step, MeasureLatency | MeasureWhole)}


def test_a_network_is_timed_at_its_batch_and_each_further_one_once(small: Small) -> None:
    small.recipe()
    assert timed() == {f"{ROW}/latency": 1}
    small.recipe(BATCHES)
    assert timed() == {f"{ROW}/latency": 1, f"{ROW}/latency/8": 8, f"{ROW}/latency/32": 32}
    assert timed(batches=(4, 2)) == {f"{ROW}/latency": 4, f"{ROW}/latency/2": 2}


@pytest.mark.parametrize(
    "fixed",
    [
        (TARGET, "  onnxruntime-fp32: {batch: 2}\n"),
        ("  shape: [1, 3, 64, 64]\n", "  shape: [2, 3, 64, 64]\n  dynamic: [height, width]\n"),
    ],
)
def test_a_target_of_a_fixed_batch_is_timed_at_that_alone(small: Small, fixed: tuple[str, str]) -> None:
    small.recipe(BATCHES, fixed)
    assert timed() == {f"{ROW}/latency": 2}


def test_what_is_compiled_has_room_for_every_batch_that_is_timed(small: Small) -> None:
    small.recipe(BATCHES)
    _, recipe = opened()
    assert isinstance(recipe, Recipe)
    ((low, _, high),) = shapes(recipe, TargetOptions()).values()
    assert (low[0], high[0]) == (1, 32)
    ((_, _, high),) = shapes(recipe, TargetOptions(), (64,)).values()
    assert high[0] == 64
    ((low, _, high),) = shapes(recipe, TargetOptions(batch=2)).values()
    assert (low[0], high[0]) == (2, 2)


def test_a_pipeline_is_timed_at_one_image_a_call_and_at_its_further_batches(small: Small) -> None:
    small.pipeline((WHOLE, "{dataset: coco_val2017, images: 2, batches: [8]}"))
    assert timed("both") == {"both/onnxruntime-fp32/whole": 1, "both/onnxruntime-fp32/whole/8": 8}
    assert timed("both", batches=(8, 2)) == {"both/onnxruntime-fp32/whole": 8, "both/onnxruntime-fp32/whole/2": 2}


def test_a_pipelines_batch_that_a_part_is_not_built_for_is_a_fault_at_its_line(small: Small, zoo: Zoo) -> None:
    text = small.pipeline((WHOLE, "{dataset: coco_val2017, images: 2, batches: [8, 16]}"))
    said = zoo("check")
    assert said.code == 2
    assert (
        f"both.yaml:{position(text, '[8, 16]')}: benchmark.batches: tiny, the body, is built for at most 8 inputs a call"
        in said.out + said.err
    )


def planned(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, dict[str, int], str]:
    """What `bench` would time; its exit code and what it said where it refused."""
    seen: dict[str, int] = {}

    def stop(_: Session, actions: Sequence[Action], **__: Any) -> None:
        seen.update({action.id: getattr(action.step, "batch") for action in actions if action.step.exclusive})  # noqa: B009
        raise UsageError("that was all", "")

    monkeypatch.setattr(Session, "carry_out", stop)
    said = zoo("bench", *words)
    return said.code, seen, said.err


def test_bench_takes_batches_in_a_list_or_one_by_one(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small.recipe(BATCHES)
    expected = {f"{ROW}/latency": 4, f"{ROW}/latency/1": 1, f"{ROW}/latency/16": 16}
    assert planned(zoo, monkeypatch, "tiny", "--batch", "4,1", "--batch", "16", "--batch", "4")[1] == expected
    assert planned(zoo, monkeypatch, "tiny")[1] == {f"{ROW}/latency": 1, f"{ROW}/latency/8": 8, f"{ROW}/latency/32": 32}


@pytest.mark.parametrize("given", ["0", "1,", "eight", "-1", "1;8"])
def test_what_is_no_number_of_images_is_wrong_usage(small: Small, zoo: Zoo, given: str) -> None:
    said = zoo("bench", "tiny", "--batch", given)
    assert said.code == 2 and "is no number of images" in said.err


def test_a_fixed_target_that_is_asked_for_another_batch_is_wrong_usage(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small.recipe(FIXED)
    code, seen, said = planned(zoo, monkeypatch, "tiny", "-t", "*", "--batch", "1,8")
    assert (code, seen) == (2, {})
    assert "tiny/openvino-fp32 is built for batch 2 and takes no other" in said and "tiny/onnxruntime-fp32 is" not in said
    assert "--target onnxruntime-fp32" in said
    code, _, said = planned(zoo, monkeypatch, "tiny", "-t", "openvino-fp32", "--batch", "8")
    assert code == 2 and "ask for that batch, or leave it free in the recipe" in said


def test_a_fixed_target_that_is_asked_for_its_own_batch_is_timed(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small.recipe(FIXED)
    _, seen, said = planned(zoo, monkeypatch, "tiny", "-t", "*", "--batch", "2")
    assert "that was all" in said and seen == {f"{ROW}/latency": 2, "tiny/openvino-fp32/latency": 2}


def test_a_result_holds_every_batch_and_of_one_that_failed_which_and_why(small: Small) -> None:
    small.recipe(BATCHES)
    session, recipe = opened()
    actions = plan(recipe, session.place, session.context, Wish(latency=True))
    failed = StepFailed("there is not enough memory", "")
    outcomes = {action.id: Outcome(action, "failed", error=failed) for action in actions}
    found = result_of(session, recipe, "onnxruntime-fp32", outcomes, outcomes, "")
    assert isinstance(found.latency, reports.Failure) and found.latency.batch == 1
    words = [(one.batch, one.word, one.message) for one in found.batches if isinstance(one, reports.Failure)]
    assert words == [(8, "failed", "there is not enough memory"), (32, "failed", "there is not enough memory")]


@dataclass
class Counting:
    """A model that remembers what it was given."""

    calls: list[list[int]] = field(default_factory=list)
    computed_in: str = "fp32"

    def many(self, images: Sequence[Any], watch: Stopwatch) -> None:
        with watch.stage("looking"):
            self.calls.append([int(image.flat[0]) for image in images])


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_a_pipeline_is_given_so_many_images_a_call_each_as_often_as_any_other(
    small: Small, context: Context, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    small.pipeline()
    session, recipe = opened("both")
    assert isinstance(recipe, Composite)
    model, asked = Counting(), []

    def joined(*_: Any, batch: int) -> Any:
        asked.append(batch)
        return model

    monkeypatch.setattr(whole_step, "opened_all", lambda *_: {})
    monkeypatch.setattr(whole_step, "joined", joined)
    step = MeasureWhole(
        parts=parts_on(recipe, "onnxruntime-fp32", session.place.declared),
        pipeline=recipe.declared.pipeline,
        dataset=Folder(images="other"),
        images=3,
        batch=batch,
        seconds=0.0,
        runs=9,
    )
    images = [np.full((4, 4, 3), value, np.uint8) for value in range(3)]
    monkeypatch.setattr(windows, "WINDOW", 0.0)
    monkeypatch.setattr(windows, "close", lambda times: True)
    found = time_whole(step, small.root, images, context=context)
    timing, stages = found.timing, found.stages
    timed_calls = model.calls[-9:]
    assert {len(call) for call in model.calls} == {batch} and asked == [batch]
    assert (timing.runs, timing.batch, timing.images) == (9, batch, 9 * batch)
    assert {sum(call.count(image) for call in timed_calls) for image in range(3)} == {3 * batch}
    assert [stage.name for stage in stages] == ["looking"] and 0 < stages[0].median_ms <= timing.median_ms
