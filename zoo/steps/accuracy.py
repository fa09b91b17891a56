"""What a model finds on annotated images, in a named protocol, and how fast the whole way there is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset, overlap
from zoo.datasets.images import BadImage, Images, Sample
from zoo.errors import StepFailed
from zoo.files import write_bytes
from zoo.machine import describe, gpus, isa, versions
from zoo.metrics import Metric
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Image
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.steps import reports
from zoo.steps.part import ALONE, Part, images_together, open_model
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step

DETECTIONS = "detections.json"


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
        found, skipped, seconds, computed_in = self._find(given["compiled"], images, people, context)
        ids = [sample.id for sample in images.samples if sample.name not in skipped]
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
            end_to_end_images_per_second=len(ids) / seconds if seconds else None,
            shortfalls=tuple(
                reports.Shortfall(metric=name, value=figures.get(name, 0.0), least=least)
                for name, least in self.gates.items()
                if figures.get(name, 0.0) < least
            ),
            machine=describe(),
            computed_in=computed_in,
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

    def _find(
        self, compiled: Path, images: Images, people: Mapping[int, Poses] | None, context: Context
    ) -> tuple[list[dict[str, Any]], list[str], float, str]:
        """What the metric judges, the images passed over, seconds without opening and warming up, and what was computed in."""
        found: list[dict[str, Any]] = []
        skipped: list[str] = []
        together = images_together(self.parts)
        with open_model(compiled, self.parts, self.pipeline, context, batch=together) as model:
            started = time.perf_counter()
            for samples, read in self._read(images, together, skipped, context):
                boxes = None if people is None else [people[sample.id] for sample in samples]
                for sample, poses in zip(samples, model.many(read, boxes=boxes), strict=True):
                    found += self.metric.results(poses, model.skeleton.name, sample.id)
            return found, skipped, time.perf_counter() - started, model.computed_in

    def _read(
        self, images: Images, together: int, skipped: list[str], context: Context
    ) -> Iterator[tuple[Sequence[Sample], Sequence[Image]]]:
        """The images, so many at a time; the bad ones go into `skipped` where that is allowed."""
        samples: list[Sample] = []
        read: list[Image] = []
        for sample in context.track(images.samples, f"evaluating on {self.dataset_name}", len(images.samples)):
            try:
                read.append(images.read(sample))
                samples.append(sample)
            except BadImage:
                if not self.skip_bad_images:
                    raise
                skipped.append(sample.name)
            if len(samples) == together:
                yield samples, read
                samples, read = [], []
        if samples:
            yield samples, read

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
