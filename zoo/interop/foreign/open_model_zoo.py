"""Open Model Zoo's model.yml: files with sha384s, and how Model Optimizer converts them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from zoo.document import Document
from zoo.interop.cursor import Cursor
from zoo.interop.described import Described, Normalised, Triple, stated
from zoo.interop.foreign.keys import Each, Keys

KEYS = Keys(
    {
        "description": None,
        "task_type": None,
        "files": Each(
            Keys({"name": None, "size": None, "checksum": None, "source": None, "original_source": None}, needed=("name", "source"))
        ),
        "postprocessing": Each(Keys(dict.fromkeys(("$type", "file", "format", "pattern", "replacement", "count", "module", "cmd")))),
        "conversion_to_onnx_args": None,
        "input_info": Each(Keys(dict.fromkeys(("name", "shape", "layout")))),
        "model_optimizer_args": None,
        "framework": None,
        "license": None,
        "quantizable": None,
        "quantization_output_precisions": None,
        "model_info": None,
    },
    needed=("files",),
)
TELLING = {"task_type", "framework", "input_info", "model_optimizer_args", "conversion_to_onnx_args"}


def recognised(data: Any) -> bool:
    """Whether a document is a model.yml."""
    return isinstance(data, dict) and len(TELLING & data.keys()) + ("files" in data) > 1


def described(document: Document) -> Described:
    """What the original network wants: Model Optimizer folds these means and scales into its graph."""
    root = Cursor(document)
    found = Described(root.place)
    shape = root.at("input_info", 0, "shape")
    sizes = shape.wholes()
    if sizes and len(sizes) == 4:
        tall, wide = sizes[1:3] if root.at("input_info", 0, "layout").value == "NHWC" else sizes[2:4]
        found = replace(found, compiled=stated((tall, wide), shape), shape=stated(sizes, shape))
    found = replace(found, input=root.at("input_info", 0, "name").text() or "")
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    said: list[Cursor] = []
    for argument in root.at("model_optimizer_args").items():
        text = argument.text() or ""
        if text.startswith("--reverse_input_channels"):
            found = replace(found, colour=stated("rgb", argument, "--reverse_input_channels"))
        for key in ("--mean_values", "--scale_values"):
            values = values_of(text) if text.startswith(key) else None
            if values:
                said.append(argument)
                mean, std = (values, std) if key == "--mean_values" else (mean, values)
    if said and min(std) > 0:
        found = replace(found, normalised=stated(Normalised(mean, std), said[0], "--mean_values and --scale_values"))
    return found


def values_of(text: str) -> Triple | None:
    """The three numbers of `--mean_values=data[1,2,3]`."""
    inside = re.search(r"\[([-\d.,\s]{1,100})\]", text)
    try:
        numbers = [float(part) for part in inside[1].split(",")] if inside else []
    except ValueError:
        return None
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def shapes(root: Cursor) -> list[tuple[Cursor, tuple[int, ...]]]:
    """Every shape that an argument of the conversion states."""
    found = []
    for key in ("conversion_to_onnx_args", "model_optimizer_args"):
        for argument in root.at(key).items():
            match = re.fullmatch(r"--input[-_]shape=\[?(\d{1,6}(?:,\s*\d{1,6}){1,5})\]?", argument.text() or "")
            if match:
                found.append((argument, tuple(int(part) for part in match[1].split(","))))
    return found
