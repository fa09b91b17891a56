"""vamc's build YAML (Vastai's model compiler): `frontend`, `backend`, `dataset` with the preprocessing of the calibration.

`Normalize` divides by 255 first unless `div255: false` says otherwise, and without mean and deviation does nothing more.
`Resize` with `adaptive_side` keeps the aspect and gives that side the positive number of `size`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from zoo.document import Document
from zoo.interop.cursor import Cursor, shown
from zoo.interop.described import Described, Normalised, Resize, Stated, stated
from zoo.interop.foreign.keys import Each, Keys, Typed, Word

DTYPES = Word(("fp32", "fp16", "bf16", "int8"))
MODES = ("max", "percentile", "kl_divergence", "mse")
SIDES = ("long", "short")

OPS = Typed(
    {
        "DecodeImage": Keys({"to_rgb": None, "channel_first": None}),
        "Resize": Keys({"size": None, "adaptive_side": Word(SIDES), "interpolation": None, "backend": None}, needed=("size",)),
        "CenterCrop": Keys({"crop_size": None}, needed=("crop_size",)),
        "Pad": Keys({"pad_to_square": None, "size": None, "pad_value": None, "pad_val": None, "value": None}),
        "CvtColor": Keys({"code": None}, needed=("code",)),
        "ChannelSplit": Keys({}, open=True),
        "Normalize": Keys({"div255": None, "mean": None, "std": None, "norm_type": None}),
        "ToTensor": Keys({}),
        "CustomFunc": Keys({"module_path": None, "func_name": None, "input_shape": None}, open=True),
    }
)
KEYS = Keys(
    {
        "name": None,
        "frontend": Keys(
            {"shape": None, "type": None, "checkpoint": None, "dtype": DTYPES, "model_kwargs": None}, needed=("shape", "checkpoint")
        ),
        "graph": Keys({"extra_ops": Keys({"type": None, "params": None}, open=True)}, open=True),
        "backend": Keys(
            {
                "type": None,
                "dtype": DTYPES,
                "compile": Keys({"cluster_mode": None, "data_transport_mode": None, "output_layout": None, "data_type": None}, open=True),
                "quantize": Keys(
                    {
                        "calibrate_mode": Word(MODES),
                        "quantize_per_channel": None,
                        "skip_conv_layers": None,
                        "skip_matmul_layers": None,
                        "exclude_layers": None,
                        "calibrate_chunk_by": None,
                        "overflow_adaptive": None,
                        "weight_scale": None,
                    }
                ),
                "merge_params": None,
            }
        ),
        "dataset": Keys(
            {
                "type": None,
                "path": None,
                "sampler": Keys({"suffix": None, "get_data_num": None}),
                "process_ops": Each(OPS),
            }
        ),
        "workspace": Keys({"path": None, "work_dir": None, "enable_ir": None, "save_log": None, "workers": None}),
    },
    needed=("frontend",),
)
#: of which section each of these keys tells a build YAML from any other file
TELLING = {
    "frontend": {"checkpoint", "shape", "dtype"},
    "backend": {"dtype", "compile", "quantize"},
    "dataset": {"process_ops", "sampler"},
}


def recognised(data: Any) -> bool:
    """Whether a document is a build YAML."""
    if not isinstance(data, dict):
        return False
    return any(isinstance(section := data.get(name), dict) and keys & section.keys() for name, keys in TELLING.items())


def described(document: Document) -> Described:
    """The tensor that the network is calibrated on, and the shape that it is compiled for."""
    root = Cursor(document)
    ops = root.at("dataset", "process_ops")
    found = Described(ops.key_place if ops.exists else root.place)
    for name, shape in root.at("frontend", "shape").entries()[:1]:
        sizes = shape.wholes()
        if sizes and len(sizes) == 4:
            found = replace(found, input=shown(name), shape=stated(sizes, shape), compiled=stated((sizes[2], sizes[3]), shape))
    for op in ops.items():
        reader = _READERS.get(op.at("type").text() or "")
        if reader:
            found = reader(op, found)
    return found


def _resize(op: Cursor, found: Described) -> Described:
    size = op.at("size")
    sides = size.wholes()
    if not sides or len(sides) > 2 or max(sides) < 1:
        return found
    interpolation = op.at("interpolation")
    if interpolation.text():
        found = replace(found, interpolation=stated(str(interpolation.value).lower(), interpolation))
    given = op.at("adaptive_side").text()
    kind: Resize = "stretch"
    if given in SIDES or min(sides) < 1:
        kind = "short side" if given == "short" else "long side"
        return replace(found, size=None, resize=stated(kind, size), scaled=stated((max(sides), max(sides)), size))
    tall, wide = (sides * 2)[:2]
    return replace(found, size=stated((tall, wide), size), resize=stated(kind, size), scaled=stated((tall, wide), size))


def _crop(op: Cursor, found: Described) -> Described:
    size = op.at("crop_size")
    sides = size.wholes()
    if not sides or len(sides) > 2 or min(sides) < 1:
        return found
    tall, wide = (sides * 2)[:2]
    return replace(found, size=stated((tall, wide), size), resize=stated("crop", size))


def _pad(op: Cursor, found: Described) -> Described:
    square = op.at("pad_to_square")
    for key in ("pad_value", "pad_val", "value"):
        if value := op.at(key).three():
            found = replace(found, pad=stated(value, op.at(key)))
    if square.value is True and found.scaled and found.resize and found.resize.value == "long side":
        return replace(found, size=Stated(found.scaled.value, found.scaled.place, found.scaled.said), resize=stated("letterbox", square))
    return found


def _colour(op: Cursor, found: Described) -> Described:
    code = op.at("code")
    match = re.search(r"(?:RGB|BGR)2(RGB|BGR)", (code.text() or "").upper())
    if not match:
        return found
    return replace(found, colour=stated("rgb" if match[1] == "RGB" else "bgr", code))


def _normalize(op: Cursor, found: Described) -> Described:
    factor = 1.0 if op.at("div255").value is False else 255.0
    mean, std = op.at("mean"), op.at("std")
    centre = mean.three() if mean.exists else (0.0, 0.0, 0.0)
    spread = std.three() if std.exists else (1.0, 1.0, 1.0)
    if centre is None or spread is None or min(spread) <= 0:
        return found
    value = Normalised(_times(centre, factor), _times(spread, factor))
    return replace(found, normalised=stated(value, mean if mean.exists else op, f"{op.name} ({'div255' if factor > 1 else 'no div255'})"))


def _times(values: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return values[0] * factor, values[1] * factor, values[2] * factor


_READERS = {"Resize": _resize, "CenterCrop": _crop, "Pad": _pad, "CvtColor": _colour, "Normalize": _normalize}
