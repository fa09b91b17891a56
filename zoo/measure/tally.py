"""An opened network that counts what it is asked, and notices when its answers do not depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.backends.runner import Runner
from zoo.errors import StepFailed
from zoo.record import Record

Shape = tuple[int, ...]
Tensors = Mapping[str, NDArray[Any]]


class Asked(Record, frozen=True, kw_only=True):
    """How often one network of a pipeline was called with inputs of one shape."""

    role: str
    shape: Annotated[Shape, Meta(description="of what was bound, its batch first")]
    calls: Annotated[float, Meta(description="for each image of the whole, on average")]
    computed_in: str


class Tally(Runner):
    """`runner`, whose calls it passes on. It is closed by whoever opened it."""

    def __init__(self, runner: Runner) -> None:
        self.inputs, self.outputs, self._runner = runner.inputs, runner.outputs, runner
        self.calls: Counter[Shape] = Counter()
        """By the shape of the first input."""
        self._first: dict[Shape, tuple[Tensors, Tensors]] = {}
        self._changed = self._asked_another = False

    @property
    def computed_in(self) -> str:
        """See `Runner.computed_in`."""
        return self._runner.computed_in

    def _run(self, feeds: Tensors) -> dict[str, NDArray[Any]]:
        outputs = self._runner(feeds)
        shape = next(iter(feeds.values())).shape
        self.calls[shape] += 1
        if not self._changed:
            self._compare(shape, feeds, outputs)
        return outputs

    def _compare(self, shape: Shape, feeds: Tensors, outputs: Tensors) -> None:
        """With the first call of the same shape: others may differ in their outputs' shapes alone."""
        first = self._first.get(shape)
        if first is None:
            self._first[shape] = _copied(feeds), _copied(outputs)
        elif _differ(first[0], feeds):
            self._asked_another = True
            self._changed = _differ(first[1], outputs)
            if self._changed:
                self._first.clear()

    def begin(self) -> None:
        """Count from here on. Raises StepFailed where different inputs have always given the same outputs."""
        self.calls.clear()
        if self._asked_another and not self._changed:
            raise StepFailed(
                "outputs do not change with the input", "the runtime returns old buffers, or the graph is cut off from its input"
            )

    def asked(self, role: str, images: int) -> tuple[Asked, ...]:
        """What `images` images came to, since it began to count."""
        return tuple(
            Asked(role=role, shape=shape, calls=count / images, computed_in=self.computed_in) for shape, count in sorted(self.calls.items())
        )


def _copied(tensors: Tensors) -> Tensors:
    return {name: np.array(tensor) for name, tensor in tensors.items()}


def _differ(one: Tensors, other: Tensors) -> bool:
    return any(not np.array_equal(one[name], other[name]) for name in one)
