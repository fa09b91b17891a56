"""Files that are written whole or not at all, and digests that are computed once.

A digest is remembered by (path, size, mtime_ns, inode), so a folder of images is read once and then
only looked at; `rehash` forces a new reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCK = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, fsynced, when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


class Digests:
    """Remembered digests of files, kept in one JSON file in a cache folder."""

    def __init__(self, cache: Path, rehash: bool = False) -> None:
        self._file = cache / "digests.json"
        self._known: dict[str, list[object]] = {}
        self._changed = False
        if not rehash:
            try:
                self._known = json.loads(self._file.read_text())
            except (OSError, ValueError):
                self._known = {}

    def sha256(self, path: Path) -> str:
        """The sha256 of `path`, read only if the file is not the one that was read before."""
        return self.digest(path, "sha256")

    def digest(self, path: Path, algorithm: str) -> str:
        """The hex digest of `path` by any algorithm of hashlib, remembered in the same way."""
        status = path.stat()
        state: list[object] = [status.st_size, status.st_mtime_ns, status.st_ino]
        key = str(path) if algorithm == "sha256" else f"{algorithm}:{path}"
        known = self._known.get(key)
        if known is not None and known[:3] == state:
            return str(known[3])
        digest = digest_file(path, algorithm)
        self._known[key] = [*state, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write what was learned; a lost race loses only time."""
        if self._changed:
            with suppress(OSError):  # what cannot be remembered is read again
                write_text(self._file, json.dumps(self._known))
            self._changed = False


def digest_folder(root: Path, digests: Digests | None = None) -> str:
    """One sha256 for a folder: of the sorted lines `sha256  relative/path`."""
    lines = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        digest = digests.sha256(path) if digests else digest_file(path)
        lines.update(f"{digest}  {path.relative_to(root).as_posix()}\n".encode())
    return lines.hexdigest()
