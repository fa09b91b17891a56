"""A PyTorch module or a TorchScript file as a runner: what parity is measured against. No target: nothing is compiled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.backends.runner import PRECISIONS, Runner, TensorSpec
from zoo.errors import StepFailed
from zoo.optional import require


class Torch(Runner):
    """`module` (in evaluation mode; it takes one tensor and gives one or several) with named input and outputs."""

    def __init__(
        self,
        module: Any,
        outputs: Sequence[str],
        input: str = "data",
        shape: tuple[int | None, ...] = (None, 3, None, None),
        threads: int = 0,
    ) -> None:
        self._torch = require("torch")
        self._module = module
        self._threads = threads
        self.inputs = {input: TensorSpec(shape, "float32")}
        self.outputs = {name: TensorSpec((None,) * len(shape), "float32") for name in outputs}

    @classmethod
    def from_torchscript(cls, path: Path, outputs: Sequence[str]) -> Torch:
        """Open a TorchScript file, by itself. Raises StepFailed where it is none."""
        torch = require("torch")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own news about its successors
                module = torch.jit.load(path, map_location="cpu")
        except (OSError, RuntimeError, ValueError) as error:
            raise StepFailed(f"{path.name} cannot be opened as TorchScript: {error}", "export it again: `zoo build --again`") from error
        return cls(module.eval(), outputs)

    @property
    def computed_in(self) -> str:
        """The type of the module's parameters."""
        kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in self._module.parameters()}
        return ", ".join(sorted(PRECISIONS.get(kind, kind) for kind in kinds)) or "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        torch = self._torch
        before = torch.get_num_threads()
        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                # a copy: PyTorch warns of arrays that cannot be written to
                tensor = torch.from_numpy(np.array(feeds[next(iter(self.inputs))]))
                # a network that is being trained may be on a GPU
                device = next((parameter.device for parameter in self._module.parameters()), tensor.device)
                results = self._module(tensor.to(device))
        finally:
            torch.set_num_threads(before)
        results = [results] if isinstance(results, torch.Tensor) else list(results)
        if len(results) != len(self.outputs):
            raise StepFailed(f"the module gives {len(results)} outputs, {len(self.outputs)} are named: {', '.join(self.outputs)}")
        return {name: result.cpu().numpy() for name, result in zip(self.outputs, results, strict=True)}
