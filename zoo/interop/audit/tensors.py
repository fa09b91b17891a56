"""Whether files describe one and the same input tensor: each by itself, and two that belong together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.interop.audit.files import File
from zoo.interop.audit.finding import Finding, Kind, finding
from zoo.interop.cursor import Cursor
from zoo.interop.described import Described, Normalised, Stated, Triple
from zoo.interop.foreign import FORMATS, mmpose, open_model_zoo
from zoo.pose.vdsp_keys import NORMA_TYPES

#: float16 keeps 11 bits, and vdsp JSONs are written from it
RELATIVE, ABSOLUTE = 1e-3, 1e-2


def described(file: File) -> Described:
    """What a file says of its tensor."""
    return FORMATS[file.kind][1](file.document)


def alone(file: File) -> Iterator[Finding]:
    """What a file says against itself."""
    root = Cursor(file.document)
    if file.kind == "vamc":
        yield from _vamc(root, described(file))
    elif file.kind == "vdsp":
        yield from _vdsp(root)
    elif file.kind == "open_model_zoo":
        told = described(file)
        for at, shape in open_model_zoo.shapes(root):
            if told.shape and shape != told.shape.value:
                yield _other("shape", at, f"converted with {sizes(shape)}, and input_info says {sizes(told.shape.value)}", told.shape)
    elif file.kind == "mmpose":
        yield from _mmpose(root)


def together(build: File, params: File) -> Iterator[Finding]:
    """What a build YAML and a vdsp JSON say against each other, each at the JSON's line, which is what runs."""
    yaml, chip = described(build), described(params)
    yield from _size(yaml, chip)
    if yaml.resize and chip.resize and yaml.resize.value != chip.resize.value:
        yield _differ("resize", chip.resize, yaml.resize, f"{chip.resize.value}, and the build YAML does {yaml.resize.value}")
    elif yaml.scaled and chip.scaled and yaml.scaled.value not in (chip.scaled.value, chip.scaled.value[::-1]):
        text = f"it crops from {sizes(chip.scaled.value)}, the build YAML from {sizes(yaml.scaled.value)}"
        yield _differ("resize", chip.scaled, yaml.scaled, text)
    if yaml.interpolation and chip.interpolation and _method(yaml.interpolation.value) != _method(chip.interpolation.value):
        text = f"{chip.interpolation.value}, and the build YAML says {yaml.interpolation.value}"
        yield _differ("interpolation", chip.interpolation, yaml.interpolation, text)
    if yaml.pad and chip.pad and not close(yaml.pad.value, chip.pad.value):
        yield _differ("padding", chip.pad, yaml.pad, f"it pads with {list(chip.pad.value)}, the build YAML with {list(yaml.pad.value)}")
    yield from _colour(yaml, chip)
    if yaml.normalised and chip.normalised and not _same(yaml.normalised.value, chip.normalised.value):
        text = f"{chip.normalised.said} gives {chip.normalised.value}, the build YAML calibrates on {yaml.normalised.value}"
        meant = _would_agree(Cursor(params.document), yaml.normalised.value)
        hint = f"NormaType {meant} would give what the build YAML has" if meant else ""
        yield _differ("normalisation", chip.normalised, yaml.normalised, text, hint)


def measured(model: File, check: File) -> Iterator[Finding]:
    """Whether Open Model Zoo's figure was measured on the shape that its model declares."""
    declared, used = described(model).compiled, described(check).size
    if not declared or not used:
        return
    wanted, (tall, wide) = declared.value, used.value
    if (tall or wanted[0]) == wanted[0] and (wide or wanted[1]) == wanted[1]:
        return
    free = " with the other side free" if None in (tall, wide) else ""
    text = f"the figure is measured at {_side(tall, wide)}{free}, and {model.path.name} declares {sizes(wanted)}"
    hint = "it is not the figure of the shape that is declared and compiled: publish it with its size, or measure that one"
    yield finding(used.place, "shape", text, hint, declared.place)


def _side(tall: int | None, wide: int | None) -> str:
    return sizes((tall, wide)) if tall and wide else f"height {tall}" if tall else f"width {wide}"


def _vamc(root: Cursor, told: Described) -> Iterator[Finding]:
    if told.size and told.compiled and None not in told.size.value:
        wanted = told.compiled.value
        if told.size.value not in (wanted, wanted[::-1]):
            text = f"process_ops gives {sizes(told.size.value)}, and frontend.shape compiles {sizes(wanted)}"
            yield finding(told.size.place, "shape", text, "the network refuses one of them: make them equal", told.compiled.place)
    for op in root.at("dataset", "process_ops").items():
        if op.at("type").value == "Normalize":
            yield from _range(op.at("mean"), op.at("std"), op.at("div255").value is not False, "div255: false", "div255: true")


