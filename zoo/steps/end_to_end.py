"""How fast the whole way from image files to poses is, and what is left there of the speed of its network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Literal, NamedTuple

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import BadImage, Images
from zoo.errors import StepFailed
from zoo.machine import describe, versions
from zoo.measure.isolated import run_isolated
from zoo.measure.latency import DRIFT, noise
from zoo.measure.turns import ROUNDS, Turns, in_turns
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Image, PoseModel
from zoo.pose.keypoints import Poses
from zoo.steps import reports
from zoo.steps.part import Part, images_together, layouts_of, open_model
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.steps.timing import machine_timed
from zoo.steps.whole_way import Chunk, Look, Opened
from zoo.stream import Layout

Kind = Literal["whole", "network"]

PARTS = 6
"""A turn takes this part of the seconds that the rounds take."""
LONG = 60.0
"""Seconds of turns that the slowest of models may take beyond the fewest that there can be."""
IMPOSSIBLE = 1.10
"""The share of the network's speed above which, in every round, something else than the whole way was timed."""
FASTER = 1.02
"""That above which the machine was not the same for both."""


class MeasureEndToEnd(Step, frozen=True, kw_only=True, tag="end_to_end"):
    """Time reading, decoding of JPEG, preparing, network and decoding of poses, overlapped as `zoo eval` and `zoo predict` do it,
    in turns with the network alone on the very tensors that the same images give.

    Both have the layout that is the fastest for each in one turn, out of the same: so the share cannot flatter. What is alone
    makes the same calls as the whole way. The images are the first of the dataset, over and over, so their files are in the
    system's memory. An item that takes very long is timed in the first layout only, and the report names no other."""

    exclusive: ClassVar[bool] = True
    measures: ClassVar[bool] = True

    parts: dict[str, Part]
    """Role -> network; one that is no pipeline's has the role `ALONE`."""
    pipeline: Pipeline | None = None
    """No network of several is the one that the whole could be held against: its share is not measured."""
    protocols: tuple[str, ...]
    """The names of those in which images become poses this way."""
    dataset_name: str
    dataset: Dataset
    boxes: Boxes | None = None
    """Whom a network that looks at boxes is shown."""
    images: int = 32
    """At most; fewer of them where a turn has no time for more."""
    skip_bad_images: bool = False
    seconds: float = 4.5
    """Of the rounds, of a model however fast; a slow one takes as many as it needs."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", *(tool for part in self.parts.values() for tool in part.backend.tools))

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`, and a detector's `boxes`); writes report.json."""
        compiled = given["compiled"]
        if Provenance.read(compiled).rehearsal:
            message = "the weights are seeded: there is nobody to find, and to decode that is no measure"
            reports.write(reports.Failure(word="rehearsal", message=message, protocols=self.protocols), out)
            return
        images = self._readable(self.dataset.open(context, given.get("photos")).subset(self.images))
        people = self.boxes.read(self.dataset, images, given.get("boxes"), context) if self.boxes else None
        compared = run_isolated(time_end_to_end, self, compiled, images, people, context=context).value
        digests = {"compiled": compiled.name, "images": images.digest(context)}
        reports.write(compared.report(self, digests, context), out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The whole machine, the threads, the digests of images and boxes."""
        boxes = {} if self.boxes is None else self.boxes.facts(self.dataset, context)
        return {"machine": machine_timed(), "threads": context.threads, "dataset": self.dataset.digest(context), **boxes}

    def _readable(self, images: Images) -> Images:
        """Without the bad ones, where these are passed over."""
        good = []
        for sample in images.samples:
            try:
                images.read(sample)
                good.append(sample)
            except BadImage:
                if not self.skip_bad_images:
                    raise
        if not good:
            raise StepFailed(f"{self.dataset_name} has no image to time the whole way on", "name images that can be read")
        return replace(images, samples=tuple(good))


class Compared(NamedTuple):
    """What was timed."""

    turns: Turns[Kind]
    layouts: dict[Kind, Layout]
    tried: dict[Layout, dict[Kind, float]]
    """Images a second in one turn, by which the layouts were chosen; nothing where there was no choice."""
    images: int
    seconds: float
    computed_in: str

    def report(self, step: MeasureEndToEnd, digests: dict[str, str], context: Context) -> reports.EndToEnd:
        """The report of it. Raises StepFailed where the whole is faster than its network."""
        whole, network = self.turns.rates["whole"], self.turns.rates.get("network", [])
        shares = [one / other for one, other in zip(whole, network, strict=True)] if network else []
        share = median(shares) if shares else None
        if share is not None and min(shares) > IMPOSSIBLE:
            raise StepFailed(
                f"the whole way came out {share:.2f} times as fast as its network alone, in every round",
                "one of both was not what was timed",
            )
        heard = list(noise(self.turns.yardsticks, 1.0, self.turns.others))
        if shares and max(shares) / min(shares) > DRIFT:
            heard.append(f"{min(shares):.0%} to {max(shares):.0%} of the network's speed in the rounds")
        if len(whole) < ROUNDS:
            heard.append(f"it is so slow that there was time for {len(whole)} of {ROUNDS} rounds")
        if share is not None and share > FASTER:
            heard.append(f"the whole way came out {share:.2f} times as fast as its network alone")
        return reports.EndToEnd(
            protocols=step.protocols,
            dataset=step.dataset_name,
            images_per_second=median(whole),
            network_images_per_second=median(network) if network else None,
            share=share,
            layout=str(self.layouts["whole"]),
            network_layout=str(self.layouts["network"]) if network else "",
            tried=tuple(
                reports.Tried(layout=str(layout), images_per_second=rates["whole"], network_images_per_second=rates.get("network"))
                for layout, rates in self.tried.items()
            ),
            rounds=tuple(whole),
            network_rounds=tuple(network),
            images=self.images,
            seconds=self.seconds,
            threads=context.threads,
            yardsticks_ms=tuple(self.turns.yardsticks),
            others_cores=self.turns.others,
            noise=tuple(heard),
            machine=describe(),
            computed_in=self.computed_in,
            versions=dict(versions(step.tools())),
            digests=digests,
        )


def time_end_to_end(
    step: MeasureEndToEnd, compiled: Path, images: Images, people: Mapping[int, Poses] | None, *, context: Context
) -> Compared:
    """Open the model and time both ways; runs in a process of its own."""
    together = images_together(step.parts)
    samples = images.samples
    chunks = [samples[start : start + together] for start in range(0, len(samples), together)]

    def opening(layout: Layout) -> PoseModel:
        return open_model(compiled, step.parts, step.pipeline, context, batch=together, streams=layout.streams)

    def look(chunk: Chunk) -> tuple[list[Image], list[Poses] | None]:
        return [images.read(sample) for sample in chunk], None if people is None else [people[sample.id] for sample in chunk]

    return compare(opening, layouts_of(step.parts, context), chunks, look, seconds=step.seconds, context=context)


def compare(
    opening: Callable[[Layout], PoseModel],
    tried: Sequence[Layout],
    chunks: Sequence[Chunk],
    look: Look,
    *,
    seconds: float,
    context: Context,
) -> Compared:
    """The whole way of `chunks` in turns with the network alone, each in the layout of `tried` that is the fastest for it."""
    with ExitStack() as stack:

        def opened(layout: Layout) -> Opened:
            return stack.enter_context(closing(Opened(opening(layout), layout, look, context)))

        context.report("warming up")
        first = opened(tried[0])
        workers = max(layout.workers for layout in tried)
        listened, feeds, pace = first.listen(chunks, seconds / PARTS, workers)
        # every turn has the same items, and as many for each of the workers
        items = math.ceil(max(len(listened), seconds / PARTS / pace) / workers) * workers
        listened, feeds = list(islice(cycle(listened), items)), list(islice(cycle(feeds), items))
        turn = pace * (items + workers)
        if turn * (3 * len(tried) + 2 * ROUNDS) > LONG:
            tried = tried[:1]
        models = {layout: first if layout == first.layout else opened(layout) for layout in tried}
        turns: dict[Kind, dict[Layout, Callable[[], float]]] = {"whole": {}, "network": {}}
        for layout, model in models.items():
            turns["whole"][layout] = partial(model.whole, listened, feeds)
            turns["whole"][layout]()  # kernels are chosen, memory is laid out: by each of its streams
            turns["network"][layout] = partial(model.alone, listened, feeds)
        kinds: tuple[Kind, ...] = ("whole", "network") if first.tap else ("whole",)
        rates = {layout: {kind: turns[kind][layout]() for kind in kinds} for layout in (tried if len(tried) > 1 else ())}
        best = {kind: max(tried, key=lambda layout: rates[layout][kind] if rates else 0.0) for kind in kinds}
        started = time.perf_counter()
        taken = in_turns({kind: turns[kind][best[kind]] for kind in kinds}, seconds=seconds, most=LONG, context=context)
        images = {sample.id for chunk in listened for sample in chunk}
        return Compared(taken, best, rates, len(images), time.perf_counter() - started, first.model.computed_in)
