"""What a piece of work may ask of the run that it belongs to.

A context never changes what comes out of a step (what does is a field of the step, and so part of
its key): it only says where things lie, whether the network may be used, and who listens.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from zoo.errors import Cancelled, StepFailed

T = TypeVar("T")
Accelerator = Literal["auto", "cpu", "gpu"]
"""What training computes on; auto: GPUs where there are any."""


@dataclass(frozen=True)
class Progress:
    """One piece of news: `done` of `total` (None where unknown) `unit`s of `what`."""

    action: str
    what: str
    done: float = 0
    total: float | None = None
    unit: str = ""


def _silent(_: Progress) -> None:
    return


def _alone() -> bool:
    return False


@dataclass(frozen=True)
class Training:
    """That networks may be trained, how that is carried out, and who looks at them meanwhile: none of it changes what is learnt."""

    devices: int = 1
    """Devices of this machine that share each batch."""
    nodes: int = 1
    """Machines with as many each, where `torchrun` has started this program on all of them."""
    accelerator: Accelerator = "auto"
    checkpoint: int = 500
    """Steps between two checkpoints; there is one after each epoch as well."""
    validate: Callable[[Any, int, Context], dict[str, float]] | None = None
    """(module in evaluation, epoch from 1 on, context) -> figures. It can be pickled: it is called in another process."""
    every: int = 1
    """Epochs between two of these."""


@dataclass(frozen=True)
class Context:
    """Where things lie and who listens."""

    root: Path
    """The workspace: the folder of zoo.yaml. Relative paths of recipes start here."""
    cache: Path
    """A folder that may be lost at any time: partial downloads, remembered digests."""
    mirrors: tuple[Path, ...] = ()
    """Folders that are searched by digest before any network."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    lock: Mapping[str, str] = field(default_factory=dict)
    """recipes/weights.lock: `owner/file` -> sha256."""
    offline: bool = False
    threads: int = 1
    action: str = ""
    partial: Path | None = None
    """A folder of the action's own for what it has done so far: it outlives a run that was stopped, and goes when the action is done."""
    listener: Callable[[Progress], None] = _silent
    cancelled: threading.Event = field(default_factory=threading.Event)
    training: Training | None = None
    """None: what has not been trained yet is not trained now either."""
    turn: Callable[[], bool] = _alone
    """Lets others who are timed have the machine for a while, and says whether anybody had it."""

    def within(self, action: str) -> Context:
        """The same context, speaking for `action`."""
        return replace(self, action=action)

    def report(self, what: str, done: float = 0, total: float | None = None, unit: str = "") -> None:
        """Tell the listener, and stop here if the run was cancelled (`Cancelled`)."""
        if self.cancelled.is_set():
            raise Cancelled("stopped")
        self.listener(Progress(self.action, what, done, total, unit))

    def track(self, items: Iterable[T], what: str, total: int, unit: str = "images") -> Iterator[T]:
        """Yield `items`, reporting after each."""
        self.report(what, 0, total, unit)
        for done, item in enumerate(items, 1):
            yield item
            self.report(what, done, total, unit)

    def path(self, text: str) -> Path:
        """A path of a recipe: `$NAME` is taken from the environment, relative means from the workspace.

        Raises StepFailed where a variable is not set."""

        def value(match: re.Match[str]) -> str:
            name = match.group(1) or match.group(2)
            if name not in self.environment:
                raise StepFailed(f"{text}: the environment variable {name} is not set", f"export {name}=FOLDER")
            return self.environment[name]

        return self.root / Path(re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, text)).expanduser()
