"""How fast a pipeline is: as a whole and by stage, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.measure.energy import meter
from zoo.measure.isolated import run_isolated
from zoo.measure.latency import timed
from zoo.measure.windows import Feeds
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Stopwatch
from zoo.steps import reports
from zoo.steps.part import Part, images_together, open_model
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.steps.timing import Timed, machine_timed, report


class MeasureWhole(Step, frozen=True, kw_only=True, tag="whole"):
    """Time the way from decoded images to poses, `batch` images a call."""

    exclusive: ClassVar[bool] = True

    parts: dict[str, Part]
    pipeline: Pipeline
    dataset: Dataset
    images: int
    batch: int = 1
    seconds: float = 2.0
    runs: int = 20

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", *(tool for part in self.parts.values() for tool in part.backend.tools))

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`); writes report.json."""
        compiled = given["compiled"]
        *leading, _ = self.parts
        if any(Provenance.read(compiled / role).rehearsal for role in leading):
            # seeded weights find a crowd of noise, and all that follows would be timed on it
            message = "how long the way takes depends on whom the first network finds, and its weights are seeded"
            reports.write(reports.Failure(word="rehearsal", message=message, batch=self.batch), out)
            return
        opened = self.dataset.open(context, given.get("photos")).subset(self.images)
        images = [opened.read(sample) for sample in opened.samples]
        isolated = run_isolated(time_whole, self, compiled, images, context=context)
        reports.write(report(isolated, compiled, self.tools(), context), out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The whole machine, the threads, the images' digest."""
        return {"machine": machine_timed(), "threads": context.threads, "dataset": self.dataset.digest(context)}


def time_whole(step: MeasureWhole, compiled: Path, images: list[NDArray[np.uint8]], *, context: Context) -> Timed:
    """Open the pipeline and time it on `images` in turn, so many a call; runs in a process of its own."""
    watch, spent = Stopwatch(), dict[str, list[float]]()
    # the people of one image share calls as they do where accuracy is measured
    inputs = max(step.batch, images_together(step.parts))
    started = time.perf_counter()
    with open_model(compiled, step.parts, step.pipeline, context, batch=inputs) as model:
        load_seconds = time.perf_counter() - started

        def call(feed: Feeds) -> None:
            model.many(list(feed.values()), watch)
            for stage, seconds in watch.reset().items():
                spent.setdefault(stage, []).append(seconds)

        # every image begins a call, so each is seen as often as any other, whatever their number and the batch
        feeds = [{f"image {place}": images[(start + place) % len(images)] for place in range(step.batch)} for start in range(len(images))]
        # the stages of the calls that were made to warm up are forgotten
        with closing(meter(any(part.backend.gpu for part in step.parts.values()))) as energy:
            timing = timed(
                call, feeds, batch=step.batch, context=context, seconds=step.seconds, runs=step.runs, warm=spent.clear, meter=energy
            )
        # an image without people has no hands: a stage that did not run took no time
        stages = tuple(
            reports.Stage(name=stage, median_ms=1e3 * median(seconds + [0.0] * (timing.runs - len(seconds))))
            for stage, seconds in spent.items()
        )
        return Timed(timing, {"image": images[0].shape}, model.computed_in, load_seconds, stages=stages)
