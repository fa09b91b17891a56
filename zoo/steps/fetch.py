"""Bytes from elsewhere: weights, and photographs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.context import Context
from zoo.errors import MissingTool, WeightsUnreachable
from zoo.files import digest_file
from zoo.licence import Use
from zoo.sources import LocalFile, Source
from zoo.sources.fetch import FILES_HINT, WEIGHTS_HINT, WHOLE_HINT, fetch
from zoo.sources.lock import of_recipe
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.weights.onnx import OnnxReader


class FetchWeights(Step, frozen=True, kw_only=True, tag="fetch"):
    """Take the weights from the first source that has them."""

    owner: str
    sources: tuple[Source, ...]
    licence: str
    """The terms of the weights, and what they allow, where a source says nothing else."""
    use: Use
    rehearse: bool = False

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Writes the files and provenance.json. Raises WeightsUnreachable, or takes none where `rehearse` and they can be seeded."""
        # the file is the network: nothing of it is known without it, and so nothing can be seeded
        whole = any(isinstance(source.reader, OnnxReader) for source in self.sources)
        try:
            found = fetch(self.sources, out, context, self.locked(context.lock), hint=WHOLE_HINT if whole else WEIGHTS_HINT)
        except WeightsUnreachable:
            if whole or not self.rehearse:
                raise
            # what is seeded is nobody's: the terms of the weights that could not be had are not its terms
            seeded = "seeded, for a rehearsal"
            Provenance(source="seeded", files={}, substitute=seeded, licence="none: seeded", use="any", rehearsal=True).write(out)
            return
        source = self.sources[found.index]
        if found.unpinned and source.reader:
            # no digest vouches for them: what cannot be read must not come into the store, where it would be known for good
            with suppress(MissingTool):  # fetching needs no torch; the export will say what is missing
                source.reader.read(out)
        Provenance(
            source=source.describe(),
            files=found.files,
            reader=source.reader,
            substitute=source.substitute,
            licence=source.licence or self.licence,
            use=source.use or self.use,
        ).write(out)

    def locked(self, lock: Mapping[str, str]) -> dict[str, str]:
        """The lock's entries for these files: name -> sha256."""
        return of_recipe(lock, self.owner)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The lock, and what a file of the user's own holds now."""
        own = [context.path(file.path) for source in self.sources if isinstance(source, LocalFile) for file in source.files if file.path]
        return {"lock": self.locked(context.lock), "files": [digest_file(path) for path in own if path.is_file()]}


class FetchPhotos(Step, frozen=True, kw_only=True, tag="fetch_photos"):
    """Take every file of every source: a dataset's photographs."""

    owner: str
    sources: tuple[Source, ...]

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Writes the photographs."""
        for source in self.sources:
            fetch((source,), out, context, self.locked(context.lock), hint=FILES_HINT)

    def locked(self, lock: Mapping[str, str]) -> dict[str, str]:
        """The lock's entries for these files: name -> sha256."""
        return of_recipe(lock, self.owner)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The lock."""
        return {"lock": self.locked(context.lock)}
