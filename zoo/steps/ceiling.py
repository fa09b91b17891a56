"""The ceiling of a protocol: the figures of a network that says exactly what it is trained to say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from zoo.annotations import content, instances
from zoo.context import Context
from zoo.datasets.images import Images, Sample
from zoo.errors import StepFailed
from zoo.machine import isa
from zoo.metrics import Metric
from zoo.pipelines.estimator import MultiScale
from zoo.pose.decoders import Decoder
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Fit
from zoo.record import Record
from zoo.steps import reports
from zoo.steps.judging import Judging
from zoo.steps.part import Part
from zoo.stream import flow
from zoo.training.labels import openpose
from zoo.training.targets import Targets

#: the fields that name what is read, of a decoder that can be told targets, in the order in which they are drawn
MAPS = ("heatmaps", "pafs")


class Oracle(Record, frozen=True, kw_only=True):
    """A network that knows the annotations: for each image it says the targets that training would ask for there."""

    targets: Targets
    fit: Fit
    scales: tuple[float, ...] = (1.0,)
    decode: Decoder

    @classmethod
    def of(cls, part: Part, targets: Targets) -> Oracle | None:
        """The oracle in the place of a network; None where the decoder reads other things than targets are."""
        if part.decode.reads().keys() != set(MAPS):
            return None
        return cls(targets=targets, fit=part.fit, scales=part.scales, decode=part.decode)

    def poses(self, people: NDArray[np.float64], size: tuple[int, int]) -> Poses:
        """Whom the decoder finds, in image pixels, when it is told the targets of `people` (P, 18, 3), x, y in pixels of an image of
        `size` (width, height) and v, over 0 where a keypoint is annotated."""
        views = [self._view(people, self.fit.scaled(scale).affine(size)) for scale in self.scales]
        if len(views) == 1:
            return self.decode.decode(*views[0])
        if not isinstance(self.decode, MultiScale):
            raise StepFailed(f"{type(self.decode).__name__} decodes one scale at a time", "leave `scales:` away, or name another decoder")
        return self.decode.decode_views(views)

    def _view(self, people: NDArray[np.float64], affine: Affine) -> View:
        there = np.concatenate([affine.to_input(people[..., :2]), people[..., 2:]], axis=-1)
        width, height = affine.input
        said = zip(MAPS, self.targets.maps(there, height, width), strict=True)
        return View({getattr(self.decode, name): maps[None] for name, maps in said}, affine)


def ceiling(images: Images, oracle: Oracle, metric: Metric, context: Context) -> dict[str, float]:
    """The figures of `metric`, and `detections`, of what the decoder finds on annotated images when it is told perfect targets.

    Drawn are all people of whom any keypoint is annotated. Raises StepFailed where the annotations cannot be read or scored."""
    assert images.annotations is not None, "asked of annotated images"
    sizes = {image["id"]: (image.get("width"), image.get("height")) for image in content(images.annotations, images.ids).images}
    people = instances(images.annotations, images.ids)

    def work(sample: Sample) -> list[dict[str, Any]]:
        if not people[sample.id]:  # empty maps, in which nobody is found
            return []
        width, height = sizes[sample.id]
        size = (int(width), int(height)) if width and height else images.read(sample).shape[1::-1]
        shown = np.array([one.keypoints for one in people[sample.id]], np.float64).reshape(-1, 17, 3)
        return metric.results(oracle.poses(openpose(shown, size), size), oracle.decode.skeleton, sample.id)

    found: list[dict[str, Any]] = []
    decoded = flow(images.samples, work, workers=context.threads, context=context, named=lambda sample: sample.name)
    with closing(decoded):
        for one in context.track(decoded, "decoding perfect targets", len(images)):
            found += one
    return metric.evaluate(images.annotations, images.ids, found)


class MeasureCeiling(Judging, frozen=True, kw_only=True, tag="ceiling"):
    """Judge what a protocol's decoder makes of perfect targets. It depends on no network, so it is made once for all targets of a
    recipe."""

    oracle: Oracle

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy", "opencv-python-headless", "pycocotools")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `photos` where the images are fetched; writes report.json."""
        images, left_out = self.images(given, context)
        figures = ceiling(images, self.oracle, self.metric, context)
        report = reports.Ceiling(
            figures={name: figures.get(name) for name in self.metric.figures},
            protocol=self.protocol,
            dataset=self.data(images, left_out, context),
            targets=msgspec.to_builtins(self.oracle.targets),
            detections=int(figures["detections"]),
        )
        reports.write(report, out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The dataset's digest, the instruction sets that change arithmetic."""
        return {**self.digests(context), "isa": isa()}
