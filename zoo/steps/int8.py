"""INT8 by calibration: quantise and dequantise nodes written into the graph."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from zoo.calibrators import Calibrator
from zoo.context import Context
from zoo.machine import vnni
from zoo.pose.preprocess import Tensor
from zoo.steps.bundle import MODEL, Bundle
from zoo.steps.images import Views
from zoo.steps.step import Step


class Int8(Step, frozen=True, kw_only=True, tag="int8"):
    """Find the ranges of activations on real images and write them into the graph."""

    views: Views
    images: int
    seed: int
    method: Calibrator
    per_channel: bool
    smooth: float | None = None
    scheme: Literal["u8s8", "s8s8"]
    keep: tuple[str, ...] = ()

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("onnx", "onnxruntime", "opencv-python-headless")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `model` (and `photos`, and a detector's `boxes`); writes model.onnx and its records."""
        import onnx

        from zoo.calibrators.quantize import quantize
        from zoo.calibrators.smooth import smooth

        bundle = Bundle.read(given["model"])
        source, quantised = given["model"] / MODEL, out / "quantised.onnx"
        if self.smooth is not None:
            source = out / "smoothed.onnx"
            onnx.save(smooth(bundle.graph, self._feeds(bundle, given, context), self.smooth, context), source)
        quantize(
            source,
            quantised,
            self._feeds(bundle, given, context),
            calibrator=self.method,
            scheme=self.scheme,
            keep=self.keep,
            per_channel=self.per_channel,
            reduce_range=self._reduce_range(),
            context=context,
        )
        graph = onnx.load(quantised)
        quantised.unlink()
        if self.smooth is not None:
            source.unlink()
        Bundle(graph, bundle.preprocess, bundle.provenance).write(out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The images' digest, and whether this machine's arithmetic forces a smaller range."""
        return {**self.views.facts(context), "reduce_range": self._reduce_range()}

    def _reduce_range(self) -> bool:
        # without VNNI the sum of two u8 x s8 products saturates in 16 bits
        return self.scheme == "u8s8" and not vnni()

    def _feeds(self, bundle: Bundle, given: Mapping[str, Path], context: Context) -> Iterator[Mapping[str, Tensor]]:
        images, looks = self.views.open(given, context)
        if len(looks) > self.images:
            looks = random.Random(self.seed).sample(looks, self.images)
        name = bundle.graph.graph.input[0].name
        for sample, box in context.track(looks, "calibrating", len(looks)):
            yield {name: bundle.preprocess.prepare(images.read(sample), box)[0]}
