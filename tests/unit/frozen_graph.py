"""A frozen TensorFlow graph, written byte by byte: protocol buffers need no TensorFlow."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FLOAT = 1


def node(name: str, operation: str, inputs: Sequence[str] = (), **attributes: bytes) -> bytes:
    """One `node` entry of a GraphDef; attributes are encoded AttrValues."""
    body = _text(1, name) + _text(2, operation) + b"".join(_text(3, source) for source in inputs)
    body += b"".join(_field(5, _text(1, key) + _field(2, value)) for key, value in attributes.items())
    return _field(1, body)


def constant(name: str, value: NDArray[np.float32]) -> bytes:
    """A Const of float32."""
    tensor = _number(1, FLOAT) + _field(2, _shape(value.shape)) + _field(4, value.astype("<f4").tobytes())
    return node(name, "Const", dtype=kind(), value=_field(8, tensor))


def placeholder(name: str, shape: Sequence[int]) -> bytes:
    """An input of float32; -1 stands for any size."""
    return node(name, "Placeholder", dtype=kind(), shape=_field(7, _shape(shape)))


def kind() -> bytes:
    """The attribute value DT_FLOAT."""
    return _number(6, FLOAT)


def text(value: str) -> bytes:
    """A string as an attribute value."""
    return _text(2, value)


def numbers(*values: int) -> bytes:
    """A list of integers as an attribute value."""
    return _field(1, b"".join(_number(3, value) for value in values))


def _shape(sizes: Sequence[int]) -> bytes:
    return b"".join(_field(2, _number(1, size)) for size in sizes)


def _text(field: int, value: str) -> bytes:
    return _field(field, value.encode())


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 127:
        encoded += struct.pack("B", value & 127 | 128)
        value >>= 7
    return encoded + struct.pack("B", value)
