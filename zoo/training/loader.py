"""Examples of one process, read beside its steps."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np

from zoo.errors import StepFailed, ZooError
from zoo.machine import cores
from zoo.training.order import Order


class Parts:
    """The parts of batches of `process`, from step `first` up to and without `last`, made by processes of their own.

    `examples[epoch, index]` gives an example: arrays `image`, `heatmaps`, `pafs` and `mask`. An iterator and a context manager, of tuples
    of four tensors with the batch before. `waited`: seconds that were spent in waiting for them."""

    def __init__(self, examples: Any, order: Order, process: int, first: int, last: int, *, workers: int, pin: bool) -> None:
        import cv2
        import torch

        self.waited = 0.0
        loader = torch.utils.data.DataLoader(
            _Read(examples),
            batch_sampler=order.parts(process, first, last),
            collate_fn=_together,
            num_workers=workers,
            worker_init_fn=_deaf,
            pin_memory=pin,
            # not the process's own: it would be another one after each resumption
            generator=torch.Generator(),
        )
        threads = cv2.getNumThreads()
        # a process that is forked while OpenCV has threads inherits none of them and waits for them; and each has one core
        cv2.setNumThreads(1)
        self._parts: Iterator[Any] = iter(loader)
        cv2.setNumThreads(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The processes end. An error keeps what it came by alive, and what is collected late waits for them for seconds."""
        self._parts = iter(())

    def __next__(self) -> tuple[Any, ...]:
        """Raises StepFailed with what an example raised, or where a process that makes them is gone."""
        began = perf_counter()
        try:
            part = next(self._parts)
        except RuntimeError as error:
            if not re.match(r"DataLoader worker .*(exited unexpectedly|killed by signal)", str(error)):
                raise
            raise StepFailed(
                f"a process that reads examples is gone: {str(error).splitlines()[0]}",
                "is there enough memory, and shared memory (/dev/shm)?",
            ) from error
        self.waited += perf_counter() - began
        if isinstance(part, StepFailed):
            raise part
        return part  # type: ignore[no-any-return]


def workers(processes: int, accelerated: bool) -> int:
    """How many processes read examples for each of the `processes` that train on this machine.

    Beside an accelerator all cores but the one that feeds it. On the CPU the steps need them, and these rest while enough is read ahead;
    but where the steps wait, every core is to be at work."""
    share = cores() // processes
    return max(1, min(16, share - 1)) if accelerated else min(16, 1 + share // 2)


class _Read:
    """The examples as torch's loader takes them. What one raises is given in its place: thrown between processes it would lose its hint."""

    def __init__(self, examples: Any) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        try:
            return self._examples[key]
        except ZooError as error:
            return StepFailed(error.message, error.hint)


def _deaf(_: int) -> None:
    """^C is for the process that trains, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _together(examples: list[Any]) -> Any:
    import torch

    failed = next((example for example in examples if isinstance(example, StepFailed)), None)
    if failed is not None:
        return failed
    fields = ("image", "heatmaps", "pafs", "mask")
    return tuple(torch.from_numpy(np.stack([getattr(example, name) for example in examples])) for name in fields)
