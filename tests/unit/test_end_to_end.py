"""The whole way from files to poses, timed in turns with its network alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from workspaces import Small

from zoo.backends.runner import Runner, TensorSpec
from zoo.cli.session import Session
from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample
from zoo.engine.plan import plan
from zoo.engine.wish import Wish
from zoo.errors import Bug, Cancelled, StepFailed
from zoo.measure import turns
from zoo.measure.turns import Turns, in_turns
from zoo.pipelines.estimator import Image, OneNetwork, PoseModel, Stopwatch
from zoo.pose.keypoints import Poses
from zoo.steps import reports
from zoo.steps.end_to_end import Compared, Kind, MeasureEndToEnd, compare
from zoo.steps.provenance import Provenance
from zoo.steps.whole_way import Chunk, Opened
from zoo.stream import Layout

ONE, TWO = Layout(streams=1, workers=1), Layout(streams=2, workers=2)
CHUNKS = [[Sample(number, Path(), f"{number}.jpg")] for number in range(4)]
Log = list[tuple[str, float]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "yardstick", lambda threads: 1.0)
    monkeypatch.setattr("zoo.steps.end_to_end.IMPOSSIBLE", 1.1)


class Sleeper(Runner):
    """A network that sleeps and doubles, in as many calls at once as it has streams, and logs what it is given."""

    inputs: Mapping[str, TensorSpec] = {"data": TensorSpec((None, 3, None, None), "float32")}
    outputs: Mapping[str, TensorSpec] = {"out": TensorSpec((None, 3, None, None), "float32")}

    def __init__(self, seconds: float, streams: int = 1, log: Log | None = None, stuck: bool = False) -> None:
        self.seconds, self.log, self.stuck = seconds, log, stuck
        self._free = threading.Semaphore(streams)

    @property
    def computed_in(self) -> str:
        return "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with self._free:
            if self.log is not None:
                self.log.append(("network", float(feeds["data"].max())))
            time.sleep(self.seconds)
        return {"out": feeds["data"] * (0 if self.stuck else 2)}


@dataclass(frozen=True)
class Model(OneNetwork):
    """A network, and `rest` seconds of other work an image."""

    rest: float = 0.0
    log: Log | None = None
    seen: set[float] | None = None
    """What it remembers, if it does."""

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        for image in images:
            shade = float(image.max())
            if self.log is not None:
                self.log.append(("whole", shade))
            if self.seen is None or shade not in self.seen:
                self.runner({"data": np.full((1, 3, 2, 2), shade, np.float32)})
            if self.seen is not None:
                self.seen.add(shade)
            time.sleep(self.rest)
        return [Poses.of_boxes(np.zeros((0, 4)), np.zeros(0))] * len(images)


def look(chunk: Chunk) -> tuple[list[Image], None]:
    return [np.full((2, 2, 3), sample.id + 1, np.uint8) for sample in chunk], None


def model(runner: Runner, **changes: Any) -> Model:
    return Model(runner, cast(Any, None), cast(Any, None), **changes)


def timed(opening: Callable[[Layout], PoseModel], context: Context, *tried: Layout, seconds: float = 0.3) -> Compared:
    return compare(opening, tried or (ONE,), CHUNKS, look, seconds=seconds, context=context)


def told(compared: Compared, context: Context) -> reports.EndToEnd:
    step = MeasureEndToEnd(parts={}, protocols=("p",), dataset_name="d", dataset=cast(Any, None))
    return compared.report(step, {}, context)


def test_ways_take_turns_in_every_round(context: Context) -> None:
    order: list[str] = []

    def turn(name: str) -> float:
        order.append(name)
        return len(order)

    taken = in_turns({"A": lambda: turn("A"), "B": lambda: turn("B")}, seconds=0.0, most=9.0, context=context)
    assert "".join(order) == "ABABAB" and taken.rates == {"A": [1, 3, 5], "B": [2, 4, 6]}
    assert len(taken.yardsticks) == 4, "one before, one after, and one between each two rounds"


def test_rounds_go_on_until_time_is_up_and_none_begins_that_would_last_too_long(context: Context) -> None:
    def turn() -> float:
        time.sleep(0.02)
        return 1.0

    assert len(in_turns({"A": turn}, seconds=0.15, most=9.0, context=context).rates["A"]) >= 5
    assert len(in_turns({"A": turn}, seconds=9.0, most=0.03, context=context).rates["A"]) == 1


def test_the_share_is_what_the_whole_way_leaves_of_the_network(context: Context) -> None:
    found = told(timed(lambda layout: model(Sleeper(0.03), rest=0.03), context), context)
    assert found.share == pytest.approx(0.5, abs=0.12)
    assert found.network_images_per_second is not None and 17 < found.network_images_per_second < 34
    assert 8 < found.images_per_second < 17 and 1 <= found.images <= 4
    assert len(found.rounds) == len(found.network_rounds) >= 3


def test_work_that_overlaps_costs_nothing(context: Context) -> None:
    """One call of the network at once, and two workers: one sleeps while the other one's network runs."""
    found = told(timed(lambda layout: model(Sleeper(0.05), rest=0.05), context, Layout(streams=1, workers=2)), context)
    assert found.share is not None and found.share > 0.7, "without it one half would be left"


