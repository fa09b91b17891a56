"""How well a network does while it is trained: the protocol of a recipe, around a PyTorch module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.backends.onnxruntime import OnnxRuntime
from zoo.backends.torch import Torch
from zoo.context import Context
from zoo.datasets import Images
from zoo.engine.use import part
from zoo.metrics import Metric
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import Decoder
from zoo.pose.geometry import Turn
from zoo.pose.preprocess import Preprocess
from zoo.recipe.model import Evaluation, Recipe, Target
from zoo.steps.ceiling import Oracle, ceiling
from zoo.training.targets import Targets

TOGETHER = 8  # images in hand at once: those of one size share a call


@dataclass(frozen=True)
class Validation:
    """Module in evaluation mode -> figures of a protocol on the annotated people of `images`. It can be pickled."""

    outputs: tuple[str, ...]
    input: str
    preprocess: Preprocess
    decode: Decoder
    scales: tuple[float, ...]
    turns: tuple[Turn, ...]
    metric: Metric
    images: Images
    threads: int
    ceiling: float | None
    """What its decoder makes of perfect maps of these images: the metric's first figure. None where it reads other things."""

    @classmethod
    def of(cls, recipe: Recipe, evaluation: Evaluation, images: Images, targets: Targets, context: Context) -> Validation:
        """One of the recipe's own protocols, with its ceiling on these images. Raises StepFailed where they cannot be judged."""
        used = part(recipe, Target(backend=OnnxRuntime(), precision="fp32"), evaluation)  # whatever runs it: it looks at a module
        oracle = Oracle.of(used, targets)
        highest = ceiling(images, oracle, evaluation.metric, context) if oracle else {}
        return cls(
            outputs=tuple(recipe.model.outputs),
            input=recipe.export.input,
            preprocess=recipe.preprocess.with_fit(used.fit, used.order),
            decode=used.decode,
            scales=used.scales,
            turns=used.turns,
            metric=evaluation.metric,
            images=images,
            threads=context.threads,
            ceiling=highest.get(evaluation.metric.figures[0]),
        )

    def __call__(self, module: Any, epoch: int, context: Context) -> dict[str, float]:
        """The figures. Raises StepFailed where an image cannot be read or judged."""
        what = f"validating after epoch {epoch}"
        runner = Torch(module, self.outputs, self.input, threads=self.threads)
        estimator = Estimator(runner, self.preprocess, self.decode, self.scales, self.turns, TOGETHER)
        assert self.images.annotations is not None
        found: list[dict[str, Any]] = []
        samples = self.images.samples
        for start in range(0, len(samples), TOGETHER):
            chunk = samples[start : start + TOGETHER]
            for sample, poses in zip(chunk, estimator.many([self.images.read(one) for one in chunk]), strict=True):
                found += self.metric.results(poses, self.decode.skeleton, sample.id)
            context.report(what, start + len(chunk), len(samples), "images")
        figures = self.metric.evaluate(self.images.annotations, self.images.ids, found)
        return figures if self.ceiling is None else {**figures, "ceiling": self.ceiling}
