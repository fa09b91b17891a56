"""A timing that can be believed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.context import Context
from zoo.errors import Cancelled, StepFailed
from zoo.measure import latency
from zoo.measure.latency import bound_batch, measure, noise, summarise
from zoo.measure.quiet import Neighbours, yardstick
from zoo.steps.latency import batched


@dataclass
class Spec:
    shape: tuple[int, ...]


@dataclass
class Sleeper:
    """A network that takes `seconds` and doubles its input."""

    seconds: float = 0.0
    fixed: int = -1
    stuck: bool = False
    one_image_out: bool = False
    calls: list[float] = field(default_factory=list)

    @property
    def inputs(self) -> Mapping[str, Spec]:
        return {"data": Spec((self.fixed, 3, -1, -1))}

    def __call__(self, feeds: Mapping[str, NDArray[Any]], /) -> Mapping[str, NDArray[Any]]:
        self.calls.append(float(feeds["data"].flat[0]))
        time.sleep(self.seconds)
        value = feeds["data"] * (0 if self.stuck else 2)
        return {"out": value[:1] if self.one_image_out else value}


def feeds(count: int = 2, batch: int = 1) -> list[dict[str, NDArray[Any]]]:
    return [{"data": np.full((batch, 3, 4, 4), index + 1, np.float32)} for index in range(count)]


def test_it_runs_at_least_so_many_calls_and_cycles_through_the_inputs(context: Context) -> None:
    runner = Sleeper()
    timing = measure(runner, feeds(3), seconds=0.0, runs=20, warmup=0.0, context=context)
    assert timing.runs == 20
    assert runner.calls[-6:] in ([1.0, 2.0, 3.0] * 2, [2.0, 3.0, 1.0] * 2, [3.0, 1.0, 2.0] * 2)


def test_it_runs_at_least_so_long(context: Context) -> None:
    timing = measure(Sleeper(0.002), feeds(), seconds=0.1, runs=1, warmup=0.0, context=context)
    assert timing.seconds >= 0.1
    assert timing.runs > 1
    assert 2.0 <= timing.median_ms <= timing.p90_ms <= timing.p99_ms


@pytest.mark.parametrize(("runs", "made"), [(50, 10), (3, 3)])
def test_a_network_so_slow_that_it_takes_too_long_makes_fewer_calls(
    context: Context, monkeypatch: pytest.MonkeyPatch, runs: int, made: int
) -> None:
    monkeypatch.setattr(latency, "LONG", 0.005)
    timing = measure(Sleeper(0.001), feeds(), seconds=0.0, runs=runs, warmup=0.0, context=context)
    assert timing.runs == made


@pytest.mark.parametrize(("tensors", "batch", "count"), [(4, 1, 4), (9, 8, 2), (4, 8, 2), (33, 32, 2), (2, 32, 2), (4, 3, 2)])
def test_batches_differ_however_few_images_there_are(tensors: int, batch: int, count: int) -> None:
    found = batched([np.full((1, 3, 2, 2), index, np.float32) for index in range(tensors)], batch)
    assert [one.shape for one in found] == [(batch, 3, 2, 2)] * count
    assert len({one.tobytes() for one in found}) == count
    assert {*np.concatenate(found)[:, 0, 0, 0]} == {*range(tensors)}, "every image is seen"


def test_images_are_counted_in_the_bound_tensors(context: Context) -> None:
    timing = measure(Sleeper(0.001), feeds(batch=8), seconds=0.0, runs=10, warmup=0.0, context=context)
    assert (timing.batch, timing.images) == (8, 80)
    assert timing.images_per_second == pytest.approx(80 / timing.seconds)


def test_a_fixed_batch_is_never_multiplied(context: Context) -> None:
    with pytest.raises(StepFailed, match="data is fixed at 1 images a call and was given 32"):
        measure(Sleeper(fixed=1), feeds(batch=32), context=context)


def test_outputs_that_hold_fewer_images_are_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="outputs hold 1 images where 4 were given"):
        measure(Sleeper(one_image_out=True), feeds(batch=4), context=context)


def test_outputs_that_do_not_change_with_the_input_are_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="outputs do not change with the input"):
        measure(Sleeper(stuck=True), feeds(), context=context)


def test_a_runner_that_hands_out_one_buffer_again_is_not_taken_for_stuck(context: Context) -> None:
    class Reusing(Sleeper):
        buffer = np.zeros((1, 3, 4, 4), np.float32)

        def __call__(self, feeds: Mapping[str, NDArray[Any]], /) -> Mapping[str, NDArray[Any]]:
            self.buffer[...] = feeds["data"]
            return {"out": self.buffer}

    assert measure(Reusing(), feeds(), seconds=0.0, runs=2, warmup=0.0, context=context).runs == 2


def test_equal_inputs_are_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="all inputs are equal"):
        measure(Sleeper(), [feeds()[0]] * 3, context=context)


def test_inputs_of_different_batches_are_refused() -> None:
    with pytest.raises(StepFailed, match="1, 2 images a call"):
        bound_batch(Sleeper(), [feeds()[0], feeds(batch=2)[0]])
    with pytest.raises(StepFailed, match="nothing to time"):
        bound_batch(Sleeper(), [])


def test_warming_up_is_bounded_for_times_that_never_settle(context: Context) -> None:
    class Restless(Sleeper):
        def __call__(self, feeds: Mapping[str, NDArray[Any]], /) -> Mapping[str, NDArray[Any]]:
            time.sleep(0.001 * 1.3 ** len(self.calls))
            return super().__call__(feeds)

    timing = measure(Restless(), feeds(), seconds=0.0, runs=1, warmup=0.2, context=context)
    assert 3 <= timing.warmup_runs < 40


def summary(milliseconds: list[float], shapes: list[Any] | None = None) -> latency.Timing:
    times = [round(value * 1e6) for value in milliseconds]
    return summarise(times, shapes or [0] * len(times), batch=1, warmup_runs=3, yardsticks=(1.0, 1.0), others=None)


def test_percentiles_are_those_of_the_calls() -> None:
    timing = summary([float(value) for value in range(1, 102)])
    assert (timing.median_ms, timing.p90_ms, timing.p99_ms, timing.mean_ms) == pytest.approx((51, 91, 100, 51))
    assert timing.images_per_second == pytest.approx(1000 / 51)


def test_a_long_tail_is_noise() -> None:
    assert not summary([10.0] * 100).noisy
    assert summary([10.0] * 80 + [20.0] * 20).noise == ("p90 is 2.00 times p50",)


def test_images_of_other_sizes_are_not_noise() -> None:
    assert not summary([10.0, 20.0] * 50, ["small", "large"] * 50).noisy
    assert summary([10.0, 20.0] * 50).noisy


@pytest.mark.parametrize("yardsticks", [(1.0, 1.2), (1.2, 1.0)])
def test_a_machine_that_changed_meanwhile_is_noise(yardsticks: tuple[float, float]) -> None:
    assert "before and" in noise(yardsticks, 1.0, None)[0]
    assert noise((1.0, 1.05), 1.2, 0.0) == ()


def test_a_neighbour_who_was_there_all_along_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.machine.cores", lambda: 2)
    assert noise((1.0, 1.0), 1.0, 0.9) == ("others used 0.90 of 2 cores",)


def test_neighbours_are_what_is_busy_and_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr("zoo.measure.quiet.affinity", lambda: (0, 2))
    clock = iter((100.0, 102.0))
    monkeypatch.setattr("zoo.measure.quiet.time.monotonic", lambda: next(clock))
    stat.write_text("cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n")
    neighbours = Neighbours(stat)
    # core 1 is not ours to use; idle and waiting are not work
    stat.write_text("cpu0 10000 0 0 77 77 0 0 0 0 0\ncpu1 9999 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 10000 0 0\n")
    assert neighbours.cores() == pytest.approx(100.0, rel=0.05)


def test_without_proc_stat_nothing_is_said_of_neighbours(tmp_path: Path) -> None:
    assert Neighbours(tmp_path / "none").cores() is None


def test_the_yardstick_takes_time_on_one_thread_and_on_two() -> None:
    assert yardstick(1) > 0
    assert yardstick(2) > 0


def test_a_cancelled_measurement_stops(context: Context) -> None:
    stopped = Event()
    stopped.set()
    with pytest.raises(Cancelled):
        measure(Sleeper(), feeds(), context=Context(root=context.root, cache=context.cache, cancelled=stopped))
