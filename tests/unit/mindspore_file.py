"""MindSpore checkpoints, written as its `save_checkpoint` writes them."""

import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

#: NumPy's types by MindSpore's names; bfloat16 is given as float32 and cut
KINDS = {"Float32": "<f4", "Float16": "<f2", "Float64": "<f8", "Int32": "<i4", "Int64": "<i8", "UInt8": "u1", "Bool": "?"}


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def block(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(tag: str, kind: str, dims: Sequence[int], content: bytes, *, packed: bool = False) -> bytes:
    """One value of a file."""
    sizes = block(1, b"".join(map(varint, dims))) if packed else b"".join(varint(1 << 3) + varint(dim) for dim in dims)
    return block(1, block(1, tag.encode()) + block(2, sizes + block(2, kind.encode()) + block(3, content)))


def content_of(array: Any, kind: str) -> bytes:
    if kind == "BFloat16":
        return (np.asarray(array, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    return np.asarray(array).astype(KINDS[kind]).tobytes()


def tensor(tag: str, array: Any, kind: str = "Float32", *, pieces: int = 1, packed: bool = False) -> bytes:
    """A tensor's values: `pieces` of them, of which each says the dims of the whole."""
    content, dims = content_of(array, kind), np.shape(array) or (0,)
    ends = [len(content) * piece // pieces for piece in range(pieces + 1)]
    return b"".join(value(tag, kind, dims, content[start:end], packed=packed) for start, end in pairwise(ends))


def checkpoint(tensors: Mapping[str, Any], *, prefix: str = "", checked: bool = False) -> bytes:
    """A file of float32 tensors."""
    whole = b"".join(tensor(prefix + tag, array) for tag, array in tensors.items())
    return whole + (b"crc_num" + zlib.crc32(whole).to_bytes(10, "big") if checked else b"")
