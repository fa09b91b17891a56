"""What all sources share: the files that they promise, and how one says that it cannot be had."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit, urlunsplit

from msgspec import Meta

from zoo.context import Context
from zoo.errors import HashMismatch, StepFailed
from zoo.files import BLOCK
from zoo.licence import Use
from zoo.record import Choice, Record
from zoo.weights import Reader

Hash = Annotated[
    str,
    Meta(
        description="The digest of the whole file, the first digits of its sha256, or none (then only the lock can vouch for it)",
        pattern=r"^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha256-prefix:[0-9a-f]{8,64}|none)$",
    ),
]
FileName = Annotated[
    str,
    Meta(description="The name that the file gets; a plain name, without folders", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+ -]*$"),
]
Size = Annotated[int, Meta(description="The size in bytes; 0 where it is not known", ge=0)]


class File(Record, frozen=True, kw_only=True):
    """One file that a source promises."""

    name: FileName
    hash: Hash = "none"
    size: Size = 0


class SourceBase(Choice, frozen=True, kw_only=True):
    """What every source declares beside its files."""

    reader: Annotated[Reader | None, Meta(description="How the files become a state dict; not needed for what is no checkpoint")] = None
    substitute: Annotated[
        str, Meta(description="What these weights are where they are not the official ones; empty means that they are the official ones")
    ] = ""
    licence: Annotated[str, Meta(description="The licence of these files where it differs from the recipe's")] = ""
    use: Annotated[Use | None, Meta(description="What that licence allows, where it differs from the recipe's `licences: use`")] = None

    def wanted(self) -> Sequence[File]:
        """The files, in the order in which they are fetched."""
        raise NotImplementedError

    def describe(self) -> str:
        """The source in words, the same on every machine."""
        return ", ".join(file.name for file in self.wanted())

    def get(self, name: str, out: Path, context: Context) -> str:
        """Bring the file `name` of `wanted()` to the path `out` and say where it came from.

        The bytes are not checked here. Raises `Unreachable` where they cannot be had."""
        raise NotImplementedError


class Unreachable(StepFailed):
    """A file cannot be had from one place: `where` was tried, and `reason` says what happened."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


def shown(url: str) -> str:
    """`url` as it may be shown: without a user name, a password or a signed query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if parts.scheme else url


F = TypeVar("F", bound=File)


def only(wanted: Sequence[F], name: str) -> F:
    """The file of that name."""
    return next(file for file in wanted if file.name == name)


def expected(file: File, pinned: str) -> tuple[str, str]:
    """(algorithm, hex digits that the digest starts with) of what is known about a file.

    The lock's full sha256 goes before a prefix, a sha384 or nothing; ("sha256", "") where nothing
    is known. Raises `HashMismatch` where the recipe and the lock contradict each other."""
    kind, _, digits = file.hash.partition(":")
    if kind.startswith("sha256") and pinned and not pinned.startswith(digits):
        raise HashMismatch(
            f"{file.name}: the recipe says {file.hash}, the lock says sha256:{pinned}",
            "one of them is wrong: correct the recipe, or pin again with `zoo fetch --pin`",
        )
    if pinned:
        return "sha256", pinned
    return ("sha384", digits) if kind == "sha384" else ("sha256", digits)


def verify(path: Path, file: File, pinned: str, origin: str) -> str:
    """The full sha256 of `path`, which came from `origin` as `file`.

    Raises `HashMismatch` (what was expected, what came, from where) unless size, declared hash and
    the lock's sha256 (`pinned`, empty where it has none) all agree."""
    size = path.stat().st_size
    sha256, sha384 = hashlib.sha256(), hashlib.sha384()
    both = file.hash.startswith("sha384:")
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            sha256.update(block)
            if both:
                sha384.update(block)
    got = {"sha256": sha256.hexdigest(), "sha384": sha384.hexdigest() if both else ""}
    kind, _, digits = file.hash.partition(":")
    algorithm = "sha384" if kind == "sha384" else "sha256"
    faults = []
    if file.size and size != file.size:
        faults.append(f"expected {file.size} bytes, got {size}")
    if not got[algorithm].startswith(digits):
        faults.append(f"expected {file.hash}, got {algorithm}:{got[algorithm]}")
    if pinned and got["sha256"] != pinned:
        faults.append(f"expected sha256:{pinned} of the lock, got sha256:{got['sha256']}")
    if faults:
        raise HashMismatch(
            f"{file.name} from {shown(origin)} is refused: {'; '.join(faults)}",
            "nothing of it is used; if its publisher really has changed it, change the recipe's hash and `zoo fetch --pin`",
        )
    return got["sha256"]
