"""`Runner`: an opened compiled model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed

#: Names of types as the runtimes write them -> as we report them.
PRECISIONS = {
    "float32": "fp32", "float": "fp32", "f32": "fp32", "fp32": "fp32",
    "float16": "fp16", "half": "fp16", "f16": "fp16", "fp16": "fp16",
    "bfloat16": "bf16", "bf16": "bf16", "float64": "fp64", "double": "fp64", "f64": "fp64",
    "int8": "int8", "uint8": "int8", "i8": "int8", "u8": "int8",
}  # fmt: skip


@dataclass(frozen=True)
class TensorSpec:
    """A tensor at the edge of a model; an axis that is not fixed is None."""

    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if size is None else str(size) for size in self.shape)})"

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` may go in."""
        return len(shape) == len(self.shape) and all(wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True))


class Runner(ABC):
    """An opened model: a context manager; call it with {input: array} to get {output: array}.

    It may be called from several threads at once: as many calls as it was opened with streams run together, the others wait.
    What comes out belongs to the caller: the next call does not write into it."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @property
    @abstractmethod
    def computed_in(self) -> str:
        """What convolutions and matrix products really compute in, by the runtime's own account."""

    @abstractmethod
    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One inference with feeds that were checked."""

    def close(self) -> None:
        """Give back what the model holds."""
        return

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once. Raises StepFailed where names, types or shapes are not those of `inputs`."""
        if feeds.keys() != self.inputs.keys():
            raise StepFailed(f"the model takes the inputs {', '.join(self.inputs)} and was given {', '.join(feeds) or 'none'}")
        for name, array in feeds.items():
            spec = self.inputs[name]
            if array.dtype != np.dtype(spec.dtype) or not spec.takes(array.shape):
                raise StepFailed(
                    f"the input {name!r} is {spec} and was given {array.dtype} {array.shape}",
                    "feed what it takes, or build the target for that shape (`batch:` and `shape:` of the recipe's target)",
                )
        return self._run(feeds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def summary(counts: Mapping[str, int]) -> str:
    """What {precision: how many convolutions and products} reads as: `fp32`, or `int8 (113 of 121), fp32`."""
    if not counts:
        return "no convolutions"
    order = sorted(counts, key=lambda name: (-counts[name], name))
    if len(order) == 1:
        return order[0]
    return f"{order[0]} ({counts[order[0]]} of {sum(counts.values())}), {', '.join(order[1:])}"
