"""How fast a pipeline is: as a whole and by stage, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.measure.energy import meter
from zoo.measure.isolated import Isolated
from zoo.measure.latency import timed
from zoo.measure.tally import Tally
from zoo.measure.windows import Feeds
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Stopwatch
from zoo.steps import reports
from zoo.steps.guard import guard_whole
from zoo.steps.part import Part, images_together, joined, opened_all
from zoo.steps.provenance import Provenance
from zoo.steps.timing import Timed, TimedStep, machine_timed


class MeasureWhole(TimedStep, frozen=True, kw_only=True, tag="whole"):
    """Time the way from decoded images to poses, `batch` images a call."""

    parts: dict[str, Part]
    pipeline: Pipeline
    dataset: Dataset
    images: int
    seconds: float = 2.0
    runs: int = 20

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", *(tool for part in self.parts.values() for tool in part.backend.tools))

    def company(self, reads: Mapping[str, str]) -> Hashable:
        """The other targets of its recipe at this batch; a GPU shares no time with the cores."""
        return reads["compiled"].split("/")[0], self.batch, any(part.backend.gpu for part in self.parts.values())

    def unmeasurable(self, given: Mapping[str, Path]) -> reports.Failure | None:
        """Reads `compiled`: seeded weights find a crowd of noise, and all that follows would be timed on it."""
        *leading, _ = self.parts
        if not any(Provenance.read(given["compiled"] / role).rehearsal for role in leading):
            return None
        message = "how long the way takes depends on whom the first network finds, and its weights are seeded"
        return reports.Failure(word="rehearsal", message=message, batch=self.batch)

    def timer(self) -> Callable[..., Timed]:
        """The whole way, and its stages."""
        return time_whole

    def order(self, given: Mapping[str, Path], context: Context) -> tuple[Any, ...]:
        """Reads `compiled` (and `photos`)."""
        opened = self.dataset.open(context, given.get("photos")).subset(self.images)
        return self, given["compiled"], [opened.read(sample) for sample in opened.samples]

    def told(self, isolated: Isolated[Timed], given: Mapping[str, Path], context: Context) -> reports.Latency | reports.Failure:
        """Held against the roof; reads `compiled` and, for each role, `ROLE model`, the ONNX file that its network was made from."""
        found = super().told(isolated, given, context)
        backends = {role: part.backend for role, part in self.parts.items()}
        return guard_whole(found, given, backends, context) if isinstance(found, reports.Latency) else found

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The whole machine, the threads, the images' digest."""
        return {"machine": machine_timed(), "threads": context.threads, "dataset": self.dataset.digest(context)}


def time_whole(step: MeasureWhole, compiled: Path, images: list[NDArray[np.uint8]], *, context: Context) -> Timed:
    """Open the pipeline and time it on `images` in turn, so many a call; runs in a process of its own."""
    watch, spent = Stopwatch(), dict[str, list[float]]()
    # the people of one image share calls as they do where accuracy is measured
    inputs = max(step.batch, images_together(step.parts))
    started = time.perf_counter()
    with ExitStack() as opened:
        tallies = {role: Tally(runner) for role, runner in opened_all(compiled, step.parts, context, opened, 1).items()}
        model = joined(compiled, step.parts, step.pipeline, tallies, batch=inputs)
        load_seconds = time.perf_counter() - started
        made = 0

        def call(feed: Feeds) -> None:
            nonlocal made
            made += 1
            model.many(list(feed.values()), watch)
            for stage, seconds in watch.reset().items():
                spent.setdefault(stage, []).append(seconds)

        # every image begins a call, so each is seen as often as any other, whatever their number and the batch
        feeds = [{f"image {place}": images[(start + place) % len(images)] for place in range(step.batch)} for start in range(len(images))]

        def warm() -> None:
            """What was seen while it warmed up is forgotten."""
            nonlocal made
            made = 0
            spent.clear()
            for tally in tallies.values():
                tally.begin()

        with closing(meter(any(part.backend.gpu for part in step.parts.values()))) as energy:
            timing = timed(call, feeds, batch=step.batch, context=context, seconds=step.seconds, runs=step.runs, warm=warm, meter=energy)
        # an image without people has no hands: a stage that did not run took no time
        stages = tuple(
            reports.Stage(name=stage, median_ms=1e3 * median(seconds + [0.0] * (made - len(seconds)))) for stage, seconds in spent.items()
        )
        asked = tuple(one for role, tally in tallies.items() for one in tally.asked(role, made * step.batch))
        return Timed(timing, {"image": images[0].shape}, model.computed_in, load_seconds, stages=stages, asked=asked)
