"""How fast the network alone is, one call after another and several at once, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from zoo.backends import Backend
from zoo.backends.runner import Runner
from zoo.context import Context
from zoo.machine import peak_memory
from zoo.measure.energy import meter
from zoo.measure.isolated import Isolated
from zoo.measure.latency import measure
from zoo.measure.throughput import measure_throughput, settings
from zoo.pose.fits import Box, Fit, Stretch
from zoo.pose.preprocess import Tensor
from zoo.steps import reports
from zoo.steps.bundle import preprocess
from zoo.steps.guard import guard
from zoo.steps.images import Views
from zoo.steps.timing import Timed, TimedStep, machine_timed

IMAGES = 4  # different ones, so that nothing can be remembered between two calls


class MeasureLatency(TimedStep, frozen=True, kw_only=True, tag="latency"):
    """Time the network on real images at one size."""

    backend: Backend
    views: Views
    height: int
    width: int
    seconds: float = 2.0
    runs: int = 50
    instances: tuple[int, ...] = (1,)
    """Copies of the model in the settings that throughput is measured in."""
    streams: tuple[int, ...] = ()
    """Calls in flight of each copy there; empty: swept (`zoo.measure.throughput.settings`)."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", *self.backend.tools)

    def company(self, reads: Mapping[str, str]) -> Hashable:
        """The other targets of its recipe at this batch and size; a GPU shares no time with the cores."""
        return reads["compiled"].split("/")[0], self.batch, self.height, self.width, self.backend.gpu

    def timer(self) -> Callable[..., Timed]:
        """One call after another, and several at once."""
        return time_network

    def order(self, given: Mapping[str, Path], context: Context) -> tuple[Any, ...]:
        """Reads `compiled` (and `photos`, `boxes`)."""
        return self, given["compiled"], self.batches(given, context)

    def told(self, isolated: Isolated[Timed], given: Mapping[str, Path], context: Context) -> reports.Latency | reports.Failure:
        """Held against the roof; reads `compiled` and `model`, the ONNX file that it was made from."""
        found = super().told(isolated, given, context)
        return guard(found, given, self.backend, context) if isinstance(found, reports.Latency) else found

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The whole machine, the threads, the images' digest."""
        return {"machine": machine_timed(), "threads": context.threads, **self.views.facts(context)}

    def batches(self, given: Mapping[str, Path], context: Context) -> list[Tensor]:
        """What is bound in turn, (batch, 3, height, width) each; reads what `run` reads."""
        ready = preprocess(given["compiled"])
        ready = ready.with_fit(self._fit(ready.fit))
        seen = self.views.feeds(given, max(IMAGES, self.batch + 1), ready, "image", context)
        return batched([tensor for _, feed in seen for tensor in feed.values()], self.batch)

    def _fit(self, own: Fit) -> Fit:
        """Boxes are cut as they are, and whole images stretched, to the size that is timed."""
        if isinstance(own, Box):
            return msgspec.structs.replace(own, width=self.width, height=self.height)
        return Stretch(width=self.width, height=self.height)


def batched(tensors: Sequence[Tensor], batch: int) -> list[Tensor]:
    """IMAGES batches of one tensor (1, ...) each, or two of more: they lie in the memory that is measured.

    Each begins with another tensor, so that they differ however few there are; a short list begins again."""
    count = max(2, IMAGES // batch)
    return [np.concatenate([tensors[(start + place) % len(tensors)] for place in range(batch)]) for start in range(count)]


def time_network(step: MeasureLatency, compiled: Path, batches: list[NDArray[np.float32]], *, context: Context) -> Timed:
    """Open the model at the batches' shape and time it, one call after another and then several at once; runs in a process of
    its own."""
    shape = batches[0].shape
    gpu = step.backend.gpu

    def opened(threads: int, streams: int) -> Runner:
        return step.backend.open(compiled, threads=threads, streams=streams, shape={"": shape})

    started = time.perf_counter()
    with opened(context.threads, 1) as runner, closing(meter(gpu)) as energy:
        load_seconds = time.perf_counter() - started
        name = next(iter(runner.inputs))
        feeds = [{name: batch} for batch in batches]
        timing = measure(runner, feeds, context=context, seconds=step.seconds, runs=step.runs, meter=energy)
        peak = peak_memory()  # of one copy, before there are more
        computed_in = runner.computed_in
    several = []
    for setting in settings(context.threads, step.instances, step.streams, gpu=gpu):
        with closing(meter(gpu)) as energy:
            several.append(measure_throughput(opened, setting, feeds, context=context, meter=energy))
    return Timed(timing, {name: shape}, computed_in, load_seconds, peak, throughput=tuple(several))
