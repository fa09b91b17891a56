"""One member of an archive, read with care: nothing is run, and nothing is written but the one file."""

from __future__ import annotations

import difflib
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from zoo.errors import HashMismatch, StepFailed
from zoo.files import BLOCK, replacing

#: bytes; a member that says it is larger, or turns out to be, is refused
LIMIT = 4 << 30
#: what the readers raise at damaged bytes (RuntimeError: a member with a password)
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def extract(archive: Path, member: str, out: Path, *, rooted: bool, limit: int = LIMIT) -> None:
    """Write the regular file `member` of a tar or zip `archive` to `out`, whole or not at all.

    With `rooted` the archive's one top folder (PROJECT-VERSION/ of an sdist) is not part of
    `member`. Links are not followed, whatever they point to. Raises StepFailed where there is no
    such member (with the most alike) or it is larger than `limit` bytes, `HashMismatch` where the
    archive is damaged."""
    try:
        with _opened(archive, member, rooted) as (stream, size):
            if size > limit:
                raise StepFailed(f"{archive.name}: {member} has {size} bytes, more than the {limit} that are expected")
            with replacing(out) as temporary, temporary.open("wb") as target:
                shutil.copyfileobj(_Bounded(stream, limit, f"{archive.name}: {member}"), target, BLOCK)
    except _DAMAGE as error:
        raise HashMismatch(f"{archive}: the archive is damaged: {error}", "delete it and run again") from error


class _Bounded:
    """A stream that refuses to give more than `limit` bytes: headers can lie."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._limit, self._name = stream, limit, limit, name

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise StepFailed(f"{self._name} is larger than the {self._limit} bytes that are expected")
        return block


@contextmanager
def _opened(archive: Path, member: str, rooted: bool) -> Iterator[tuple[IO[bytes], int]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            name = _find({info.filename for info in packed.infolist() if not info.is_dir()}, archive, member, rooted)
            with packed.open(name) as stream:
                yield stream, packed.getinfo(name).file_size
        return
    with tarfile.open(archive) as tar:
        # the last of several members of one name is the one that unpacking would leave
        regular = {info.name.removeprefix("./"): info for info in tar if info.isreg()}
        info = regular[_find(regular.keys(), archive, member, rooted)]
        content = tar.extractfile(info)
        assert content is not None  # a regular file
        with content:
            yield content, info.size


def _find(names: Collection[str], archive: Path, member: str, rooted: bool) -> str:
    found = [name for name in names if (name.partition("/")[2] if rooted else name) == member]
    if len(found) == 1:
        return found[0]
    known = {name.partition("/")[2] if rooted else name for name in names}
    near = difflib.get_close_matches(member, known, n=3, cutoff=0.5)
    raise StepFailed(
        f"{archive.name} has no file {member}" if not found else f"{archive.name} has {len(found)} files {member}",
        f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)} files, none with such a name",
    )