def test_the_network_alone_is_given_the_very_tensors_of_the_images_and_takes_turns_with_the_whole(context: Context) -> None:
    log: Log = []
    timed(lambda layout: model(Sleeper(0.001, log=log), log=log), context, seconds=0.06)
    kinds = "".join("w" if kind == "whole" else "n" for kind, _ in log).replace("wn", "W")
    blocks = [block for block in kinds.replace("Wn", "W n").replace("nW", "n W").split(" ") if block]
    turns_taken = [block[0] for block in blocks][-6:]
    assert turns_taken == ["W", "n"] * 3, kinds
    size = len(blocks[-1])
    assert len(blocks[-2]) == size, "both do the same"
    shades = [shade for kind, shade in log if kind == "network"]
    assert shades[-size:] == shades[-2 * size : -size]


def test_each_has_the_layout_that_is_the_fastest_for_it(context: Context) -> None:
    def opening(layout: Layout) -> PoseModel:
        # the network likes one call at once, and what comes after two workers
        return model(Sleeper(0.02 if layout == ONE else 0.06, layout.streams), rest=0.1 if layout == ONE else 0.0)

    compared = timed(opening, context, TWO, ONE)
    assert compared.layouts == {"whole": TWO, "network": ONE} and list(compared.tried) == [TWO, ONE]
    found = told(compared, context)
    assert found.layout == str(TWO) and found.network_layout == str(ONE) and len(found.tried) == 2
    assert found.share is not None and found.share < 0.85, "against its own layout's network it would be 1"


def test_a_model_too_slow_to_try_layouts_with_is_timed_in_the_first(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.steps.end_to_end.LONG", 0.05)
    opened: list[Layout] = []

    def opening(layout: Layout) -> PoseModel:
        opened.append(layout)
        return model(Sleeper(0.01, layout.streams))

    compared = timed(opening, context, TWO, ONE)
    assert opened == [TWO] and compared.tried == {} and len(compared.turns.rates["whole"]) == 1


def test_a_pipeline_has_no_network_to_be_held_against(context: Context) -> None:
    class Several(PoseModel):
        skeleton = cast(Any, None)
        computed_in = "fp32"

        def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
            return inner.many(images)

        def close(self) -> None:
            inner.close()

    inner = model(Sleeper(0.005))
    found = told(timed(lambda layout: Several(), context), context)
    assert found.images_per_second > 0 and found.share is None and found.network_images_per_second is None and found.network_rounds == ()


def test_a_model_that_remembers_images_is_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="called its network 0 times where its images need"):
        timed(lambda layout: model(Sleeper(0.001), seen=set()), context)


def test_a_network_that_does_not_look_is_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="outputs do not change with the input"):
        timed(lambda layout: model(Sleeper(0.001, stuck=True)), context)


def test_a_model_that_loses_images_is_refused(context: Context) -> None:
    class Losing(Model):
        def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
            return super().many(images)[1:]

    with pytest.raises(StepFailed, match="poses of other images"):
        timed(lambda layout: Losing(Sleeper(0.001), cast(Any, None), cast(Any, None)), context)


def test_a_decoder_that_breaks_on_an_image_is_told_with_its_name(context: Context) -> None:
    class Broken(Model):
        def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
            if images[0].max() == 3:
                raise IndexError("no such peak")
            return super().many(images)

    with pytest.raises(Bug, match=r"2\.jpg: a bug: IndexError: no such peak"):
        timed(lambda layout: Broken(Sleeper(0.001), cast(Any, None), cast(Any, None)), context)


def compared(whole: list[float], network: list[float], others: float | None = 0.0) -> Compared:
    taken = Turns[Kind]({"whole": whole, "network": network}, [1.0] * (len(whole) + 1), others)
    return Compared(taken, {"whole": ONE, "network": ONE}, {}, 4, 1.0, "fp32")


