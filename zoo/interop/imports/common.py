"""What the makers of recipes share: names, the network, the input's preprocessing and size."""

from __future__ import annotations

import re
from typing import Any

from zoo.interop.described import Described
from zoo.interop.imports.architectures import Architecture
from zoo.interop.imports.draft import Draft
from zoo.recipe.model import Workspace

FALLBACK = 256
METHODS = {"linear": "linear", "bilinear": "linear", "cubic": "cubic", "bicubic": "cubic", "nearest": "nearest", "area": "area"}


def name_of(text: str) -> str:
    """A name that a recipe may have."""
    return re.sub(r"[^a-z0-9_.-]+", "_", text.lower()).strip("_.-") or "imported"


def file_of(path: str) -> str:
    """The name of a file that a source may promise."""
    name = re.sub(r"[^A-Za-z0-9_.+ -]+", "_", path.rpartition("/")[2])
    return name if re.match(r"[A-Za-z0-9_]", name) else f"file_{name.lstrip('.+ -')}"


def begin(draft: Draft, name: str, title: str, known: Architecture) -> None:
    """The head of a recipe; sections keep the order in which they are first written."""
    draft.data |= {
        "format": 1,
        "name": name,
        "title": title or name,
        "task": known.task,
        "licences": {
            "weights": known.terms or known.licence or "unknown",
            **({"use": "non-commercial"} if known.terms else {}),
            "code": known.licence or "unknown",
            "data": "unknown",
        },
        "paper": "",
        "weights": [],
        "model": known.model,
        "export": {},
        "preprocess": {},
        "edits": [{"type": "onnxsim"}],
        "targets": {},
    }
    draft.remark(known.open or "Known by the model's name; the file itself names no architecture.", "model")
    if known.terms:
        draft.remark(f"CHANGE where these are other weights: the ones known by this name are {known.terms}.", "licences")
    if known.licence:
        draft.remark(f"The file states no licence; the network's authors publish it under {known.licence}.", "licences")


def finish(draft: Draft, known: Architecture, told: Described, workspace: Workspace, precision: str = "fp32") -> None:
    """What stands after the preprocessing: export, targets, decode, benchmark."""
    batch, channels = (told.shape.value[0], told.shape.value[1]) if told.shape else (1, 3)
    asked = told.compiled or told.size
    tall, wide = (side or FALLBACK for side in asked.value) if asked else (FALLBACK, FALLBACK)
    shape = [max(1, batch), 3, _multiple(tall, known), _multiple(wide, known)]
    if not asked:
        draft.remark("CHANGE: the file does not say how large the input is.", "export")
    elif shape != [batch, channels, tall, wide]:
        draft.remark(
            f"The file says {[batch, channels, tall, wide]}; the network takes multiples of {known.stride} and 3 channels.", "export"
        )
    dynamic = {key: known.export[key] for key in ("dynamic",) if key in known.export}
    draft.data["export"] = {"input": told.input or known.export.get("input", "data"), "shape": shape, **dynamic}
    found = [target for target, one in workspace.targets.items() if one.precision == precision]
    plain = [target for target, one in workspace.targets.items() if one.precision == "fp32"]
    for target in [*plain[:1], *found[:1]] if precision != "int8" or "calibration" in draft.data else plain[:1]:
        reason = {"parity": {"snr": 8, "reason": "imported, not measured yet"}}
        imported = {**known.int8, **reason} if precision == "int8" and target in found[:1] else None
        draft.data["targets"].setdefault(target, imported)
    if calibration := draft.data.pop("calibration", None):
        draft.data["calibration"] = calibration
    draft.data["decode"] = known.decode
    for late in ("evaluate", "published"):
        if late in draft.data:
            draft.data[late] = draft.data.pop(late)
    draft.data["benchmark"] = {"height": shape[2], "width": shape[3], "batch": shape[0]}


def preprocess(draft: Draft, told: Described, known: Architecture) -> dict[str, Any]:
    """What a description says, as `preprocess:`; what it leaves open is said in comments."""
    found: dict[str, Any] = {"fit": _fit(draft, told, known)}
    missing = []
    if told.colour:
        found["colour"] = told.colour.value
    else:
        missing.append("in which order the channels are")
        found["colour"] = known.takes[0] if known.takes else "rgb"
    if told.normalised:
        # in 0..255: a product of decimal fractions has no more digits than these
        mean, std = ([float(f"{one:.12g}") for one in values] for values in (told.normalised.value.centre, told.normalised.value.spread))
        found |= {"mean": mean, "std": std}
    else:
        missing.append("how pixels are normalised")
        if known.takes:
            found |= {"mean": [known.takes[1]] * 3, "std": [known.takes[2]] * 3}
    if missing:
        taken = "what this architecture takes stands here" if known.takes else "rgb in 0..255 where it says nothing"
        draft.remark(f"CHANGE if need be: the file does not say {' and '.join(missing)}: {taken}.", "preprocess")
    return found


def _fit(draft: Draft, told: Described, known: Architecture) -> dict[str, Any]:
    size = told.size or told.compiled
    tall, wide = (side or FALLBACK for side in size.value) if size else (FALLBACK, FALLBACK)
    kind = told.resize.value if told.resize else None
    if known.boxed and not kind:
        said = (
            "CHANGE if need be: the file does not say which box the network is shown; a quarter larger than a person's, as mmpose's, here."
        )
        draft.remark(said, "preprocess")
        return {"type": "box", "width": _multiple(wide, known), "height": _multiple(tall, known), "padding": 1.25}
    fit: dict[str, Any] = {"type": "letterbox" if kind == "letterbox" else "stretch"}
    fit |= {"width": _multiple(wide, known), "height": _multiple(tall, known)}
    if kind not in ("letterbox", "stretch"):
        said = f"the file's resize ({kind}) is none that a recipe has" if kind else "the file does not say how images are resized"
        draft.remark(f"CHANGE: {said}; stretched here.", "preprocess")
    method = METHODS.get(told.interpolation.value.removeprefix("inter_")) if told.interpolation else "linear"
    if method is None and told.interpolation:
        draft.remark(f"CHANGE: the interpolation {told.interpolation.value} is none that a recipe has; linear here.", "preprocess")
    fit["interpolation"] = method or "linear"
    # vamc's Pad and the chips' LETTERBOX pad with black where nothing else is said
    return fit | ({"place": "center", "pad": list(told.pad.value if told.pad else (0, 0, 0))} if kind == "letterbox" else {})


def _multiple(side: int, known: Architecture) -> int:
    return max(known.stride, -(-side // known.stride) * known.stride)
