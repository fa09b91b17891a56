"""What a detector finds on all the images of a dataset, for the networks that look at boxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from zoo.boxes.detector import BOXES, DETECTOR
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import BadImage
from zoo.errors import StepFailed
from zoo.files import write_bytes
from zoo.machine import gpus, isa
from zoo.pose.coco_results import box_results
from zoo.steps.part import Part
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step


class FindBoxes(Step, frozen=True, kw_only=True, tag="boxes"):
    """Run a detector over a dataset; made once, and read by whatever calibrates and judges on its boxes."""

    detector: str
    part: Part
    dataset: Dataset
    limit: int | None = None
    skip_bad_images: bool = False
    """Whether nobody is found in an image that cannot be read; otherwise it stops the step."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", *self.part.backend.tools)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` (and `photos`); writes boxes.json (COCO detections) and detector.json (what found them)."""
        provenance = Provenance.read(given["compiled"])
        if provenance.rehearsal:
            raise StepFailed("the detector's weights are seeded: its boxes mean nothing", "fetch its weights")
        images = self.dataset.open(context, given.get("photos")).subset(self.limit)
        found: list[dict[str, Any]] = []
        with self.part.open(given["compiled"], context) as model:
            for sample in context.track(images.samples, f"finding boxes with {self.detector}", len(images.samples)):
                try:
                    image = images.read(sample)
                except BadImage:
                    if self.skip_bad_images:
                        continue
                    raise
                found += box_results(model(image), sample.id)
        write_bytes(out / BOXES, msgspec.json.encode(found))
        said = {"recipe": self.detector, "weights": provenance.files, **self.part.said()}
        write_bytes(out / DETECTOR, msgspec.json.encode(said, order="sorted"))

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The dataset's digest, the instruction sets that change arithmetic, the threads."""
        machine = {"isa": isa(), "gpus": gpus() if self.part.backend.gpu else ()}
        return {"dataset": self.dataset.digest(context), "threads": context.threads, **machine}
