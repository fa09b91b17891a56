"""Weights that nobody publishes: a network is trained as its recipe says."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.errors import NotTrained, StepFailed
from zoo.files import digest_file, write_bytes
from zoo.licence import Use
from zoo.machine import describe, versions
from zoo.models.base import Architecture
from zoo.pose.preprocess import Preprocess
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.training.train import Train, Validation
from zoo.weights.onnx import OnnxReader
from zoo.weights.pth import PthReader

WEIGHTS = "trained.pth"
HISTORY = "training.json"
LOGS = "tensorboard"
TOOLS = ("torch", "lightning-fabric", "numpy", "opencv-python-headless")


class TrainNetwork(Step, frozen=True, kw_only=True, tag="train"):
    """Train `model`, from random weights or from those that it is given.

    How many devices share the work, how often it is looked at and saved (`Context.training`) is no part of the key: it changes
    nothing. Nor are the versions of its tools, though they may: what took days is not thrown away for a patch of PyTorch. They
    stand in training.json.
    """

    exclusive: ClassVar[bool] = True
    precious: ClassVar[bool] = True

    owner: str
    model: Architecture
    task: Train
    dataset: Dataset
    preprocess: Preprocess
    licence: str
    """The terms of the weights that come out, and what they allow."""
    use: Use
    steps: int | None = None
    """Stop after so many: a try."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `initial` (weights to begin with) and `photos`, where there are any; writes trained.pth, provenance.json,
        training.json and the TensorBoard logs.

        Raises NotTrained where training was not asked for, StepFailed where it cannot begin or does not converge to numbers."""
        if context.training is None:
            raise NotTrained(f"{self.owner} has not been trained here, with these settings", f"zoo train {self.owner}")
        images = self.dataset.open(context, given.get("photos"))
        context.report("reading the annotations")
        from zoo.training.examples import Examples
        from zoo.training.initial import initial_state
        from zoo.training.loop import train

        examples = Examples(self.task, self.preprocess, images)
        found = self._found(given["initial"]) if self.task.initial else None
        began = initial_state(self.model, self.task.initial, found) if self.task.initial and found is not None else None
        how, folder = context.training, context.partial or out.parent / "training"
        looked = Validation(dataset="", protocol="", every=how.every) if how.validate else None
        trained = train(
            self.model,
            msgspec.structs.replace(self.task, checkpoint=how.checkpoint, validation=looked),
            examples,
            initial=began,
            folder=folder,
            context=context,
            devices=how.devices,
            accelerator=how.accelerator,
            nodes=how.nodes,
            validate=how.validate,
            steps=self.steps,
        )
        if trained is None:
            return  # torchrun's first process publishes
        import torch

        torch.save({"state_dict": trained.state}, out / WEIGHTS)
        self._provenance(out, "" if found is not None or not self.task.initial else ", begun at random").write(out)
        said = {
            "dataset": self.dataset.digest(context),
            "examples": len(examples),
            "epochs": msgspec.to_builtins(trained.history),
            "devices": how.devices * how.nodes,
            "machine": msgspec.to_builtins(describe()),
            "versions": versions(TOOLS),
        }
        write_bytes(out / HISTORY, msgspec.json.format(msgspec.json.encode(said)) + b"\n")
        if (folder / LOGS).is_dir():
            shutil.copytree(folder / LOGS, out / LOGS)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The dataset's digest."""
        return {"dataset": self.dataset.digest(context)}

    def _found(self, folder: Path) -> Mapping[str, Any] | None:
        """The state dict of the weights to begin with; None for a rehearsal, which begins at random where they cannot be had.

        Raises StepFailed where they are an ONNX file."""
        provenance = Provenance.read(folder)
        if provenance.rehearsal:
            return None
        if provenance.reader is None or isinstance(provenance.reader, OnnxReader):
            raise StepFailed(
                "the weights to begin with are no state dict", "`initial:` of the recipe names a checkpoint, or a recipe that has one"
            )
        return provenance.reader.read(folder)

    def _provenance(self, out: Path, began: str) -> Provenance:
        return Provenance(
            source=f"trained as {self.owner} says, seed {self.task.seed}" + (f", {self.steps} steps" if self.steps else "") + began,
            files={WEIGHTS: digest_file(out / WEIGHTS)},
            reader=PthReader(file=WEIGHTS),
            licence=self.licence,
            use=self.use,
        )
