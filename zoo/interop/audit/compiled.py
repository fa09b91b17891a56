"""Files beside the models that they speak of: the ONNX file that a build YAML names, a model of ours with its vdsp JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from zoo.interop.audit.files import File
from zoo.interop.audit.finding import Finding, finding
from zoo.interop.audit.tensors import close, described, sizes
from zoo.interop.cursor import Cursor, Place, shown
from zoo.pose.preprocess import Preprocess

#: what every build writes beside a model: how its images are prepared
PREPROCESS = "preprocess.json"
MAX_BYTES = 1 << 20


def compiled(file: File) -> Iterator[Finding]:
    """What a file says against the model that lies here."""
    if file.kind == "vamc":
        yield from _graph(file)
    elif file.kind == "vdsp":
        yield from _model(file)


def _graph(file: File) -> Iterator[Finding]:
    """`frontend.shape` against the inputs of the ONNX file, axes that the file leaves open apart."""
    front = Cursor(file.document).at("frontend")
    text = front.at("checkpoint").text()
    inputs = _inputs(file.path.parent / os.path.expandvars(text)) if text and text.endswith(".onnx") else {}
    if not text or not inputs:
        return
    for name, at in front.at("shape").entries():
        shape, there = at.wholes(), inputs.get(name)
        if there is None:
            message = f"{shown(text)} has no input {shown(name)}"
            yield finding(at.key_place, "shape", message, f"its inputs: {', '.join(map(shown, inputs))}")
        elif shape and not _takes(there, shape):
            said = "x".join(str(side) if side else "?" for side in there)
            yield finding(at.place, "shape", f"{sizes(shape)}, and the input of {shown(text)} is {said}", "make them equal")


def _takes(there: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(there) == len(shape) and all(fixed in (0, asked) for fixed, asked in zip(there, shape, strict=True))


def _inputs(path: Path) -> dict[object, tuple[int, ...]]:
    """Input -> shape, 0 where it is open; nothing where there is no such file, or it cannot be read."""
    try:
        if not path.is_file():
            return {}
        import onnx
        from google.protobuf.message import DecodeError

        try:
            graph = onnx.load(str(path), load_external_data=False).graph
        except DecodeError:
            return {}
    except (OSError, ValueError):
        return {}
    constants = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in constants]
    return {value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in fed}


def _model(file: File) -> Iterator[Finding]:
    """A vdsp JSON against the `preprocess.json` of the model that it lies beside."""
    path = file.path.parent / PREPROCESS
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return
        wanted = msgspec.json.decode(path.read_bytes(), type=Preprocess)
    except (OSError, msgspec.MsgspecError):
        return  # another program's
    told, other = described(file), Place(str(path), 1, 1)
    if told.colour and told.colour.value != wanted.colour:
        text = f"{told.colour.value.upper()}, and the model beside it takes {wanted.colour.upper()}"
        yield finding(told.colour.place, "colour", text, f"{PREPROCESS} says what it was built with", other)
    if told.normalised:
        said = told.normalised.value
        if not (close(said.centre, wanted.mean) and close(said.spread, wanted.std)):
            text = f"{said}, and the model beside it takes (pixel - {list(wanted.mean)}) / {list(wanted.std)}"
            yield finding(told.normalised.place, "normalisation", text, f"{PREPROCESS} says what it was built with", other)
    if told.size and (one := wanted.fit.size) and told.size.value != one:
        text = f"{sizes(told.size.value)}, and the model beside it takes {one[0]}x{one[1]}"
        yield finding(told.size.place, "shape", text, f"{PREPROCESS} says what it was built with", other)
