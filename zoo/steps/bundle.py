"""`Bundle`: a graph together with what its input is and where its weights came from."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.files import write_bytes, write_text
from zoo.pose import vdsp_writer
from zoo.pose.preprocess import Preprocess
from zoo.record import canonical
from zoo.steps.provenance import Provenance

if TYPE_CHECKING:
    import onnx

MODEL = "model.onnx"
PREPROCESS = "preprocess.json"
VDSP = "vdsp_params.json"


@dataclass(frozen=True)
class Bundle:
    """`model.onnx`, `preprocess.json` and `provenance.json` of one artifact.

    Beside them lies `vdsp_params.json`, the same preprocessing for Vastai's tools, where vdsp can say it; `zoo emit vdsp` says why
    it cannot. The two records are also copied into the graph's own metadata, so a file that leaves the store still
    explains itself.
    """

    graph: onnx.ModelProto
    preprocess: Preprocess
    provenance: Provenance

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """Read the three files of an artifact."""
        import onnx

        return cls(onnx.load(folder / MODEL), preprocess(folder), Provenance.read(folder))

    def write(self, out: Path) -> None:
        """Check the graph (ONNX's full check and a load in ONNX Runtime) and write the files."""
        import onnx

        from zoo.edits.graph import checked

        graph = checked(self.graph)
        del graph.metadata_props[:]
        for key, value in _said(self.preprocess, self.provenance).items():
            graph.metadata_props.add(key=key, value=value)
        onnx.save(graph, out / MODEL)
        write_bytes(out / PREPROCESS, canonical(self.preprocess) + b"\n")
        with suppress(vdsp_writer.Unsayable):
            write_text(out / VDSP, vdsp_writer.text(self.preprocess))
        self.provenance.write(out)


def said(folder: Path) -> dict[str, str]:
    """What the model in the artifact `folder` says about itself in its own file: the two records, as JSON."""
    return _said(preprocess(folder), Provenance.read(folder))


def _said(preprocess: Preprocess, provenance: Provenance) -> dict[str, str]:
    return {"zoo.preprocess": canonical(preprocess).decode(), "zoo.weights": canonical(provenance).decode()}


def preprocess(folder: Path) -> Preprocess:
    """How images are prepared for the model in the artifact `folder`."""
    return msgspec.json.decode((folder / PREPROCESS).read_bytes(), type=Preprocess)


def model_size(folder: Path) -> int:
    """Bytes of the model (of all models of a pipeline) in an artifact, without the records beside it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
