"""How fast the network alone is, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from zoo.backends import Backend
from zoo.context import Context
from zoo.measure.energy import meter
from zoo.measure.isolated import run_isolated
from zoo.measure.latency import measure
from zoo.pose.fits import Box, Fit, Stretch
from zoo.pose.preprocess import Tensor
from zoo.steps import reports
from zoo.steps.bundle import preprocess
from zoo.steps.images import Views
from zoo.steps.step import Step
from zoo.steps.timing import Timed, machine_timed, report

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
        batches = self.batches(given, context)
        isolated = run_isolated(time_network, self.backend, compiled, batches, self.seconds, self.runs, context=context)
        reports.write(report(isolated, compiled, self.tools(), context), out)

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


def time_network(backend: Backend, compiled: Path, batches: list[Tensor], seconds: float, runs: int, *, context: Context) -> Timed:
    """Open the model at the batches' shape and time it; runs in a process of its own."""
    shape = batches[0].shape
    started = time.perf_counter()
    with backend.open(compiled, threads=context.threads, shape={"": shape}) as runner, closing(meter(backend.gpu)) as energy:
        load_seconds = time.perf_counter() - started
        name = next(iter(runner.inputs))
        timing = measure(runner, [{name: batch} for batch in batches], context=context, seconds=seconds, runs=runs, meter=energy)
        return Timed(timing, {name: shape}, runner.computed_in, load_seconds)
