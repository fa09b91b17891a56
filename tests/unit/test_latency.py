"""A timing that can be believed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.context import Context
from zoo.errors import Cancelled, StepFailed
from zoo.measure import windows
from zoo.measure.latency import Timing, bound_batch, measure, noise, summarise
from zoo.measure.quiet import Neighbours, yardstick
from zoo.measure.windows import Taken, interval
from zoo.steps.latency import batched


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of one call, after the first of which any median is close enough: a test asks for what it is about."""
    monkeypatch.setattr(windows, "WINDOW", 0.0)
    monkeypatch.setattr(windows, "CALLS", 1)
    monkeypatch.setattr(windows, "close", lambda times: True)
    monkeypatch.setattr(windows, "yardstick", lambda threads: 1.0)


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
    monkeypatch.setattr(windows, "LONG", 0.005)
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


def summary(milliseconds: list[float], shapes: list[Any] | None = None) -> Timing:
    times = [round(value * 1e6) for value in milliseconds]
    return summarise(Taken(times, yardsticks=[1.0, 1.0]), shapes or [0] * len(times), batch=1, warmup_runs=3)


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


def test_a_machine_that_was_disturbed_in_the_middle_is_noise(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([1.0, 1.0, 1.3, 1.02, 1.0])
    monkeypatch.setattr(windows, "yardstick", lambda threads: next(found))
    timing = measure(Sleeper(0.001), feeds(), seconds=0.0, runs=4, warmup=0.0, context=context)
    assert timing.yardstick_between_ms == (1.0, 1.3, 1.02)
    assert "a fixed piece of work took 1.00 ms before, 1.00 to 1.30 ms between windows and 1.00 ms after" in timing.noise


def test_windows_go_on_until_the_median_is_known(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def close(times: list[int]) -> bool:
        asked.append(len(times))
        return len(asked) == 5

    monkeypatch.setattr(windows, "CALLS", 3)
    monkeypatch.setattr(windows, "close", close)
    timing = measure(Sleeper(), feeds(), seconds=0.0, runs=6, warmup=0.0, context=context)
    assert asked == [6, 9, 12, 15, 18], "nothing is asked before there are as many calls as were wished for"
    assert (timing.runs, timing.windows) == (18, 6)


def test_a_window_lasts_as_long_as_it_has_to(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW", 0.02)
    monkeypatch.setattr(windows, "CALLS", 3)
    assert measure(Sleeper(0.001), feeds(), seconds=0.0, runs=1, warmup=0.0, context=context).runs >= 10
    assert measure(Sleeper(0.02), feeds(), seconds=0.0, runs=1, warmup=0.0, context=context).runs == 3


def test_a_median_that_is_never_known_ends_when_time_is_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "close", lambda times: False)
    monkeypatch.setattr(windows, "LONG", 0.1)
    assert 0.1 <= measure(Sleeper(0.001), feeds(), seconds=0.0, runs=20, warmup=0.0, context=context).seconds < 1.0


@pytest.mark.parametrize(("count", "low", "high"), [(6, 0, 5), (9, 1, 7), (10, 1, 8), (20, 5, 14), (100, 39, 60), (1000, 468, 531)])
def test_the_interval_of_the_median_is_that_of_the_sign_test(count: int, low: int, high: int) -> None:
    values = [float(value) for value in range(count)][::-1]
    assert interval(values) == (low, high)
    assert at_most(low, count) <= 0.025 < at_most(low + 1, count), "as narrow as 95 % allow"


def at_most(most: int, count: int) -> float:
    """The probability of at most so many heads of `count` coins."""
    return sum(math.comb(count, heads) for heads in range(most + 1)) / 2**count


def test_many_values_and_few_have_the_interval_that_belongs_to_them() -> None:
    assert interval([1.0] * 5) is None
    found = [interval([float(value) for value in range(count)]) for count in (1000, 1001)]
    assert found[0] == (468.0, 531.0) and found[1] == (468.0, 532.0), "exact and approximate ranks meet"


def test_the_interval_holds_the_median_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    found = [interval(random.exponential(size=41).tolist()) for _ in range(2000)]
    held = [low <= math.log(2) <= high for low, high in filter(None, found)]
    assert 0.94 < sum(held) / len(held) < 0.98


def test_a_median_is_close_when_its_interval_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert windows.close([1000 + value % 10 for value in range(100)])
    assert not windows.close([1000 + 3 * value for value in range(100)])
    assert not windows.close([1000] * 5), "too few for an interval"


def test_a_neighbour_who_was_there_all_along_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.machine.cores", lambda: 2)
    assert noise((1.0, 1.0), 1.0, 0.9) == ("others used 0.90 of 2 cores",)


def test_neighbours_are_what_is_busy_and_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr("zoo.measure.quiet.affinity", lambda: (0, 2))
    clock = iter((100.0, 101.0, 500.0, 501.0))
    monkeypatch.setattr("zoo.measure.quiet.time.monotonic", lambda: next(clock))
    stat.write_text("cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n")
    neighbours = Neighbours(stat)
    with neighbours:
        # core 1 is not ours to use; idle and waiting are not work
        stat.write_text("cpu0 5000 0 0 77 77 0 0 0 0 0\ncpu1 9999 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 5000 0 0\n")
    # what is done between two windows is not counted
    stat.write_text("cpu0 90000 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 5000 0 0\n")
    with neighbours:
        stat.write_text("cpu0 95000 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 10000 0 0\n")
    assert neighbours.cores() == pytest.approx(100.0, rel=0.05)


def test_without_proc_stat_nothing_is_said_of_neighbours(tmp_path: Path) -> None:
    with Neighbours(tmp_path / "none") as neighbours:
        pass
    assert neighbours.cores() is None


def test_the_yardstick_takes_time_on_one_thread_and_on_two() -> None:
    assert yardstick(1) > 0
    assert yardstick(2) > 0


def test_a_cancelled_measurement_stops(context: Context) -> None:
    stopped = Event()
    stopped.set()
    with pytest.raises(Cancelled):
        measure(Sleeper(), feeds(), context=Context(root=context.root, cache=context.cache, cancelled=stopped))


def test_others_have_a_window_before_each_of_ours_and_the_call_after_theirs_does_not_count(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []

    def turn() -> bool:
        turns.append(len(runner.calls))
        return len(turns) in (1, 3)

    runner = Sleeper()
    taken = windows.take(runner, feeds(), context=replace(context, turn=turn), seconds=0.0, runs=4)
    # call 0 and that after the second window do not count
    assert (taken.windows, turns, len(runner.calls), len(taken.times)) == (4, [0, 2, 3, 5], 6, 4)
    assert runner.calls == [1.0, 1.0, 2.0, 1.0, 1.0, 2.0]
