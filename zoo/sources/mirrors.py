"""Folders that are searched by digest before any network is used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.context import Context
from zoo.files import Digests, replacing
from zoo.sources.base import File, expected, verify


def find(file: File, pinned: str, out: Path, context: Context) -> str:
    """Copy `file` from a mirror to the path `out` and say where it lay; empty where no mirror has it.

    It is known by its digest, under whatever name: by the lock's sha256 (`pinned`) first, by what the
    recipe declares otherwise. A file of which no digest is known is taken by its exact name. Digests
    are remembered, so that a folder is read once; the copy is checked in full all the same."""
    algorithm, digits = expected(file, pinned)
    digests = Digests(context.cache)
    try:
        for path in _candidates(file, bool(digits), context):
            context.report(f"search the mirrors for {file.name}")
            try:
                if digits and not digests.digest(path, algorithm).startswith(digits):
                    continue
            except OSError:
                continue  # unreadable: as good as absent
            with replacing(out) as temporary:
                shutil.copyfile(path, temporary)
                verify(temporary, file, pinned, str(path))
            return str(path)
    finally:
        digests.save()
    return ""


def _candidates(file: File, by_digest: bool, context: Context) -> Iterator[Path]:
    """Files that may be it; those of its name first, so that most searches read one file."""
    found: list[Path] = []
    for mirror in context.mirrors:
        for folder, folders, names in os.walk(mirror):
            folders.sort()
            for name in sorted(names) if by_digest else [name for name in names if name == file.name]:
                path = Path(folder, name)
                size = path.stat().st_size if path.is_file() else -1
                if size >= 0 and file.size in (0, size):
                    found.append(path)
    yield from sorted(found, key=lambda path: path.name != file.name)
