"""Files at addresses of their own."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from zoo.context import Context
from zoo.sources.base import File, SourceBase, only, shown
from zoo.sources.download import download


class UrlFile(File, frozen=True, kw_only=True):
    """A file and its address."""

    url: Annotated[str, Meta(description="Where it is downloaded from", pattern=r"^https?://")]


class Url(SourceBase, frozen=True, kw_only=True, tag="url"):
    """Files that are downloaded, each from its address."""

    files: Annotated[tuple[UrlFile, ...], Meta(min_length=1, description="All are needed")]

    def wanted(self) -> tuple[UrlFile, ...]:
        return self.files

    def describe(self) -> str:
        return ", ".join(shown(file.url) for file in self.files)

    def get(self, name: str, out: Path, context: Context) -> str:
        file = only(self.files, name)
        return download(file.url, out, context, size=file.size)