def _vdsp(root: Cursor) -> Iterator[Finding]:
    config = root.at("OpConfig")
    name, mean, std = config.at("NormaType"), config.at("Mean"), config.at("Std")
    known = NORMA_TYPES.get(name.value) if isinstance(name.value, str) else None
    if name.value in ("MINUSMEAN_DIVSTD", "DIV255_MINUSMEAN_DIVSTD"):
        yield from _range(mean, std, name.value != "MINUSMEAN_DIVSTD", "MINUSMEAN_DIVSTD", "DIV255_MINUSMEAN_DIVSTD")
    elif known and (mean.exists or std.exists):
        neutral = ((0.0, 1.0), known, (known[0] / 255, known[1] / 255))
        values = mean.three(), std.three()
        if not any(all(value is None or set(value) == {one} for value, one in zip(values, pair, strict=True)) for pair in neutral):
            text = f"Mean and Std are not used: {name.value} is {Normalised((known[0],) * 3, (known[1],) * 3)}"
            hint = "remove them, or say the NormaType that takes them: DIV255_MINUSMEAN_DIVSTD in 0..1, MINUSMEAN_DIVSTD in 0..255"
            yield finding((mean if mean.exists else std).key_place, "unused", text, hint, name.place)


def _range(mean: Cursor, std: Cursor, divided: bool, whole: str, unit: str) -> Iterator[Finding]:
    """Mean and deviation that were meant for pixels of another range."""
    centre, spread = mean.three(), std.three()
    if centre is None or spread is None:
        return
    if divided and max(map(abs, centre)) > 2:
        text = f"mean {list(centre)} is of pixels in 0..255, and they are divided by 255 first"
        yield finding(mean.place, "range", text, f"say {whole}, or divide mean and deviation by 255")
    elif not divided and max(map(abs, centre)) <= 1 and max(spread) < 1:
        text = f"mean {list(centre)} and deviation {list(spread)} are of pixels in 0..1, and these are in 0..255"
        yield finding(mean.place, "range", text, f"say {unit}, or give mean and deviation times 255")


def _mmpose(root: Cursor) -> Iterator[Finding]:
    for model in root.at("Models").items():
        name, weights = model.at("Name"), model.at("Weights")
        here, there = mmpose.size_of(name), mmpose.size_of(weights)
        if here and there and here != there:
            text = f"the model is called {sizes(here)} and its weights {sizes(there)}"
            yield finding(weights.place, "shape", text, "take the weights that belong to the name", name.place)


def _size(yaml: Described, chip: Described) -> Iterator[Finding]:
    if not chip.size or None in chip.size.value:
        return
    cases: tuple[tuple[Stated[tuple[int | None, int | None]] | Stated[tuple[int, int]] | None, Kind, str], ...] = (
        (yaml.size, "size", "the build YAML calibrates on"),
        (yaml.compiled, "shape", "frontend.shape compiles"),
    )
    for told, kind, what in cases:
        # of `size` in process_ops nobody says which side comes first
        if told and told.value not in (chip.size.value, chip.size.value[::-1] if kind == "size" else chip.size.value):
            text = f"the network is given {sizes(chip.size.value)}, and {what} {sizes(told.value)}"
            yield finding(
                chip.size.place, kind, text, "make OimageHeight and OimageWidth, process_ops and frontend.shape equal", told.place
            )
            return


def _colour(yaml: Described, chip: Described) -> Iterator[Finding]:
    if not chip.colour:
        return
    if yaml.colour and yaml.colour.value != chip.colour.value:
        text = f"the network is given {chip.colour.value.upper()}, the build YAML calibrates on {yaml.colour.value.upper()}"
        yield _differ("colour", chip.colour, yaml.colour, text)
    elif not yaml.colour and chip.colour.value == "bgr":
        text = f"the network is given BGR ({chip.colour.said}), and the build YAML has no colour step"
        hint = "they agree only where DecodeImage gives BGR; vamc's own files take RGB from it: add {type: CvtColor, code: RGB2BGR}"
        yield finding(chip.colour.place, "colour", text, hint, yaml.where)


def _would_agree(root: Cursor, wanted: Normalised) -> str:
    """The NormaType with which this JSON would give the tensor that is wanted."""
    mean, std = root.at("OpConfig", "Mean").three(), root.at("OpConfig", "Std").three()
    for name, known in NORMA_TYPES.items():
        if known:
            value = Normalised((known[0],) * 3, (known[1],) * 3)
        elif mean and std:
            scale = 255.0 if name.startswith("DIV255") else 1.0
            value = Normalised((mean[0] * scale, mean[1] * scale, mean[2] * scale), (std[0] * scale, std[1] * scale, std[2] * scale))
        else:
            continue
        if _same(value, wanted):
            return name
    return ""


def _differ(kind: Kind, chip: Stated[object], yaml: Stated[object], text: str, hint: str = "") -> Finding:
    return finding(chip.place, kind, text, hint or "calibrate on what the chip will give: make them equal", yaml.place)


def _other(kind: Kind, at: Cursor, text: str, other: Stated[object]) -> Finding:
    return finding(at.place, kind, text, "make them equal", other.place)


def _same(one: Normalised, other: Normalised) -> bool:
    return close(one.centre, other.centre) and close(one.spread, other.spread)


def close(one: Triple, other: Triple) -> bool:
    """Whether three values are equal as far as float16 keeps them."""
    return all(math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) for a, b in zip(one, other, strict=True))


def _method(name: str) -> str:
    return name.lower().removeprefix("inter_").removeprefix("bi")


def sizes(sizes: tuple[int | None, ...]) -> str:
    """A shape, or a height and a width, as people write them."""
    return "x".join(map(str, sizes))
