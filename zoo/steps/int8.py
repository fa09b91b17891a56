"""INT8 by calibration: quantise and dequantise nodes written into the graph."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.calibrators import Calibrator
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.machine import vnni
from zoo.steps.bundle import MODEL, Bundle
from zoo.steps.step import Step


class Int8(Step, frozen=True, kw_only=True, tag="int8"):
    """Find the ranges of activations on real images and write them into the graph."""

    dataset: Dataset
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
        """Reads `model` (and `photos`); writes model.onnx and its records."""
        import onnx

        from zoo.calibrators.quantize import quantize
        from zoo.calibrators.smooth import smooth

        bundle = Bundle.read(given["model"])
        images = given.get("photos")
        source, quantised = given["model"] / MODEL, out / "quantised.onnx"
        if self.smooth is not None:
            source = out / "smoothed.onnx"
            onnx.save(smooth(bundle.graph, self._feeds(bundle, images, context), self.smooth, context), source)
        quantize(
            source,
            quantised,
            self._feeds(bundle, images, context),
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
        return {"dataset": self.dataset.digest(context), "reduce_range": self._reduce_range()}

    def _reduce_range(self) -> bool:
        # without VNNI the sum of two u8 x s8 products saturates in 16 bits
        return self.scheme == "u8s8" and not vnni()

    def _feeds(self, bundle: Bundle, photos: Path | None, context: Context) -> Iterator[Mapping[str, NDArray[np.float32]]]:
        images = self.dataset.open(context, photos)
        samples = list(images.samples)
        if len(samples) > self.images:
            samples = random.Random(self.seed).sample(samples, self.images)
        name = bundle.graph.graph.input[0].name
        for sample in context.track(samples, "calibrating", len(samples)):
            yield {name: bundle.preprocess.prepare(images.read(sample))[0]}
