"""Which example comes when: a permutation for each epoch, from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Order:
    """The batches of a training, and the parts of them that one of several processes works off.

    `batch` examples make a step, in `processes` * `accumulate` parts. What is left at the end of an epoch's order, less than a batch, is
    left out of that epoch; since the order is another one in each, nobody is left out for good."""

    examples: int
    batch: int
    accumulate: int
    seed: int
    processes: int = 1

    @property
    def per_epoch(self) -> int:
        """Steps."""
        return self.examples // self.batch

    @property
    def part(self) -> int:
        """Examples in one part of a batch."""
        return self.batch // (self.processes * self.accumulate)

    def indices(self, step: int) -> list[int]:
        """The examples of `step`, counted from the first epoch's first on (0)."""
        epoch, within = divmod(step, self.per_epoch)
        return self._epoch(epoch)[within * self.batch : (within + 1) * self.batch]

    def parts(self, process: int, first: int, last: int) -> Iterator[list[tuple[int, int]]]:
        """The (epoch, example)s of each part of `process` from step `first` up to and without `last`."""
        order: list[int] = []
        for step in range(first, last):
            epoch, within = divmod(step, self.per_epoch)
            if not order or within == 0:
                order = self._epoch(epoch)
            for part in range(self.accumulate):
                begin = within * self.batch + (part * self.processes + process) * self.part
                yield [(epoch, index) for index in order[begin : begin + self.part]]

    def _epoch(self, epoch: int) -> list[int]:
        # an example's own variation has its index as the third word; no example has this one
        order: list[int] = np.random.default_rng([self.seed, epoch, self.examples]).permutation(self.examples).tolist()
        return order
