"""A folder of images without annotations: what calibration needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from zoo.context import Context
from zoo.datasets.images import DatasetBase, Images, Sample
from zoo.errors import StepFailed

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Folder(DatasetBase, frozen=True, kw_only=True, tag="folder"):
    """The images of a folder, in the order of their names; ids count from 1."""

    images: Annotated[str, Meta(description="The folder, for instance $ZOO_ASSETS/calibration")]
    pattern: Annotated[str, Meta(description="Which files of the folder: a glob", min_length=1)] = "*"

    def absent(self, context: Context) -> str:
        try:
            folder = context.path(self.images)
        except StepFailed as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        if not folder.is_dir():
            return f"no folder {folder} (declared as {self.images})"
        if not any(self._found(folder)):
            return f"no images {self.pattern} in {folder}"
        return ""

    def open(self, context: Context, fetched: Path | None = None) -> Images:
        self.present(context)
        folder = context.path(self.images)
        return Images(tuple(Sample(id, path, path.relative_to(folder).as_posix()) for id, path in enumerate(self._files(folder), 1)))

    def _files(self, folder: Path) -> list[Path]:
        return sorted(self._found(folder), key=lambda path: path.relative_to(folder).as_posix())

    def _found(self, folder: Path) -> Iterator[Path]:
        return (path for path in folder.glob(self.pattern) if path.suffix.lower() in SUFFIXES and path.is_file())
