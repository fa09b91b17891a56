"""Throughput counts what was really computed, and refuses what cannot have been."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from workspaces import Small, Zoo

from zoo.backends.onnxruntime import OnnxRuntime
from zoo.cli.session import Session
from zoo.context import Context
from zoo.engine.action import Action
from zoo.errors import Cancelled, StepFailed, UsageError
from zoo.measure import throughput
from zoo.measure.throughput import Setting, measure_throughput, settings
from zoo.steps import reports

ROW = "tiny/onnxruntime-fp32/latency"
Tensors = Mapping[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "WINDOW", 0.0)
    monkeypatch.setattr(throughput, "yardstick", lambda threads: 1.0)


@dataclass
class Spec:
    shape: tuple[int, ...]


@dataclass
class Sleeper:
    """A network that sleeps and doubles; `streams` calls at once."""

    seconds: float = 0.0
    streams: int = 1
    threads: int = 1
    stuck: bool = False
    mixed: bool = False
    most: int = 0
    calls: int = 0
    closed: bool = False
    _inside: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _shared: Tensors = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Spec]:
        return {"data": Spec((-1, 3, -1, -1))}

    def __call__(self, feeds: Tensors, /) -> Tensors:
        with self._lock:
            self.calls += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
            self._shared = feeds
        time.sleep(self.seconds)
        with self._lock:
            self._inside -= 1
            told = self._shared if self.mixed else feeds
        return {"out": told["data"] * (0 if self.stuck else 2)}

    def __enter__(self) -> Sleeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


@dataclass
class Opening:
    """Opens sleepers and keeps them."""

    seconds: float = 0.002
    stuck_from: int = 99
    mixed: bool = False
    made: list[Sleeper] = field(default_factory=list)

    def __call__(self, threads: int, streams: int) -> Sleeper:
        self.made.append(Sleeper(self.seconds, streams, threads, stuck=len(self.made) >= self.stuck_from, mixed=self.mixed))
        return self.made[-1]


def feeds(count: int = 3, batch: int = 1) -> list[dict[str, NDArray[Any]]]:
    return [{"data": np.full((batch, 3, 4, 4), index + 1, np.float32)} for index in range(count)]


def test_settings_are_swept_up_to_the_threads() -> None:
    def pairs(*given: Any, gpu: bool = False) -> list[tuple[int, int]]:
        return [(setting.instances, setting.streams) for setting in settings(*given, gpu=gpu)]

    assert pairs(2, (1,), ()) == [(1, 2)]
    assert pairs(6, (1,), ()) == [(1, 2), (1, 4), (1, 6)]
    assert pairs(4, (1, 2), ()) == [(1, 2), (1, 4), (2, 1), (2, 2)]
    assert pairs(1, (1,), ()) == []
    assert pairs(8, (1, 2), (), gpu=True) == [(2, 1)]
    assert pairs(2, (1,), (1, 8)) == [(1, 8)]


def test_every_copy_is_called_by_so_many_at_once_and_every_image_counts_once(context: Context) -> None:
    opening = Opening()
    found = measure_throughput(opening, Setting(instances=2, streams=3), feeds(batch=4), context=context, seconds=0.1)
    assert [(one.most, one.streams, one.closed) for one in opening.made] == [(3, 3, True)] * 2
    assert (found.instances, found.streams, found.batch) == (2, 3, 4)
    # the calls that check and that warm up are not among those that are counted
    untimed = 2 * 2 + 3 + 6 * 3 + 6
    assert found.images == 4 * (sum(one.calls for one in opening.made) - untimed)
    assert found.images_per_second == pytest.approx(found.images / found.seconds)
    assert found.seconds >= 0.1 and 2.0 <= found.median_ms <= found.p90_ms <= found.p99_ms


def test_copies_share_the_threads(context: Context) -> None:
    opening = Opening(0.0)
    given = Context(root=context.root, cache=context.cache, threads=5)
    assert measure_throughput(opening, Setting(instances=2), feeds(), context=given, seconds=0.0).threads == 5
    assert [one.threads for one in opening.made] == [2, 2]


def test_a_slow_network_is_called_three_times_by_each(context: Context) -> None:
    found = measure_throughput(Opening(0.02), Setting(streams=2), feeds(), context=context, seconds=0.0)
    assert found.images == 6


def test_a_copy_whose_outputs_do_not_change_is_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="outputs do not change with the input"):
        measure_throughput(Opening(stuck_from=1), Setting(instances=2), feeds(), context=context)


def test_streams_that_mix_up_their_answers_are_refused(context: Context) -> None:
    opening = Opening(0.01, mixed=True)
    with pytest.raises(StepFailed, match="1 x 3 streams a call was given another call's answer"):
        measure_throughput(opening, Setting(streams=3), feeds(), context=context)
    assert opening.made[0].closed


def test_what_fails_in_one_stream_is_told(context: Context) -> None:
    class Failing(Sleeper):
        def __call__(self, feeds: Tensors, /) -> Tensors:
            if threading.current_thread() is not threading.main_thread():
                raise StepFailed("no memory")
            return super().__call__(feeds)

    with pytest.raises(StepFailed, match="no memory"):
        measure_throughput(lambda threads, streams: Failing(), Setting(streams=2), feeds(), context=context)


def test_a_cancelled_measurement_stops(context: Context) -> None:
    stopped = threading.Event()
    given = Context(root=context.root, cache=context.cache, cancelled=stopped)
    threading.Timer(0.3, stopped.set).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        measure_throughput(Opening(), Setting(streams=2), feeds(), context=given, seconds=60.0)
    assert time.monotonic() - start < 5


def test_a_real_runner_answers_each_stream_what_it_asked(context: Context, tmp_path: Any) -> None:
    import onnx
    from onnx import TensorProto, helper

    shape = ["batch", 3, 4, 4]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["data", "data"], ["out"])],
        "square",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "model.onnx")

    def opened(threads: int, streams: int) -> Any:
        return OnnxRuntime().open(tmp_path, threads=threads, streams=streams)

    found = measure_throughput(opened, Setting(instances=2, streams=2), feeds(batch=2), context=context, seconds=0.05)
    assert found.images >= 2 * 4 * 3


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return Small.entered(tmp_path, monkeypatch)


def planned(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, dict[str, Any], str]:
    """The steps that `bench` would time with, by id; its exit code and what it said."""
    seen: dict[str, Any] = {}

    def stop(_: Session, actions: Sequence[Action], **__: Any) -> None:
        seen.update({action.id: action.step for action in actions if action.step.exclusive})
        raise UsageError("that was all", "")

    monkeypatch.setattr(Session, "carry_out", stop)
    said = zoo("bench", *words)
    return said.code, seen, said.err


def test_bench_passes_on_what_is_asked_for(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("--shape", "3x32x48", "--instances", "1,2", "--streams", "2", "--threads", "4")
    step = planned(zoo, monkeypatch, "tiny", *given)[1][ROW]
    assert (step.height, step.width, step.instances, step.streams) == (32, 48, (1, 2), (2,))
    step = planned(zoo, monkeypatch, "tiny")[1][ROW]
    assert (step.height, step.width, step.instances, step.streams) == (64, 64, (1,), ()), "as eval times it, so that both know it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shape", "32x48"), "'32x48' is no shape: say channels, height and width, as in 3x184x184"),
        (("--shape", "3x0x48"), "'3x0x48' is no shape"),
        (("--shape", "1x32x32"), "tiny cannot be timed at 1x32x32: its input has 3 channels"),
        (("--shape", "3x33x64"), "tiny cannot be timed at 3x33x64: heights and widths have to be multiples of 8"),
        (("--streams", "0"), "'0' is no number of streams"),
        (("--instances", "two"), "'two' is no number of instances"),
        (("--threads", "0"), "--threads"),
        (("--instances", "2", "--streams", "1,3", "--threads", "4"), "6 calls in flight need 6 threads, and there are 4"),
    ],
)
def test_what_cannot_be_timed_is_wrong_usage(
    small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    code, seen, told = planned(zoo, monkeypatch, "tiny", *words)
    assert (code, seen) == (2, {})
    assert said in " ".join(told.split())


def test_what_runs_one_call_at_a_time_has_no_streams(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxRuntime, "gpu", True)
    code, _, told = planned(zoo, monkeypatch, "tiny", "--streams", "2", "--threads", "4")
    assert code == 2 and "onnxruntime-fp32 runs one call of a copy at a time" in told
    assert planned(zoo, monkeypatch, "tiny", "--instances", "2", "--threads", "1")[1][ROW].instances == (2,)


def test_a_target_of_one_size_takes_no_other(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = "{type: height, height: 64, multiple: 8, place: center, min_width: 64}"
    stretched = (fit, "{type: stretch, width: 64, height: 64, interpolation: cubic}")
    small.recipe(("  onnxruntime-fp32:\n", "  onnxruntime-fp32: {shape: [64, 64]}\n"), stretched)
    code, _, told = planned(zoo, monkeypatch, "tiny", "--shape", "3x32x64")
    assert code == 2 and "onnxruntime-fp32 is built for 64x64" in told
    assert planned(zoo, monkeypatch, "tiny", "--shape", "3x64x64")[1][ROW].height == 64


def test_a_pipeline_has_no_settings(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small.pipeline()
    code, _, told = planned(zoo, monkeypatch, "both", "--streams", "2")
    assert code == 2 and "both is a pipeline" in told


def test_a_latency_says_every_setting_and_which_is_best() -> None:
    timing = dict.fromkeys(("seconds", "p90_ms", "p99_ms", "mean_ms", "yardstick_before_ms", "yardstick_after_ms", "spread"), 1.0)
    one = {
        "instances": 1,
        "streams": 2,
        "threads": 2,
        "batch": 1,
        "images": 9,
        "seconds": 1.0,
        "median_ms": 2.0,
        "p90_ms": 2.0,
        "p99_ms": 2.0,
    }
    fields = {
        "timing": {
            **timing,
            "runs": 5, "batch": 1, "images": 5, "median_ms": 1.5, "images_per_second": 5.0, "warmup_runs": 3, "others_cores": None,
        },
        "throughput": [{**one, "images_per_second": 9.0}],
        "threads": 2, "shapes": {"data": [1, 3, 4, 4]}, "peak_memory_bytes": 1, "size_bytes": 1, "computed_in": "fp32",
        "machine": {"cpu": "A", "architecture": "x", "isa": [], "cores": 2, "threads": 2, "memory_bytes": None},
    }  # fmt: skip
    found = msgspec.convert({"type": "latency", **fields}, reports.Latency)
    assert [(way.streams, way.images_per_second, way.median_ms) for way in found.settings] == [(1, 5.0, 1.5), (2, 9.0, 2.0)]
    assert found.best.streams == 2
    older = msgspec.convert({"type": "latency", **fields, "throughput": []}, reports.Latency)
    assert (older.best.streams, older.load_seconds) == (1, None)
