"""Memory of many megabytes that is gone as soon as nobody needs it."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path


def read_large(path: Path) -> memoryview:
    """The bytes of `path`, in memory that goes back to the system with the last reference to them.

    Freed `bytes` of this size stay with the allocator: it keeps up to twice the largest block that was ever given back to it. The file
    is copied and not mapped, since reading a mapped file that somebody cuts off meanwhile kills the process. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:  # nothing can be mapped, or it is no file that knows its size
            return memoryview(file.read())
        held = mmap.mmap(-1, size)
        return memoryview(held)[: file.readinto(held)]


def give_back() -> None:
    """Memory that has been freed goes back to the system, where the allocator is glibc's: it keeps what lies below a block in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
