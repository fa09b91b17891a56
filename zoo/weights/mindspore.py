"""MindSpore's checkpoints, read without MindSpore.

The format is protobuf's (`checkpoint.proto`): a file is `Value`s one after the other, each with a tag and a tensor of dims, a type by name
and little-endian bytes. What is larger than half a gigabyte is cut into several values of one tag. Nothing in a file is ever run.
Source: MindSpore's `mindspore/train/serialization.py`, up to version 2.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.large import read_large
from zoo.record import Choice
from zoo.weights.names import openpose_vgg19

HINT = "is it a MindSpore .ckpt, saved without a key, and the download complete? A checkpoint of PyTorch's is to be called .pth"
#: by MindSpore's names; bfloat16, which NumPy lacks, is the upper half of a float32
TYPES = {
    **{f"{sign}Int{bits}": np.dtype(f"<{kind}{bits // 8}") for sign, kind in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)},
    **{f"Float{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BFloat16": np.dtype("<u2"),
    "Bool": np.dtype("?"),
}
#: what callbacks write beside the tensors: text, and the state of random numbers
NO_TENSORS = ("str", "random_op")
#: with `crc_check` this and a CRC-32, ten bytes big-endian, follow the last value
CHECKED, CHECK_BYTES = b"crc_num", 10
#: what a network that is trained has in front of its names, where the optimizer's have not
TRAINED = "network."
#: what optimizers and loops keep, in files that have no such prefix
OPTIMIZER = re.compile(
    r"(moments?\d*|accum\w*)\..+|learning_rate(_group_\d+)?|global_step|beta\d_power|loss_scale|scale_sense|current_iterator_step"
    r"|last_overflow_iterator_step|epoch_num|step_num"
)
#: most digits of seven bits of an integer of 64
VARINT = 10


class MindSporeReader(Choice, frozen=True, tag="mindspore"):
    """Reads a `.ckpt` of MindSpore: that of a trained OpenPose, or of the VGG19 which it begins with (`vgg19-0-97_5004.ckpt`).

    Where names begin with `network.` only those are taken, without it, as MindSpore's own evaluation does; else all but the
    optimizer's. Layers of MindSpore's OpenPose and the first ten convolutions of a VGG19 get our names, all others keep theirs.
    """

    file: Annotated[str, Meta(description="name of the checkpoint among the source's files")]

    def read(self, folder: Path) -> dict[str, NDArray[Any]]:
        """The state dict in `folder / file`: key -> array as stored, bfloat16 as float32. Raises StepFailed where it is no such file,
        is damaged, or holds what is no tensor."""
        try:
            values = _values(read_large(folder / self.file))
        except OSError as error:
            raise StepFailed(f"{self.file}: cannot be read: {error.strerror}") from error
        except Torn as error:
            raise StepFailed(f"{self.file}: cannot be read as a checkpoint of MindSpore: {error}", HINT) from error
        trained = any(tag.startswith(TRAINED) for tag in values)
        ours = openpose_vgg19()
        state: dict[str, NDArray[Any]] = {}
        for tag, value in values.items():
            if value.kind in NO_TENSORS or (not tag.startswith(TRAINED) if trained else OPTIMIZER.fullmatch(tag)):
                continue
            layer, _, part = re.sub(r"^_?backbone\.", "", tag.removeprefix(TRAINED)).rpartition(".")
            key = f"{ours.get(layer, layer)}.{part}" if layer else part
            if key in state:
                raise StepFailed(f"{self.file}: two tensors of it are {key}", HINT)
            try:
                state[key] = value.array()
            except Torn as error:
                raise StepFailed(f"{self.file}: {tag}: {error}", HINT) from error
        if not state:
            raise StepFailed(f"{self.file}: there are no weights in it", HINT)
        return state


class Torn(ValueError):
    """Bytes that are not what the format says."""


@dataclass
class Value:
    """One tensor, in one or more pieces."""

    kind: str
    dims: tuple[int, ...]
    pieces: list[memoryview] = field(default_factory=list)

    def array(self) -> NDArray[Any]:
        """The tensor, a copy that may be written. Raises Torn where its bytes are not what its type and dims need."""
        if self.kind not in TYPES:
            raise Torn(f"tensors of the type {self.kind!r} are not known")
        # MindSpore writes a scalar's dims as [0]
        shape = () if self.dims == (0,) else self.dims
        content, kind = b"".join(self.pieces), TYPES[self.kind]
        if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(content):
            raise Torn(f"{len(content)} bytes for a tensor of {self.kind} {list(self.dims)}")
        if self.kind == "BFloat16":
            return (np.frombuffer(content, kind).astype(np.uint32) << 16).view(np.float32).reshape(shape)
        return np.frombuffer(content, kind).reshape(shape).copy()


def _values(data: memoryview) -> dict[str, Value]:
    """Every value of a file by its tag. Raises Torn."""
    promised = _promised(data)
    if promised is not None:
        data = data[: -len(CHECKED) - CHECK_BYTES]
    values: dict[str, Value] = {}
    last, check = "", 0
    for number, entry, whole in _fields(data):
        if number != 1 or isinstance(entry, int):
            raise Torn(f"field {number} where a value was expected")
        tag, tensor = _value(entry)
        kind, dims, content = _tensor(tensor)
        if kind != "random_op":  # MindSpore leaves it out of its sum
            check = zlib.crc32(whole, check)
        if tag != last:
            if tag in values:
                raise Torn(f"{tag} stands there twice")
            values[tag] = Value(kind, dims)
        elif (values[tag].kind, values[tag].dims) != (kind, dims):
            raise Torn(f"the pieces of {tag} are of different tensors")
        values[tag].pieces.append(content)
        last = tag
    if promised not in (None, check):
        raise Torn("its bytes have another CRC-32 than it says")
    return values


def _promised(data: memoryview) -> int | None:
    """The CRC-32 that a file says it has."""
    trailer = bytes(data[-len(CHECKED) - CHECK_BYTES :])
    return int.from_bytes(trailer[len(CHECKED) :], "big") if trailer.startswith(CHECKED) else None


def _value(data: memoryview) -> tuple[str, memoryview]:
    """The tag and the tensor of a value."""
    tag, tensor = "", None
    for number, entry, _ in _fields(data):
        if number == 3:
            raise Torn("it holds a map of tensors, which no network here has")
        if number == 1 and isinstance(entry, memoryview):
            tag = _text(entry)
        elif number == 2 and isinstance(entry, memoryview):
            tensor = entry
    if not tag or tensor is None:
        raise Torn("a value without a tag or a tensor")
    return tag, tensor


def _tensor(data: memoryview) -> tuple[str, tuple[int, ...], memoryview]:
    """The type, the dims and the bytes of a tensor."""
    kind, content = "", None
    dims: list[int] = []
    for number, entry, _ in _fields(data):
        if number == 1:
            dims += [entry] if isinstance(entry, int) else _packed(entry)
        elif number == 2 and isinstance(entry, memoryview):
            kind = _text(entry)
        elif number == 3 and isinstance(entry, memoryview):
            content = entry
    if not kind or content is None:
        raise Torn("a tensor without a type or bytes")
    return kind, tuple(dim - (dim >> 63 << 64) for dim in dims), content


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """(number, an integer or bytes, all its bytes) of every field of a message."""
    at = 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        entry: int | memoryview
        if wire == 0:
            entry, at = _varint(data, at)
        elif wire in (1, 2, 5):
            length, at = _varint(data, at) if wire == 2 else (8 if wire == 1 else 4, at)
            if length > len(data) - at:
                raise Torn(f"it ends {length - len(data) + at} bytes too early")
            entry, at = data[at : at + length], at + length
        else:
            raise Torn(f"byte {start} begins nothing that is known")
        if not number:
            raise Torn(f"byte {start} begins nothing that is known")
        yield number, entry, data[start:at]


def _packed(data: memoryview) -> list[int]:
    """Integers one after the other."""
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The integer at `at`, and where the next byte after it is."""
    value = 0
    for place in range(VARINT):
        if at + place >= len(data):
            raise Torn("it ends within an integer")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise Torn(f"no integer ends at byte {at + VARINT}")


def _text(data: memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise Torn("a name that is no UTF-8") from error
