"""The store: immutable artifacts by digest, and what was done to make them.

    actions/<key>.json    what was done: step, inputs, tool versions, seconds, artifact digest
    objects/<digest>/     what came out
    working/<pid>-*/      what is being made; a dead process's folder is swept away
    partial/<key>-<pid>/  what was done so far of what takes long; the next run that makes the same takes over a dead process's

An object appears by one rename and an action by one replace, so a process that is killed at any moment
leaves nothing half-made. Of two processes that make the same thing, one loses the race and only time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from zoo.errors import StepFailed
from zoo.files import digest_folder, write_bytes
from zoo.record import Record, canonical

#: a file in a folder of `partial` that collections leave alone
GUARD = ".guard"


class Done(Record, frozen=True, kw_only=True):
    """The record of an action that was carried out."""

    id: str
    step: dict[str, Any]
    inputs: dict[str, str]
    tools: dict[str, str]
    seconds: Annotated[float, Meta(ge=0)]
    artifact: str


@dataclass(frozen=True)
class Artifact:
    """An immutable folder in the store."""

    digest: str
    path: Path


class Store:
    """The folder `.zoo`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.actions = root / "actions"
        self.objects = root / "objects"
        self.working = root / "working"
        self.partial = root / "partial"
        self.cache = root / "cache"

    def find(self, key: str) -> tuple[Done, Artifact] | None:
        """What was done under `key`, if its artifact is still there."""
        try:
            done = msgspec.json.decode((self.actions / f"{key}.json").read_bytes(), type=Done)
        except (OSError, msgspec.DecodeError):
            return None
        path = self.objects / done.artifact
        return (done, Artifact(done.artifact, path)) if path.is_dir() else None

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder on the store's file system; what was not published is removed at the end."""
        self.working.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.working))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def resumed(self, key: str) -> Path:
        """A folder (it may not be there yet) for what has been done so far of the action `key`. It stays where the work is
        stopped, and holds what a process that was stopped has left there; it goes when the work is recorded."""
        mine = self._partial(key)
        left = [path for path in self._stopped(f"{key}-*") if path != mine]
        if left and not mine.exists():
            with suppress(OSError):  # another process took it over first: this one begins anew
                left[0].rename(mine)
        return mine

    def guard(self, partial: Path) -> None:
        """Let a folder of `resumed` outlive collections: what it will hold may take days to make again."""
        partial.mkdir(parents=True, exist_ok=True)
        (partial / GUARD).touch()

    def _partial(self, key: str) -> Path:
        return self.partial / f"{key}-{os.getpid()}"

    def _stopped(self, pattern: str) -> list[Path]:
        """What processes that are gone have left in `partial`."""
        found = ((path, path.name.rpartition("-")[2]) for path in self.partial.glob(pattern))
        return [path for path, pid in found if pid.isdigit() and not _alive(int(pid))]

    def publish(self, made: Path) -> Artifact:
        """Turn the folder `made` (inside a workplace) into an object. Raises StepFailed if it is empty."""
        files = [path for path in sorted(made.rglob("*")) if path.is_file()]
        if not files:
            raise StepFailed("the step wrote nothing")
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        digest = digest_folder(made)
        target = self.objects / digest
        if not target.exists():
            self.objects.mkdir(parents=True, exist_ok=True)
            for path in files:
                path.chmod(0o444)
            try:
                made.rename(target)
            except OSError:
                # another process published the same content first: the race is lost, nothing else
                if not target.is_dir():
                    raise
        return Artifact(digest, target)

    def record(self, key: str, done: Done) -> None:
        """Remember that `done` is what `key` stands for."""
        self.actions.mkdir(parents=True, exist_ok=True)
        with self.workplace() as place:
            # made in the workplace, so that nothing of a killed process stays among the records
            write_bytes(place / "done.json", canonical(done))
            (place / "done.json").replace(self.actions / f"{key}.json")
        shutil.rmtree(self._partial(key), ignore_errors=True)

    def sweep(self) -> None:
        """Remove what dead processes left in `working`."""
        for path in self.working.glob("*-*"):
            pid = path.name.partition("-")[0]
            if pid.isdigit() and not _alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)

    def records(self) -> dict[str, Done]:
        """Every action that was carried out, by key; unreadable ones are left out."""
        found = {}
        for path in sorted(self.actions.glob("*.json")):
            with suppress(OSError, msgspec.DecodeError):
                found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Done)
        return found

    def collect(self, keep: Iterable[str], dry: bool = False, guarded: bool = False) -> tuple[int, int]:
        """Remove the actions that are not in `keep`, the objects that no action names, and what stopped runs have left; where that
        is under `guard`, only if `guarded`.

        Returns (actions, objects and what stopped runs left that were removed, bytes freed)."""
        kept = set(keep)
        records = self.records()
        unwanted = [self.actions / f"{key}.json" for key in records if key not in kept]
        needed = {done.artifact for key, done in records.items() if key in kept}
        loose = [path for path in sorted(self.objects.glob("*")) if path.name not in needed]
        stopped = [path for path in self._stopped("*-*") if guarded or not (path / GUARD).exists()]
        size = sum(_size(path) for path in [*unwanted, *loose, *stopped])
        if not dry:
            for path in unwanted:
                path.unlink(missing_ok=True)
            for path in stopped:
                shutil.rmtree(path, ignore_errors=True)
            for path in loose:
                # out of the way in one rename: a killed gc must not leave half an object under its digest
                with self.workplace() as place:
                    path.rename(place / path.name)
        return len(unwanted) + len(loose) + len(stopped), size

    def verify(self) -> Iterator[tuple[Path, str]]:
        """Check every object against its digest and every action against its object: (path, fault) pairs."""
        broken = {path.name for path in sorted(self.objects.glob("*")) if digest_folder(path) != path.name}
        for path in sorted(self.actions.glob("*.json")):
            try:
                done = msgspec.json.decode(path.read_bytes(), type=Done)
            except (OSError, msgspec.DecodeError) as error:
                yield path, f"not a record of an action ({error})"
                continue
            if not (self.objects / done.artifact).is_dir():
                yield path, f"its artifact {done.artifact[:12]} is gone"
            elif done.artifact in broken:
                yield path, f"its artifact {done.artifact[:12]} is faulty"
        for name in sorted(broken):
            yield self.objects / name, "its content differs from its digest"

    def discard(self, path: Path) -> None:
        """Take a faulty object or action out of the store; it is made again when it is needed."""
        with self.workplace() as place:
            path.rename(place / path.name)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
