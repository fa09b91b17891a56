"""Proof that a model still computes what the original computes, on real images, through Polygraphy's Comparator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.backends import Backend
from zoo.backends.onnxruntime import OnnxRuntime
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.machine import describe, gpus, isa
from zoo.models import Model
from zoo.models.onnx_graph import OnnxGraph
from zoo.record import Record
from zoo.steps import reports
from zoo.steps.adopt import published
from zoo.steps.bundle import preprocess
from zoo.steps.export import load
from zoo.steps.images import Views
from zoo.steps.step import Step

if TYPE_CHECKING:
    from zoo.backends.runner import Runner


class Gate(Record, frozen=True, kw_only=True):
    """How far outputs may be from their reference: one of the two measures."""

    relative: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="the largest difference, in parts of the output's largest absolute value")
    ] = None
    snr: Annotated[float | None, Meta(description="the least ratio of signal to noise, in dB")] = None
    reason: Annotated[str, Meta(description="why it is looser than the default; the report repeats it")] = ""

    def __post_init__(self) -> None:
        if (self.relative is None) == (self.snr is None):
            raise ValueError("say either relative or snr")


@dataclass(frozen=True)
class Stage:
    """A model on the way from the original to the target: how it is opened, and how its images are prepared."""

    name: str
    open: Callable[[], AbstractContextManager[Runner]]
    folder: Path


class MeasureParity(Step, frozen=True, kw_only=True, tag="parity"):
    """Run every stage on the same images and hold each against the first.

    With `model`, the first is the PyTorch module and the others the exported and the edited ONNX file, and the exported
    TorchScript file where there is one; of a model that is an ONNX file the first is that file, untouched. With `backend`,
    the first is the edited ONNX file and the other the compiled target.
    """

    model: Model | None = None
    torchscript: str = ""
    """The name of the TorchScript file; empty where there is none."""
    backend: Backend | None = None
    gate: Gate
    views: Views
    images: int
    renamed: dict[str, str] = {}
    """New name -> the name that the output has in the first stage."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        runtime = self.backend.tools if self.backend else () if isinstance(self.model, OnnxGraph) else ("torch",)
        return ("onnxruntime", "opencv-python-headless", "polygraphy", *runtime)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `weights`, `exported`, `model` (and `torchscript`) or `model`, `compiled`, and `photos`, `boxes` where images or boxes
        are made; writes report.json."""
        from polygraphy.comparator import Comparator

        from zoo.backends.polygraphy import PolygraphyRunner

        stages = self._stages(given, context)
        names: list[str] = []
        computed_in = ""
        results = []
        for stage in stages:
            context.report(f"running {stage.name}")
            with stage.open() as runner:
                bound = next(iter(runner.inputs))
                tensors = dict(self.views.feeds(given, self.images, preprocess(stage.folder), bound, context))
                names = list(tensors)
                computed_in = runner.computed_in
                results.append(Comparator.run([PolygraphyRunner(runner, stage.name)], data_loader=list(tensors.values())))
        found = Comparison(self.gate, names, self.renamed)
        # PyTorch and the ONNX files are each held against the first: errors must not hide behind one another
        pairs = [(0, index) for index in range(1, len(stages))]
        Comparator.compare_accuracy(results, comparisons=pairs, compare_func=found)
        report = reports.Parity(
            comparisons=found.comparisons(),
            images=len(names),
            machine=describe(),
            computed_in=computed_in,
            digests={"images": self.views.dataset.digest(context), **{role: folder.name for role, folder in given.items()}},
        )
        reports.write(report, out)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The images' digest and the instruction sets that change arithmetic."""
        return {**self.views.facts(context), "isa": isa(), "gpus": gpus() if self.backend and self.backend.gpu else ()}

    def verdict(self, artifact: Path) -> str:
        """The worst comparison, where one failed."""
        report = reports.read(artifact)
        if not isinstance(report, reports.Parity):
            raise AssertionError(f"{artifact} is no parity report")
        return "" if report.passed else str(report.worst)

    def _stages(self, given: Mapping[str, Path], context: Context) -> Sequence[Stage]:
        plain = OnnxRuntime()

        def onnx(name: str, folder: Path) -> Stage:
            return Stage(name, partial(plain.open, folder, threads=context.threads), folder)

        if isinstance(self.model, OnnxGraph):
            # the artifact of weights has no preprocess.json: what the export has is the recipe's own
            original = Stage("published ONNX", partial(published, given["weights"], context), given["exported"])
            return (original, onnx("exported ONNX", given["exported"]), onnx("edited ONNX", given["model"]))
        if self.model:
            from zoo.backends.torch import Torch

            exported, outputs = given["exported"], tuple(self.model.outputs)
            module = load(self.model, given["weights"], context)[0]
            stages = [Stage("PyTorch", partial(Torch, module, outputs), exported)]
            if self.torchscript:
                traced = given["torchscript"] / self.torchscript
                stages.append(Stage("TorchScript", partial(Torch.from_torchscript, traced, outputs), exported))
            return (*stages, onnx("exported ONNX", exported), onnx("edited ONNX", given["model"]))
        if self.backend is None:
            raise AssertionError("parity of nothing")
        target = Stage("target", partial(self.backend.open, given["compiled"], threads=context.threads), given["compiled"])
        return (onnx("edited ONNX", given["model"]), target)


