"""Files that lie on this machine, or only in a mirror folder."""

import shutil
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from zoo.context import Context
from zoo.errors import StepFailed
from zoo.files import replacing
from zoo.sources.base import File, SourceBase, Unreachable, only


class LocalFileEntry(File, frozen=True, kw_only=True):
    """A file and its path."""

    path: Annotated[
        str, Meta(description="Where it lies ($NAME from the environment, relative from the workspace); empty: only mirrors are searched")
    ] = ""


class LocalFile(SourceBase, frozen=True, kw_only=True, tag="file"):
    """Files that are copied from this machine, or found in a mirror folder by their digest."""

    files: Annotated[tuple[LocalFileEntry, ...], Meta(min_length=1, description="All are needed")]

    def wanted(self) -> tuple[LocalFileEntry, ...]:
        return self.files

    def describe(self) -> str:
        return ", ".join(file.path or f"{file.name} from a mirror folder" for file in self.files)

    def get(self, name: str, out: Path, context: Context) -> str:
        file = only(self.files, name)
        if not file.path:
            raise Unreachable(name, "it is in no mirror folder, and the recipe gives no other place")
        try:
            path = context.path(file.path)
        except StepFailed as error:
            raise Unreachable(file.path, error.message) from error
        if not path.is_file():
            raise Unreachable(str(path), "there is no such file")
        with replacing(out) as temporary:
            shutil.copyfile(path, temporary)
        return str(path)
