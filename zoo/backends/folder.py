"""The folder of a compiled model: what the runtime opens, `compiled.json`, and the records that came along."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from zoo.errors import StepFailed
from zoo.files import write_bytes
from zoo.record import Record, canonical

if TYPE_CHECKING:
    import onnx

MODEL = "model.onnx"
RECORD = "compiled.json"

Shape = tuple[int, ...]
#: input -> (least, usual, greatest) shape
Shapes = Mapping[str, tuple[Shape, Shape, Shape]]


class Compiled(Record, frozen=True, kw_only=True):
    """`compiled.json`: what was asked of the compiler."""

    format: Literal[1] = 1
    backend: Annotated[str, Meta(description="the backend's `type`")]
    precision: Annotated[str, Meta(description="the precision that was asked for; what is really computed in, the runner says")]
    outputs: Annotated[tuple[str, ...], Meta(description="the outputs' names, in the graph's order")]


def read_model(folder: Path, file: str = MODEL) -> onnx.ModelProto:
    """`model.onnx` of an artifact. Raises StepFailed where there is none."""
    import onnx

    if not (folder / file).is_file():
        raise StepFailed(f"there is no {file} in {folder.name}", "compile an artifact of an export, edit, fp16 or int8 step")
    return onnx.load(folder / file)


def publish(model_dir: Path, out: Path, record: Compiled) -> None:
    """Copy the records (`*.json`) of `model_dir` to `out` and write `compiled.json` beside them."""
    for path in sorted(model_dir.glob("*.json")):
        if path.name != RECORD:
            shutil.copyfile(path, out / path.name)
    write_bytes(out / RECORD, canonical(record) + b"\n")


def read_record(folder: Path) -> Compiled:
    """`compiled.json`. Raises StepFailed where the folder holds no compiled model."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Compiled)
    except (OSError, msgspec.MsgspecError) as error:
        raise StepFailed(f"{folder.name} holds no compiled model: {error}", "build it again: `zoo build --again`") from error


def require_precision(model: onnx.ModelProto, precision: str, known: tuple[str, ...], backend: str) -> None:
    """Raise StepFailed where the backend knows no such precision, or the graph was not made for it."""
    import onnx

    if precision not in known:
        raise StepFailed(f"{backend} does not build {precision}", f"it builds {', '.join(known)}")
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if quantised != (precision == "int8"):
        state = "quantised" if quantised else "not quantised"
        raise StepFailed(
            f"the graph is {state} and the precision asked for is {precision}", "INT8 is made by the int8 step, and by it alone"
        )
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    if half and precision != "fp16":
        raise StepFailed(
            f"the graph holds float16 and the precision asked for is {precision}", "float16 is made by the fp16 step, and by it alone"
        )


def single(shape: Mapping[str, Shape] | None, inputs: tuple[str, ...]) -> dict[str, Shape]:
    """`shape` by the inputs' names; the name "" stands for the only input. Raises StepFailed for a name that is no input."""
    if not shape:
        return {}
    if "" in shape and len(shape) == len(inputs) == 1:
        return {inputs[0]: shape[""]}
    for name in shape:
        if name not in inputs:
            raise StepFailed(f"the model has no input {name!r}", f"its inputs: {', '.join(inputs)}")
    return dict(shape)


def fixed_axes(shapes: Shapes, inputs: tuple[str, ...]) -> dict[str, tuple[int | None, ...]]:
    """Each input's axes that may not change (least equals greatest), the others None."""
    for name in shapes:
        if name not in inputs:
            raise StepFailed(f"shapes are given for {name!r}, which is no input", f"the graph's inputs: {', '.join(inputs)}")
    return {
        name: tuple(low if low == high else None for low, high in zip(least, greatest, strict=True))
        for name, (least, _, greatest) in shapes.items()
    }


def input_names(model: onnx.ModelProto) -> tuple[str, ...]:
    """The inputs that are fed (old files list their constants among them)."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return tuple(value.name for value in model.graph.input if value.name not in constants)


def fix(model: onnx.ModelProto, axes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Write sizes into the inputs' shapes in place, where not None; the outputs' follow.

    Raises StepFailed where the graph has another fixed size there, or another number of axes."""
    import onnx

    changed = False
    for value in model.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        wanted = axes.get(value.name, (None,) * len(dimensions))
        if len(wanted) != len(dimensions):
            raise StepFailed(f"the input {value.name!r} has {len(dimensions)} axes, the shape asked for has {len(wanted)}")
        for axis, (dimension, size) in enumerate(zip(dimensions, wanted, strict=True)):
            if size is None or dimension.dim_value == size:
                continue
            if dimension.HasField("dim_value"):
                raise StepFailed(
                    f"axis {axis} of the input {value.name!r} is {dimension.dim_value} in the graph and cannot be {size}",
                    "export it with that axis dynamic, or ask for the size that it has",
                )
            dimension.dim_value = size
            changed = True
    if changed:
        del model.graph.value_info[:]
        for value in model.graph.output:
            for dimension in value.type.tensor_type.shape.dim:
                dimension.Clear()
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        model.graph.CopyFrom(inferred.graph)
