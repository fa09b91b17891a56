"""Files of a repository on the Hugging Face hub, at one revision."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta

from zoo.context import Context
from zoo.sources.base import File, SourceBase, only
from zoo.sources.download import download

ENDPOINT = "https://huggingface.co"


class HuggingFaceFile(File, frozen=True, kw_only=True):
    """A file and its place in the repository."""

    path: Annotated[str, Meta(description="Where it lies in the repository; empty means under its name")] = ""


class HuggingFace(SourceBase, frozen=True, kw_only=True, tag="huggingface"):
    """Files of a repository. The environment's HF_ENDPOINT names a mirror of the hub."""

    repository: Annotated[str, Meta(description="OWNER/NAME", pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Meta(description="A commit; a branch would change under your hands", min_length=1)]
    files: Annotated[tuple[HuggingFaceFile, ...], Meta(min_length=1, description="All are needed")]

    def wanted(self) -> tuple[HuggingFaceFile, ...]:
        return self.files

    def url(self, file: HuggingFaceFile, context: Context) -> str:
        """The address of `file` at the revision."""
        endpoint = context.environment.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
        return f"{endpoint}/{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(file.path or file.name)}"

    def describe(self) -> str:
        return f"{self.repository} at {self.revision[:12]} on the Hugging Face hub"

    def get(self, name: str, out: Path, context: Context) -> str:
        file = only(self.files, name)
        return download(self.url(file, context), out, context, size=file.size)
