"""An opened model that is timed in two ways: the whole way from files to poses, and its network alone with what that was fed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.backends.runner import Runner
from zoo.context import Context
from zoo.datasets.images import Sample, called_together
from zoo.errors import StepFailed
from zoo.faults import naming
from zoo.measure.latency import check_alive
from zoo.pipelines.estimator import Image, OneNetwork, PoseModel
from zoo.pose.keypoints import Poses
from zoo.stream import Layout, flow

T = TypeVar("T")
Feeds = Mapping[str, NDArray[Any]]
Chunk = Sequence[Sample]
#: reads a chunk: its images, and for a network that looks at boxes whom it is shown
Look = Callable[[Chunk], tuple[list[Image], list[Poses] | None]]


class Opened:
    """A model in one layout, and the two ways in which it is timed."""

    def __init__(self, model: PoseModel, layout: Layout, look: Look, context: Context) -> None:
        self.layout, self._look, self._context = layout, look, context
        self.tap = Tap(model.runner) if isinstance(model, OneNetwork) else None
        self.model = replace(model, runner=self.tap) if isinstance(model, OneNetwork) and self.tap else model

    def close(self) -> None:
        """Close the model."""
        self.model.close()

    def listen(self, chunks: Sequence[Chunk], seconds: float, workers: int) -> tuple[list[Chunk], list[list[Feeds]], float]:
        """The first of `chunks` that take about `seconds` together, as many for each of the workers; what the network is fed of
        each, and the seconds that one takes when as many as may run at once."""
        self._found(chunks[0])
        feeds: list[list[Feeds]] = []
        times: list[float] = []
        while len(feeds) < len(chunks) and (len(feeds) % workers or sum(times) / self.layout.streams < seconds):
            self._context.report("warming up", len(feeds))
            fed: list[Feeds] = []
            if self.tap:
                self.tap.kept = fed
            started = time.perf_counter()
            self._found(chunks[len(feeds)])
            times.append(time.perf_counter() - started)
            feeds.append(fed)
        if self.tap:
            self.tap.kept = None
            some = next((feed for several in feeds for feed in several), None)
            if some is None:
                raise StepFailed("there is no box in any of the images", "name another source with `boxes:`, or let it keep lower scores")
            nothing = {name: np.zeros_like(tensor) for name, tensor in some.items()}
            check_alive(self.tap, [some, nothing], next(iter(some.values())).shape[0])
        return list(chunks[: len(feeds)]), feeds, median(times) / self.layout.streams

    def whole(self, chunks: Sequence[Chunk], feeds: Sequence[Sequence[Feeds]]) -> float:
        """Images a second from files to poses.

        Raises StepFailed where the network was not called as often as `feeds` says: what it had remembered was timed."""
        before = self.tap.calls if self.tap else 0
        rate = self._rate(chunks, self._found, self.layout.workers, chunks)
        needed = sum(map(len, around(feeds, self.layout.workers)))
        if self.tap and (made := self.tap.calls - before) != needed:
            raise StepFailed(
                f"the whole way called its network {made} times where its images need {needed} calls",
                "a model that remembers what it has seen is not timed",
            )
        return rate

    def alone(self, chunks: Sequence[Chunk], feeds: Sequence[Sequence[Feeds]]) -> float:
        """Images a second of the network, given `feeds`, what it is fed of `chunks`."""
        tap = self.tap
        assert tap is not None  # a pipeline has none, and no turn of this kind

        def call(several: Sequence[Feeds]) -> None:
            for feed in several:
                tap(feed)

        return self._rate(feeds, call, self.layout.streams, chunks)

    def _found(self, chunk: Chunk) -> None:
        try:
            images, boxes = self._look(chunk)
            poses = self.model.many(images, boxes=boxes)
        except Exception as error:
            raise naming(error, called_together(chunk)) from None
        if len(poses) != len(images):
            raise StepFailed("the model gave poses of other images than it was given", "this is a fault of its pipeline")

    def _rate(self, items: Sequence[T], work: Callable[[T], None], workers: int, chunks: Sequence[Chunk]) -> float:
        """Images a second once all workers are at work: from when each has done an item, which is not counted, to the last."""
        ended: list[float] = []

        def done(item: T) -> None:
            work(item)
            ended.append(time.perf_counter())  # by the worker itself: who takes the results may come late

        for _ in flow(around(items, workers), done, workers=workers, context=self._context):
            pass
        ended.sort()
        return sum(map(len, chunks)) / (ended[-1] - ended[workers - 1])


def around(items: Sequence[T], workers: int) -> list[T]:
    """`items` with the last `workers` of them in front as well."""
    return [*(items[place % len(items)] for place in range(-workers, 0)), *items]


class Tap(Runner):
    """A runner that is listened to: how often it is called, and while `kept` is a list with what."""

    def __init__(self, runner: Runner) -> None:
        self.inputs, self.outputs, self._runner = runner.inputs, runner.outputs, runner
        self._lock = threading.Lock()
        self.calls = 0
        self.kept: list[Feeds] | None = None

    @property
    def computed_in(self) -> str:
        """What the runner says."""
        return self._runner.computed_in

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once, as the runner does."""
        with self._lock:
            self.calls += 1
            if self.kept is not None:
                self.kept.append({name: np.array(tensor) for name, tensor in feeds.items()})
        return self._runner(feeds)

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return self._runner(feeds)

    def close(self) -> None:
        """Close the runner."""
        self._runner.close()