def test_the_share_is_the_median_of_the_rounds_and_one_above_the_network_is_refused(context: Context) -> None:
    found = told(compared([8.0, 5.0, 9.0], [10.0, 10.0, 10.0]), context)
    assert (found.share, found.images_per_second, found.network_images_per_second) == (0.8, 8.0, 10.0)
    with pytest.raises(StepFailed, match=r"2\.00 times as fast as its network alone, in every round"):
        told(compared([20.0, 20.0, 20.0], [10.0, 10.0, 10.0]), context)
    few = told(compared([8.0], [10.0]), context)
    assert few.share == 0.8 and few.noise == ("it is so slow that there was time for 1 of 3 rounds",)
    by_chance = told(compared([9.0, 11.0, 12.0], [10.0, 10.0, 10.0]), context)
    assert by_chance.share == 1.1 and any("1.10 times as fast as its network alone" in line for line in by_chance.noise)


def test_a_noisy_machine_is_said(context: Context) -> None:
    assert told(compared([9.0, 9.0, 9.0], [10.0, 10.0, 10.0]), context).noise == ()
    noisy = told(compared([9.0, 6.0, 9.0], [10.0, 10.0, 10.0], others=64.0), context).noise
    assert any("others used 64.00" in line for line in noisy) and any("60% to 90% of the network's speed" in line for line in noisy)


def test_it_stops_where_the_run_is_stopped(context: Context) -> None:
    closed: list[bool] = []

    class Watched(Sleeper):
        def close(self) -> None:
            closed.append(True)

    threading.Timer(0.15, context.cancelled.set).start()
    with pytest.raises(Cancelled):
        timed(lambda layout: model(Watched(0.01)), context, seconds=60.0)
    assert closed == [True]


def test_nobody_in_any_box_is_said(context: Context) -> None:
    class Lonely(Model):
        def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
            return [Poses.of_boxes(np.zeros((0, 4)), np.zeros(0))] * len(images)

    with pytest.raises(StepFailed, match="no box in any of the images"):
        Opened(Lonely(Sleeper(0.0), cast(Any, None), cast(Any, None)), ONE, look, context).listen(CHUNKS, 0.01, 1)


def test_bad_images_are_passed_over_where_that_is_asked_for(small: Small) -> None:
    paths = sorted((small.root / "coco/val2017").iterdir())
    paths[0].write_bytes(b"no image")
    images = Images(tuple(Sample(number, path, path.name) for number, path in enumerate(paths)))
    step = MeasureEndToEnd(parts={}, protocols=("p",), dataset_name="d", dataset=cast(Any, None))
    with pytest.raises(BadImage):
        step._readable(images)
    passing = msgspec.structs.replace(step, skip_bad_images=True)
    assert [sample.id for sample in passing._readable(images).samples] == [1, 2]


MORE = """\
  - protocol: again
    title: The same way under another name
    datasets: [coco_val2017]
  - protocol: smaller
    title: Another way
    datasets: [coco_val2017]
    fit: {type: height, height: 32, multiple: 8, place: center, min_width: 32}
benchmark:"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return Small.entered(tmp_path, monkeypatch)


def planned(name: str, **wish: Any) -> dict[str, MeasureEndToEnd]:
    """Id -> step of the whole ways that are timed."""
    session = Session.open()
    (recipe,) = session.recipes([name], everything=False)
    actions = plan(recipe, session.place, session.context, Wish(**wish))
    return {action.id: action.step for action in actions if isinstance(action.step, MeasureEndToEnd)}


def test_protocols_that_make_poses_in_the_same_way_are_timed_once(small: Small) -> None:
    small.recipe(("benchmark:", MORE))
    found = planned("tiny", end_to_end=True, accuracy=True, latency=True)
    prefix = "tiny/onnxruntime-fp32/end_to_end"
    assert {id: step.protocols for id, step in found.items()} == {
        f"{prefix}/original": ("original", "again"),
        f"{prefix}/smaller": ("smaller",),
    }
    assert {step.dataset_name for step in found.values()} == {"coco_val2017"}, "the first that is here"
    assert planned("tiny", accuracy=True, latency=True) == {}
    assert {step.images for step in planned("tiny", end_to_end=True, limit=2).values()} == {2}


def test_a_pipeline_is_timed_once_and_its_parts_are_not(small: Small) -> None:
    small.pipeline()
    assert list(planned("both", end_to_end=True)) == ["both/onnxruntime-fp32/end_to_end/together"]


def test_what_is_seeded_has_no_whole_way(tmp_path: Path, context: Context) -> None:
    Provenance(source="seeded", files={}, licence="unknown", use="any", rehearsal=True).write(tmp_path)
    step = MeasureEndToEnd(parts={}, protocols=("one", "two"), dataset_name="d", dataset=cast(Any, None))
    step.run({"compiled": tmp_path}, tmp_path, context)
    found = reports.read(tmp_path)
    assert isinstance(found, reports.Failure) and (found.word, found.protocols) == ("rehearsal", ("one", "two"))