class Comparison:
    """Polygraphy's compare function: for each output of each candidate, what all images together say.

    Scale, power and noise are taken over all images: on an image where a network finds nothing its outputs are noise
    around zero, and a ratio to them would say nothing about what it finds elsewhere.
    """

    def __init__(self, gate: Gate, images: Sequence[str], renamed: Mapping[str, str]) -> None:
        self.gate = gate
        self._renamed = renamed
        self._images = images
        self._count: dict[str, int] = {}
        self._found: dict[tuple[str, str], Tally] = {}

    def __call__(self, reference: Any, candidate: Any) -> dict[str, bool]:
        """Compare the outputs of one image. Raises StepFailed where the two share none, or their shapes differ."""
        name = candidate.runner_name
        image = self._images[self._count.setdefault(name, 0)]
        self._count[name] += 1
        # an exported file still has the old names
        before = {output: output if output in reference else self._renamed.get(output, output) for output in candidate}
        common = [output for output in candidate if before[output] in reference]
        if not common:
            raise StepFailed(f"{name} has none of the outputs of {reference.runner_name}", "an edit has put others in their place")
        for output in common:
            tally = self._found.setdefault((name, output), Tally(reference.runner_name, name, output))
            tally.add(image, reference[before[output]], candidate[output])
        # Polygraphy's own verdict is by image; ours comes at the end
        return dict.fromkeys(common, True)

    def comparisons(self) -> tuple[reports.Comparison, ...]:
        """One for each output of each candidate."""
        return tuple(tally.compared(self.gate) for tally in self._found.values())


@dataclass
class Tally:
    """What was seen of one output of one candidate."""

    reference: str
    candidate: str
    output: str
    scale: float = 0.0
    power: float = 0.0
    noise: float = 0.0
    largest: float = -1.0
    where: tuple[int, ...] = ()
    image: str = ""
    expected: float = 0.0
    found: float = 0.0

    def add(self, image: str, wanted: NDArray[np.float32], got: NDArray[np.float32]) -> None:
        """One image. Raises StepFailed where the shapes differ, or nan or infinity came out."""
        if wanted.shape != got.shape:
            raise StepFailed(f"{self.candidate}: {self.output} has the shape {got.shape}, and in {self.reference} {wanted.shape}")
        expected, found = wanted.astype(np.float64), got.astype(np.float64)
        for name, values in ((self.reference, expected), (self.candidate, found)):
            if not np.isfinite(values).all():
                raise StepFailed(f"{name}: {self.output} holds nan or infinity on {image}", "does the precision hold its range?")
        difference = np.abs(found - expected)
        where = np.unravel_index(int(difference.argmax()), difference.shape)
        self.scale = max(self.scale, float(np.abs(expected).max()))
        self.power += float((expected**2).sum())
        self.noise += float((difference**2).sum())
        if difference[where] > self.largest:
            self.largest, self.image, self.where = float(difference[where]), image, tuple(int(index) for index in where)
            self.expected, self.found = float(expected[where]), float(found[where])

    def compared(self, gate: Gate) -> reports.Comparison:
        """Held against the gate."""
        return reports.Comparison(
            reference=self.reference,
            candidate=self.candidate,
            output=self.output,
            largest=self.largest,
            scale=self.scale,
            snr_db=10 * math.log10(max(self.power, np.finfo(float).tiny) / self.noise) if self.noise else None,
            image=self.image,
            where=self.where,
            expected=self.expected,
            found=self.found,
            measure="relative" if gate.relative is not None else "snr",
            limit=gate.snr if gate.relative is None and gate.snr is not None else gate.relative or 0.0,
            reason=gate.reason,
        )
