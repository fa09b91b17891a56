"""`Journal`: what was found for each of many items, in a file that survives the run.

A line of JSON for each item, [name, value], appended as it comes. A run that is stopped or killed leaves whole lines and at most
half of one, which counts for nothing: the next run begins with what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec


class Journal:
    """A context manager. Values are what JSON can say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._whole()
        self._file = self.path.open("ab")
        self._file.truncate(whole)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def add(self, name: str | int, value: Any) -> None:
        """Write down what was found for `name`; it is on its way to the disk when this returns."""
        assert self._file is not None, "a journal is written within its context"
        self._file.write(msgspec.json.encode((name, value)) + b"\n")
        self._file.flush()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Everything that was written, (name, value), in the order in which it came; one line at a time is in memory."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    name, value = msgspec.json.decode(line)
                    yield name, value

    def _whole(self) -> int:
        """The bytes up to where a killed run stopped writing: those of whole lines."""
        if not self.path.exists():
            return 0
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            end = size
            while end > 0:
                start = max(0, end - (1 << 16))
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    return start + found + 1
                end = start
        return 0
