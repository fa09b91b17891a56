"""A network as TorchScript, for toolchains that begin with PyTorch's own format."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.context import Context
from zoo.measure.isolated import run_isolated
from zoo.models.base import Architecture
from zoo.optional import require
from zoo.steps.bundle import said
from zoo.steps.export import load
from zoo.steps.step import Step


class WriteTorchScript(Step, frozen=True, kw_only=True, tag="torchscript"):
    """Trace the module with its weights; the file says of itself what the exported ONNX file does."""

    model: Architecture
    shape: tuple[int, int, int, int]
    """The example input: batch, channels, height, width."""
    name: str
    """Of the file."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("torch",)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `weights` and `exported` (its records); writes the file."""
        context.report("tracing")
        # from a process of its own, so that its bytes do not depend on what was traced before
        run_isolated(trace, self.model, given["weights"], self.shape, out / self.name, said(given["exported"]), context=context)


def trace(model: Architecture, weights: Path, shape: tuple[int, ...], path: Path, said: Mapping[str, str], context: Context) -> None:
    """Write the file."""
    module, _ = load(model, weights, context)
    write(module, shape, path, said)


def write(module: Any, shape: tuple[int, ...], path: Path, said: Mapping[str, str]) -> None:
    """Trace `module` (in evaluation mode) on zeros of `shape` into `path`; the file takes any batch and size.

    torch numbers the classes that it meets again, and counts through a process's whole life: equal modules give equal
    bytes where a process traces nothing else. `said` goes into the file beside the code, where
    `torch.jit.load(path, _extra_files={name: ""})` finds it.
    """
    torch = require("torch")
    whole = path.with_name(f"{path.name}.traced")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own news about its successors
        # parity compares the two on real images; torch's own check would run both once more on zeros
        traced = torch.jit.trace(module, torch.zeros(shape), check_trace=False)
        torch.jit.save(traced, whole, _extra_files=dict(said))
    _without_places(torch, whole, path)
    whole.unlink()


def _without_places(torch: Any, source: Path, path: Path) -> None:
    """Copy an archive of torch's but for the records that say in which file of this machine each line of code stood."""
    reader = torch._C.PyTorchFileReader(str(source))
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in sorted(reader.get_all_records()):
        # the writer adds the version, and a number made of all records, by itself
        if not name.endswith(".debug_pkl") and name not in ("version", ".data/serialization_id"):
            data = reader.get_record(name)
            writer.write_record(name, data, len(data))
    writer.set_min_version(int(reader.get_record("version")))
    writer.write_end_of_file()
