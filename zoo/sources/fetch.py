"""An ordered list of sources becomes a folder of checked files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.context import Context
from zoo.errors import StepFailed, WeightsUnreachable
from zoo.record import Record
from zoo.sources import Source, mirrors
from zoo.sources.base import File, Unreachable, verify

_WAYS = "ways on: a folder that holds the file, under `mirrors:` of zoo.yaml; `--weights FILE` where this recipe alone is asked for"
WEIGHTS_HINT = f"{_WAYS}; `--rehearse` to build and time with seeded weights instead"
WHOLE_HINT = f"{_WAYS}. `--rehearse` is no way: the network itself is in this file, and there is nothing to seed"
FILES_HINT = "ways on: a folder that holds the files, under `mirrors:` of zoo.yaml; or run again where the network reaches these places"


class Fetched(Record, frozen=True, kw_only=True):
    """What came of a fetch."""

    index: int
    """The place in the list of the source that was used."""
    substitute: str
    """What the files are where they are not the official ones; empty where they are."""
    files: dict[str, str]
    """Filename -> full sha256 (hex)."""
    origins: dict[str, str]
    """Filename -> where it came from. For people: it differs between machines where the bytes do not."""
    unpinned: tuple[str, ...] = ()
    """The files for which neither the recipe nor the lock has a full digest."""


def fetch(sources: Sequence[Source], out: Path, context: Context, lock: Mapping[str, str], *, hint: str = WEIGHTS_HINT) -> Fetched:
    """Bring all files of the first of `sources` that can be had into the folder `out`.

    Each file is looked for in the context's mirrors, then where its source says. `lock` maps
    filenames to their full sha256 (`lock.of_recipe`). Every file is checked against its declared
    hash and size and against the lock before it appears in `out`, and none appears unless all do.

    Raises `WeightsUnreachable` (every place that was tried, why it failed, and `hint`) where no source
    can be had; `HashMismatch` where one gives other bytes than declared: that is never a reason to
    take the next source, which may be a substitute; StepFailed, Cancelled."""
    tried: list[str] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=out) as name:
            for index, source in enumerate(sources):
                staging = Path(name, str(index))
                staging.mkdir()
                fetched = _source(index, source, staging, context, lock, tried)
                if fetched is not None:
                    for path in sorted(staging.iterdir()):
                        path.replace(out / path.name)
                    return fetched
    except OSError as error:
        raise StepFailed(
            f"cannot write to {error.filename2 or error.filename or out}: {error.strerror or error}",
            "free some space there, or see who may write to it",
        ) from error
    searched = ", ".join(str(mirror) for mirror in context.mirrors) or "none is set"
    lines = "".join(f"\n  {line}" for line in tried) or "\n  no source is declared"
    raise WeightsUnreachable(f"none of the sources can be had:{lines}\n  mirrors searched: {searched}", hint)


def _source(index: int, source: Source, staging: Path, context: Context, lock: Mapping[str, str], tried: list[str]) -> Fetched | None:
    """All files of one source in `staging`; None, with the reason in `tried`, where one cannot be had."""
    wanted = source.wanted()
    if not wanted:
        tried.append(f"source {index + 1}: it declares no file")
        return None
    digests, origins = {}, {}
    for file in wanted:
        pinned, path = lock.get(file.name, ""), staging / file.name
        origin = mirrors.find(file, pinned, path, context)
        if not origin:
            try:
                origin = source.get(file.name, path, context)
            except Unreachable as error:
                tried.append(f"{file.name}: {error.message}")
                return None
        digests[file.name], origins[file.name] = verify(path, file, pinned, origin), origin
    unpinned = tuple(file.name for file in wanted if not _vouched(file) and file.name not in lock)
    for name in unpinned:
        context.report(f"{name} is not pinned: no full digest of it is known (its sha256 is {digests[name]}; `zoo fetch --pin` keeps it)")
    return Fetched(index=index, substitute=source.substitute, files=digests, origins=origins, unpinned=unpinned)


def _vouched(file: File) -> bool:
    """Whether the recipe alone says which bytes these are."""
    return file.hash.startswith(("sha256:", "sha384:")) or len(file.hash) == len("sha256-prefix:") + 64
