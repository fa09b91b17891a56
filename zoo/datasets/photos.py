"""Photographs that are fetched like weights, with annotations that are a file of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from zoo.context import Context
from zoo.datasets.coco import annotated
from zoo.datasets.images import ABSENT, DatasetBase, Images, Sample
from zoo.errors import StepFailed
from zoo.files import digest_file
from zoo.record import fingerprint
from zoo.sources import Source


class Photos(DatasetBase, frozen=True, kw_only=True, tag="photos"):
    """The files of all the sources together: here a source is not an alternative to another, each is needed.

    An action fetches them into one folder; `open` gets that folder. Without annotations the ids count
    from 1 in the order of the sources."""

    sources: Annotated[tuple[Source, ...], Meta(description="Where the images come from; all are fetched", min_length=1)]
    annotations: Annotated[str | None, Meta(description="The annotation file in COCO's format; none for calibration")] = None

    @property
    def names(self) -> list[str]:
        """The names of the images, in the order of the sources."""
        return [file.name for source in self.sources for file in source.wanted()]

    def absent(self, context: Context) -> str:
        """What is missing beside the images, which are fetched."""
        if self.annotations is not None:
            try:
                annotations = context.path(self.annotations)
            except StepFailed as error:
                return f"{error.message} ({error.hint})" if error.hint else error.message
            if not annotations.is_file():
                return f"no file {annotations} (declared as {self.annotations})"
        names = self.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            return f"two sources give a file of the same name: {', '.join(twice)}"
        return ""

    def open(self, context: Context, fetched: Path | None = None) -> Images:
        self.present(context)
        if fetched is None:
            raise StepFailed("the photographs have not been fetched", "zoo fetch")
        if self.annotations is not None:
            return annotated(fetched, context.path(self.annotations))
        return Images(tuple(Sample(id, fetched / name, name) for id, name in enumerate(self.names, 1)))

    def digests(self, context: Context) -> dict[str, str]:
        """name -> sha256 as declared: the bytes themselves are held against it when they are fetched."""
        files = [file for source in self.sources for file in source.wanted()]
        return {file.name: file.hash.removeprefix("sha256:") for file in files if file.hash.startswith("sha256:")}

    def _digest(self, context: Context) -> str:
        """Names and annotations only: the images come from an action, whose artifact has a digest of its own."""
        if self.absent(context):
            return ABSENT
        return fingerprint([self.names, digest_file(context.path(self.annotations)) if self.annotations is not None else None])
