"""What a model finds on annotated images, in a named protocol, and how fast the whole way there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset, overlap
from zoo.datasets.images import BadImage, Images, Sample
from zoo.errors import StepFailed
from zoo.files import write_bytes
from zoo.journal import Journal
from zoo.machine import describe, gpus, isa, versions
from zoo.metrics import Metric
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Image, PoseModel
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.steps import reports
from zoo.steps.part import ALONE, Part, images_together, layouts_of, open_model
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.stream import Layout, Reopened, Settled, streamed

DETECTIONS = "detections.json"
FOUND = "found.jsonl"
ENOUGH = 8
"""Images that a rate is counted on."""


@dataclass
class Pace:
    """How fast images became poses, once it was settled how the cores are shared out."""

    settled: Settled | None = None
    computed_in: str = ""
    images: int = 0
    started: float = 0.0
    seconds: float = 0.0

    def settle(self, settled: Settled) -> None:
        """From here on images count."""
        self.settled, self.started = settled, time.perf_counter()

    def count(self, images: int) -> None:
        """So many more are done."""
        if self.settled:
            self.images += images
            self.seconds = time.perf_counter() - self.started

    @property
    def rate(self) -> float | None:
        """Images a second; of too few images to count on after it was settled, what was measured to settle it; None of fewer still."""
        if self.images >= ENOUGH:
            return self.images / self.seconds
        return max((rate for _, rate in self.settled.tried), default=None) if self.settled else None


class MeasureAccuracy(Step, frozen=True, kw_only=True, tag="accuracy"):
    """Read, prepare, run, decode every image; judge what was found."""

    exclusive: ClassVar[bool] = True  # it reports end-to-end images/s

    parts: dict[str, Part]
    """Role -> network; one that is no pipeline's has the role `ALONE`."""
    pipeline: Pipeline | None = None
    protocol: str
    protocol_title: str
    dataset_name: str
    dataset: Dataset
    boxes: Boxes | None = None
    """Whom a network that looks at boxes is shown."""
    metric: Metric
    gates: dict[str, float] = {}
    without: tuple[Dataset, ...] = ()
    """Images of the dataset that are also in one of these are left out: the model was calibrated on them."""
    limit: int | None = None
    skip_bad_images: bool = False

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", "pycocotools", *(tool for part in self.parts.values() for tool in part.backend.tools))

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`, and a detector's `boxes`); writes report.json and detections.json (what was judged)."""
        provenance = Provenance.read(given["compiled"])
        if provenance.rehearsal:
            failure = reports.Failure(
                word="rehearsal",
                message="the weights are seeded: there is nothing to score",
                dataset=self.dataset_name,
                fingerprint="",
            )
            reports.write(failure, out)
            return
        images = self.dataset.open(context, given.get("photos"))
        annotations = images.annotations
        if annotations is None:
            raise StepFailed(f"{self.dataset_name} has no annotations", "accuracy needs a dataset with labels")
        left_out = sorted({name for other in self._present(context) for name in overlap(self.dataset, other, context)})
        images = images.without(left_out).subset(self.limit)
        subset = self._subset(len(images), len(left_out))
        people = self.boxes.read(self.dataset, images, given.get("boxes"), context) if self.boxes else None
        with Journal((context.partial or out.parent) / FOUND) as journal:
            pace = self._find(given["compiled"], images, people, journal, context)
            # a journal that another run began may hold the same image twice
            by_id = dict(journal)
        skipped = [sample.name for sample in images.samples if by_id[sample.id] is None]
        ids = [sample.id for sample in images.samples if by_id[sample.id] is not None]
        found = [result for id in ids for result in by_id[id]]
        context.report("judging")
        figures = self.metric.evaluate(annotations, ids, found)
        write_bytes(out / DETECTIONS, msgspec.json.encode(found))
        report = reports.Accuracy(
            figures={name: figures.get(name) for name in self.metric.figures},
            ranked_by=self.metric.figures[0],
            title=self.protocol_title,
            protocol=self._protocol(subset, self.boxes.said(self.dataset, given.get("boxes"), context) if self.boxes else None),
            dataset=reports.Data(
                name=self.dataset_name,
                title=self.dataset.title or self.dataset_name,
                digest=images.digest(context),
                subset=subset,
                demonstration=self.dataset.demonstration,
            ),
            images=len(ids),
            skipped=tuple(skipped),
            detections=len(found),
            end_to_end_images_per_second=pace.rate,
            layout=str(pace.settled) if pace.settled else "",
            shortfalls=tuple(
                reports.Shortfall(metric=name, value=figures.get(name, 0.0), least=least)
                for name, least in self.gates.items()
                if figures.get(name, 0.0) < least
            ),
            machine=describe(),
            computed_in=pace.computed_in,
            digests={"compiled": given["compiled"].name},
        )
        reports.write(report, out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The dataset's digest, the instruction sets that change arithmetic, the threads."""
        without = [other.digest(context) for other in self._present(context)]
        arithmetic = {"isa": isa(), "gpus": gpus() if any(part.backend.gpu for part in self.parts.values()) else ()}
        boxes = {} if self.boxes is None else self.boxes.facts(self.dataset, context)
        return {"dataset": self.dataset.digest(context), "without": without, "threads": context.threads, **boxes, **arithmetic}

    def verdict(self, artifact: Path) -> str:
        """The figures that are under the recipe's gates."""
        report = reports.read(artifact)
        if not isinstance(report, reports.Accuracy) or self.limit:
            return ""
        return "; ".join(f"{s.metric} {s.value:.4f} is under the promised {s.least:g}" for s in report.shortfalls)

    def _find(self, compiled: Path, images: Images, people: Mapping[int, Poses] | None, journal: Journal, context: Context) -> Pace:
        """Write what the metric judges into the journal, image by image; None for those passed over. Images that a run before
        this one has written there are not run again."""
        known = {id for id, _ in journal}
        left = [sample for sample in images.samples if sample.id not in known]
        together = images_together(self.parts)
        chunks = [left[start : start + together] for start in range(0, len(left), together)]
        pace = Pace()

        def opening(layout: Layout) -> PoseModel:
            return open_model(compiled, self.parts, self.pipeline, context, batch=together, streams=layout.streams)

        with Reopened(opening) as opened:

            def serving(layout: Layout) -> Callable[[Sequence[Sample]], list[tuple[int, Any]]]:
                model = opened(layout)
                return lambda chunk: self._found(model, images, chunk, people)

            results = streamed(chunks, serving, layouts_of(self.parts, context), context=context, told=pace.settle, weight=len)
            what, total = f"evaluating on {self.dataset_name}", len(images.samples)
            context.report(what, len(known), total, "images")
            with closing(results):
                for done, chunk in enumerate(results, 1):
                    for id, found in chunk:
                        journal.add(id, found)
                    pace.count(len(chunk))
                    context.report(what, min(len(known) + done * together, total), total, "images")
            assert pace.settled is not None  # told before the last of the results
            pace.computed_in = opened(pace.settled.layout).computed_in
        return pace

    def _found(
        self, model: PoseModel, images: Images, chunk: Sequence[Sample], people: Mapping[int, Poses] | None
    ) -> list[tuple[int, list[dict[str, Any]] | None]]:
        """What is judged of each of a few images, by id; None where a bad one is passed over."""
        read: dict[int, Image] = {}
        for sample in chunk:
            try:
                read[sample.id] = images.read(sample)
            except BadImage:
                if not self.skip_bad_images:
                    raise
        poses = model.many(list(read.values()), boxes=None if people is None else [people[id] for id in read])
        skeleton = model.skeleton.name
        results = {id: self.metric.results(one, skeleton, id) for id, one in zip(read, poses, strict=True)}
        return [(sample.id, results.get(sample.id)) for sample in chunk]

    def _present(self, context: Context) -> list[Dataset]:
        return [other for other in self.without if not other.absent(context)]

    def _subset(self, count: int, left_out: int) -> str:
        """Which of the dataset's images were used, in words."""
        others = f" but {left_out} that it is calibrated on" if left_out else ""
        return f"the first {count}{' of all' + others if others else ''}" if self.limit else f"all{others}"

    def _protocol(self, subset: str, boxes: Any) -> dict[str, Any]:
        """All that would make the figures others; its fingerprint is the table that the row belongs to."""
        evaluator = self.metric.evaluator
        return {
            "name": self.protocol,
            "boxes": boxes or self._own_boxes(),
            "flip": any(part.flip for part in self.parts.values()),
            **self._flow(),
            "metric": msgspec.to_builtins(self.metric),
            **({"evaluator": f"{evaluator} {versions([evaluator])[evaluator]}"} if evaluator else {}),
            "subset": subset,
        }

    def _own_boxes(self) -> str:
        """Where boxes come from that nobody gives."""
        if self.pipeline:
            return self.pipeline.boxes
        finds_boxes = not SKELETONS[self.parts[ALONE].decode.skeleton].keypoints
        return "what is judged" if finds_boxes else "none: bottom-up"

    def _flow(self) -> dict[str, Any]:
        """How images become poses: that of the one network, or of each by its role and what joins them."""
        parts = {role: part.said() for role, part in self.parts.items()}
        if self.pipeline is None:
            return parts[ALONE]
        # which recipes they are is told beside: two pipelines of other networks share a table
        return {**parts, "pipeline": {key: value for key, value in msgspec.to_builtins(self.pipeline).items() if key not in parts}}
