"""What a `zoo predict` that was stopped has found already: the same command goes on with the images that are left."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from zoo.datasets.images import Sample
from zoo.formats import native
from zoo.formats.prediction import Prediction
from zoo.journal import Journal
from zoo.pipelines import Pipeline
from zoo.record import Record
from zoo.steps.part import Part

FOUND = "found.jsonl"


class Task(Record, frozen=True, kw_only=True):
    """All that decides what is written of an image: what was found for another task is not gone on with."""

    compiled: str
    """The digest of the compiled networks."""
    parts: dict[str, Part]
    pipeline: Pipeline | None
    formats: tuple[str, ...]
    draw: bool
    threshold: float
    folder: str
    """Where it is written, in full."""


def state(path: Path) -> str:
    """What changes with a file's content; empty where there is no file."""
    try:
        about = path.stat()
    except OSError:
        return ""
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ino}"


class Found:
    """Predictions, each written down when its files are there. A context manager; without a folder it forgets."""

    def __init__(self, folder: Path | None) -> None:
        self._journal = Journal(folder / FOUND) if folder else None

    def of(self, samples: Iterable[Sample]) -> dict[str, Prediction]:
        """What a run before this one has found in `samples`, by name; without those that are another file by now."""
        known = {prediction.image: (then, prediction) for then, prediction in self._read()}
        return {one.name: known[one.name][1] for one in samples if one.name in known and known[one.name][0] == state(one.path)}

    def add(self, then: str, prediction: Prediction) -> None:
        """Write it down. `then`: the state of the image's file before it was read."""
        if self._journal:
            self._journal.add(then, native.write([prediction]))

    def _read(self) -> Iterable[tuple[str, Prediction]]:
        return ((then, native.parse(text)) for then, text in self._journal or ())

    def __enter__(self) -> Self:
        if self._journal:
            self._journal.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._journal:
            self._journal.__exit__(kind, error, trace)
