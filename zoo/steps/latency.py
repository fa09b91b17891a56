"""How fast the network alone is, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from zoo.backends import Backend
from zoo.context import Context
from zoo.machine import describe, versions
from zoo.measure.isolated import run_isolated
from zoo.measure.latency import Timing, measure
from zoo.pose.fits import Box, Fit, Stretch
from zoo.steps import reports
from zoo.steps.bundle import model_size, preprocess
from zoo.steps.images import Views
from zoo.steps.step import Step

IMAGES = 4  # different ones, so that nothing can be remembered between two calls


class MeasureLatency(Step, frozen=True, kw_only=True, tag="latency"):
    """Time the network on real images at one size."""

    exclusive: ClassVar[bool] = True

    backend: Backend
    views: Views
    batch: int
    height: int
    width: int
    seconds: float = 2.0
    runs: int = 50

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", *self.backend.tools)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`, `boxes`); writes report.json."""
        compiled = given["compiled"]
        ready = preprocess(compiled)
        ready = ready.with_fit(self._fit(ready.fit))
        tensors = [tensor for _, feed in self.views.feeds(given, IMAGES * self.batch, ready, "image", context) for tensor in feed.values()]
        while len(tensors) < (2 * self.batch):
            tensors += tensors
        batches = [np.concatenate(tensors[start : start + self.batch]) for start in range(0, len(tensors) - self.batch + 1, self.batch)]
        isolated = run_isolated(time_network, self.backend, compiled, batches, self.seconds, self.runs, context=context)
        timing, shapes, computed_in = isolated.value
        report = reports.Latency(
            timing=timing,
            threads=context.threads,
            shapes=shapes,
            peak_memory_bytes=isolated.peak_memory,
            size_bytes=model_size(compiled),
            machine=describe(),
            computed_in=computed_in,
            digests={"compiled": compiled.name},
            versions=dict(versions(self.tools())),
        )
        reports.write(report, out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The whole machine, the threads, the images' digest."""
        return {"machine": describe(), "threads": context.threads, **self.views.facts(context)}

    def _fit(self, own: Fit) -> Fit:
        """Boxes are cut as they are, and whole images stretched, to the size that is timed."""
        if isinstance(own, Box):
            return msgspec.structs.replace(own, width=self.width, height=self.height)
        return Stretch(width=self.width, height=self.height)


def time_network(
    backend: Backend, compiled: Path, batches: list[NDArray[np.float32]], seconds: float, runs: int, *, context: Context
) -> tuple[Timing, dict[str, tuple[int, ...]], str]:
    """Open the model at the batches' shape and time it; runs in a process of its own."""
    shape = batches[0].shape
    with backend.open(compiled, threads=context.threads, shape={"": shape}) as runner:
        name = next(iter(runner.inputs))
        timing = measure(runner, [{name: batch} for batch in batches], context=context, seconds=seconds, runs=runs)
        return timing, {name: shape}, runner.computed_in
