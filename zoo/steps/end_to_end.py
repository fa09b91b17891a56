"""How fast the whole way from image files to poses is, and what is left there of the speed of its network."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.backends.runner import Runner
from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import BadImage, Images, Sample, called_together
from zoo.errors import StepFailed
from zoo.faults import naming
from zoo.machine import describe, versions
from zoo.measure.isolated import run_isolated
from zoo.measure.latency import DRIFT, check_alive, noise
from zoo.measure.turns import ROUNDS, Turns, in_turns
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Image, OneNetwork, PoseModel
from zoo.pose.keypoints import Poses
from zoo.steps import reports
from zoo.steps.part import Part, images_together, layouts_of, open_model
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.steps.timing import machine_timed
from zoo.stream import Layout, flow

T = TypeVar("T")
Feeds = Mapping[str, NDArray[Any]]
Chunk = Sequence[Sample]
Kind = Literal["whole", "network"]
#: reads a chunk: its images, and for a network that looks at boxes whom it is shown
Look = Callable[[Chunk], tuple[list[Image], list[Poses] | None]]

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
