"""What a model finds on annotated images, in a named protocol."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets.images import Images
from zoo.errors import StepFailed
from zoo.journal import Journal
from zoo.machine import describe, gpus, isa, versions
from zoo.metrics.matching import NAME as MATCHES
from zoo.pipelines import Pipeline
from zoo.pose.skeletons import SKELETONS
from zoo.record import canonical
from zoo.steps import reports
from zoo.steps.judging import Judging
from zoo.steps.one_pass import Way, find
from zoo.steps.part import ALONE, Part
from zoo.steps.provenance import Provenance
from zoo.steps.step import Run

DETECTIONS = "detections.json"
FOUND = "found.jsonl"


class MeasureAccuracy(Judging, frozen=True, kw_only=True, tag="accuracy"):
    """Read, prepare, run, decode every image; judge what was found."""

    parts: dict[str, Part]
    """Role -> network; one that is no pipeline's has the role `ALONE`."""
    pipeline: Pipeline | None = None
    protocol_title: str
    boxes: Boxes | None = None
    """Whom a network that looks at boxes is shown."""
    gates: dict[str, float] = {}
    skip_bad_images: bool = False

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", "pycocotools", *(tool for part in self.parts.values() for tool in part.backend.tools))

    def company(self, reads: Mapping[str, str]) -> Hashable:
        """Other protocols of what was compiled, on the same images."""
        backends = {role: part.backend for role, part in self.parts.items()}
        return reads["compiled"], canonical([backends, self.dataset, self.without, self.limit, self.skip_bad_images])

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`, and a detector's `boxes`); writes report.json, detections.json (what was judged)
        and, for a metric that keeps it, matches.npz (what was matched)."""
        (error,) = self.run_together([Run(self, given, out, context)])
        if error:
            raise error

    @classmethod
    def run_together(cls, runs: Sequence[Run]) -> list[Exception | None]:
        """One pass over the images for all the protocols of a company; see `Step.run_together`."""
        first, compiled, context = cls._of(runs[0]), runs[0].given["compiled"], runs[0].context
        if Provenance.read(compiled).rehearsal:
            for one in runs:
                reports.write(cls._of(one)._rehearsed(), one.out)
            return [None] * len(runs)
        images, left_out = first.images(runs[0].given, context)
        with ExitStack() as stack:
            ways = []
            for one in runs:
                step = cls._of(one)
                people = step.boxes.read(step.dataset, images, one.given.get("boxes"), context) if step.boxes else None
                journal = stack.enter_context(Journal((one.context.partial or one.out.parent) / FOUND))
                ways.append(Way(step.parts, step.pipeline, people, step.metric.results, journal))
            find(compiled, images, ways, context, what=f"evaluating on {first.dataset_name}", skip=first.skip_bad_images)
        for one, way in zip(runs, ways, strict=True):
            if way.error is None:
                try:
                    cls._of(one)._judge(one, way, images, left_out)
                except Exception as error:  # of one protocol
                    way.error = error
        return [way.error for way in ways]

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The dataset's digest, the instruction sets that change arithmetic."""
        arithmetic = {"isa": isa(), "gpus": gpus() if any(part.backend.gpu for part in self.parts.values()) else ()}
        boxes = {} if self.boxes is None else self.boxes.facts(self.dataset, context)
        return {**self.digests(context), **boxes, **arithmetic}

    def verdict(self, artifact: Path) -> str:
        """The figures that are under the recipe's gates."""
        report = reports.read(artifact)
        if not isinstance(report, reports.Accuracy) or self.limit:
            return ""
        return "; ".join(f"{s.metric} {s.value:.4f} is under the promised {s.least:g}" for s in report.shortfalls)

    @staticmethod
    def _of(run: Run) -> MeasureAccuracy:
        assert isinstance(run.step, MeasureAccuracy)
        return run.step

    def _rehearsed(self) -> reports.Failure:
        return reports.Failure(
            word="rehearsal",
            message="the weights are seeded: there is nothing to score",
            dataset=self.dataset_name,
            fingerprint="",
        )

    def _judge(self, run: Run, way: Way, images: Images, left_out: int) -> None:
        """Write detections.json and report.json from what stands in the journal, which need not fit into memory."""
        context, out = run.context, run.out
        context.report("judging")
        ids, detections = write_results(out / DETECTIONS, way.journal)
        skipped = tuple(sample.name for sample in images.samples if sample.id not in ids)
        if not ids:
            raise StepFailed(f"none of the {len(skipped)} images could be evaluated", "leave --skip-bad-images away to see why")
        assert images.annotations is not None  # looked at when they were opened
        figures = self.metric.evaluate(images.annotations, sorted(ids), results_in(way.journal), out / MATCHES)
        data = self.data(images, left_out, context)
        report = reports.Accuracy(
            figures={name: figures.get(name) for name in self.metric.figures},
            ranked_by=self.metric.figures[0],
            title=self.protocol_title,
            protocol=self._protocol(data.subset, self.boxes.said(self.dataset, run.given.get("boxes"), context) if self.boxes else None),
            dataset=data,
            images=len(ids),
            skipped=skipped,
            detections=detections,
            shortfalls=tuple(
                reports.Shortfall(metric=name, value=figures.get(name, 0.0), least=least)
                for name, least in self.gates.items()
                if figures.get(name, 0.0) < least
            ),
            machine=describe(),
            computed_in=way.computed_in,
            digests={"compiled": run.given["compiled"].name},
        )
        reports.write(report, out)

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
            **({"images": said} if (said := self.dataset.said()) else {}),
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


def results_in(journal: Journal) -> Iterator[dict[str, Any]]:
    """What was found, image by image, of each image once: two runs that took turns may both have written one."""
    seen: set[int] = set()
    for id, found in journal:
        if id not in seen:
            seen.add(id)
            yield from found or ()


def write_results(path: Path, journal: Journal) -> tuple[set[int], int]:
    """Write what was found as one list of COCO results; the images in which anything was looked for, and how much was found."""
    ids = {id for id, found in journal if found is not None}
    count = 0
    with path.open("wb") as file:
        for count, result in enumerate(results_in(journal), 1):
            file.write((b"," if count > 1 else b"[") + msgspec.json.encode(result))
        file.write(b"]" if count else b"[]")
    return ids, count
