"""Vastai's vdsp JSON: what their chips do to an image before the network. The words are those of `zoo.pose.vdsp_keys`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.document import Document
from zoo.interop.cursor import Cursor
from zoo.interop.described import Described, Normalised, Resize, stated
from zoo.pose.vdsp_keys import COLOR_CVT_CODES, IIMAGE_FORMATS, KEYS, NORMA_TYPES, OP_TYPES

TOP = ("OpType", "OpConfig")


def recognised(data: Any) -> bool:
    """Whether a document is a vdsp JSON, be it misspelt."""
    if not isinstance(data, dict):
        return False
    return any(key in data for key in TOP) or any(isinstance(part, dict) and len(set(KEYS) & part.keys()) > 2 for part in data.values())


def described(document: Document) -> Described:
    """The tensor that the chip gives the network."""
    root = Cursor(document)
    config = root.at("OpConfig")
    found = Described(root.place)
    tall, wide = config.at("OimageHeight"), config.at("OimageWidth")
    if (height := tall.whole()) and (width := wide.whole()):
        found = replace(found, size=stated((height, width), wide, f"OimageHeight {height} and OimageWidth {width}"))
    op = root.at("OpType")
    if kind := resize_of(op.text() or ""):
        found = replace(found, resize=stated(kind, op, str(op.value)))
    height, width = config.at("ResizeHeight").whole(), config.at("ResizeWidth").whole()
    if height and width:
        found = replace(found, scaled=stated((height, width), config.at("ResizeHeight")))
    if type_ := config.at("ResizeType").text():
        found = replace(found, interpolation=stated("linear" if type_.startswith("BILINEAR") else type_.lower(), config.at("ResizeType")))
    return _colour(config, _normalised(config, replace(found, pad=_pad(config))))


def resize_of(op: str) -> Resize | None:
    """The kind of resize that an operator does."""
    if op not in OP_TYPES:
        return None
    if "LETTERBOX" in op:
        return "letterbox"
    return "crop" if "_CROP_" in op else "stretch" if "RESIZE" in op else None


def _pad(config: Cursor) -> Any:
    pad = config.at("Padding").three()
    return stated(pad, config.at("Padding")) if pad else None


def _normalised(config: Cursor, found: Described) -> Described:
    kind, mean, std = config.at("NormaType"), config.at("Mean").three(), config.at("Std").three()
    name = kind.text() or ""
    if name not in NORMA_TYPES:
        return found
    if known := NORMA_TYPES[name]:
        value = Normalised((known[0],) * 3, (known[1],) * 3)
    elif mean and std and min(std) > 0:
        scale = 255.0 if name.startswith("DIV255") else 1.0
        value = Normalised((mean[0] * scale, mean[1] * scale, mean[2] * scale), (std[0] * scale, std[1] * scale, std[2] * scale))
    else:
        return found
    return replace(found, normalised=stated(value, kind, name))


def _colour(config: Cursor, found: Described) -> Described:
    code, form = config.at("ColorCvtCode"), config.at("IimageFormat").text() or ""
    name = code.text() or ""
    if name not in COLOR_CVT_CODES:
        return found
    turned, arriving = COLOR_CVT_CODES[name], IIMAGE_FORMATS.get(form)
    order = turned[1] if turned else arriving
    if order not in ("rgb", "bgr"):
        return found
    return replace(found, colour=stated("rgb" if order == "rgb" else "bgr", code, f"{form} {name}".strip()))
