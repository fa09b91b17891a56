"""A network as TorchScript, for toolchains that begin with PyTorch's own format."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.optional import require


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
