"""A vamc build YAML, with or without its vdsp JSON, as a recipe."""

from __future__ import annotations

from pathlib import Path

import msgspec

from zoo.document import Document
from zoo.interop import foreign
from zoo.interop.audit import tensors
from zoo.interop.audit.files import File
from zoo.interop.cursor import Cursor, shown
from zoo.interop.described import Described
from zoo.interop.imports.architectures import GRAPH, UNKNOWN, Architecture, architecture, sized
from zoo.interop.imports.common import begin, file_of, finish, name_of, preprocess
from zoo.interop.imports.draft import Draft
from zoo.pose import vdsp
from zoo.recipe.model import Workspace
from zoo.recipe.workspace import Place

METHODS = {"max": "minmax", "percentile": "percentile", "kl_divergence": "entropy"}
SAID = ("OpType", "OimageWidth", "OimageHeight", "IimageFormat", "NormaType", "ColorCvtCode", "ResizeType", "Padding")


def draft(build: Document, params: Document | None, name: str, place: Place) -> Draft:
    """The recipe that a build YAML (and its vdsp JSON) makes."""
    made = Draft((build, params) if params else (build,))
    root = Cursor(build)
    told = foreign.vamc.described(build)
    checkpoint = root.at("frontend", "checkpoint")
    title = str(made.take(root.at("name"), "title") or "") if root.at("name").text() else ""
    known = architecture([title, Path(build.name).stem, checkpoint.text() or ""])
    if known is UNKNOWN and (checkpoint.text() or "").endswith(".onnx"):
        known = GRAPH
    asked = told.compiled or told.size
    known = sized(known, asked.value if asked else None)
    begin(made, name or name_of(title or Path(build.name).stem), title, known)
    _weights(made, checkpoint, known)
    _input(made, root, told)
    if params:
        _from_json(made, build, params, known)
    else:
        _from_ops(made, root, told, known)
    precision = root.at("backend", "dtype").text() or "fp32"
    if precision in ("fp32", "fp16", "bf16", "int8"):
        made.take(root.at("backend", "dtype"), "targets")
    else:
        precision = "fp32"
    if precision == "int8":
        _calibration(made, root, place.declared)
    made.remark("The file says nothing of how the model is judged: `evaluate:` is yours to write, docs/recipes.md says how.", "decode")
    finish(made, known, told, place.declared, precision)
    return made


def _weights(made: Draft, checkpoint: Cursor, known: Architecture) -> None:
    path = checkpoint.text()
    file, reader = file_of(path) if path else "weights.pth", "onnx" if known.model["type"] == "onnx" else "pth"
    made.data["weights"] = [
        {
            "type": "file",
            "files": [{"name": file, "path": made.take(checkpoint, "weights[0].files[0].path") if path else "", "hash": "none"}],
            "reader": {"type": reader, "file": file},
        }
    ]
    if not path:
        made.remark("CHANGE: the file names no checkpoint.", "weights")
    elif reader == "onnx" and not path.endswith(".onnx"):
        made.remark(
            f"CHANGE: {shown(file)} is no ONNX file: this network is known as a graph alone, so export it and give that.", "weights"
        )
    elif reader == "pth" and not path.endswith((".pth", ".pt")):
        text = f"CHANGE: {shown(file)} is no checkpoint of PyTorch: give the .pth that it was exported from, with its digest."
        made.remark(text, "weights")
    else:
        made.remark("vamc knows no digest: `zoo fetch --pin` writes one into the lock.", "weights")


def _input(made: Draft, root: Cursor, told: Described) -> None:
    for place, (_, shape) in enumerate(root.at("frontend", "shape").entries()):
        if place == 0 and told.shape:
            made.take(shape, "export.shape")


def _from_json(made: Draft, build: Document, params: Document, known: Architecture) -> None:
    """The preprocessing from the JSON, which is what runs, and what the build YAML says otherwise."""
    root = Cursor(params)
    try:
        made.data["preprocess"] = msgspec.to_builtins(vdsp.read(params.data))
    except vdsp.VdspError as error:
        made.data["preprocess"] = preprocess(made, foreign.vdsp.described(params), known)
        for fault in error.faults:
            made.remark(f"CHANGE: {fault} ({shown(params.name)})", "preprocess")
    else:
        config = root.at("OpConfig")
        for at in (root.at("OpType"), *(config.at(key) for key in SAID)):
            made.take(at, "preprocess")
        if str(config.at("NormaType").value).endswith("MINUSMEAN_DIVSTD"):
            made.take(config.at("Mean"), "preprocess.mean")
            made.take(config.at("Std"), "preprocess.std")
    files = (File(Path(one.name), kind, one, named=True) for one, kind in ((build, "vamc"), (params, "vdsp")))
    differences = list(tensors.together(*files))
    ops = Cursor(build).at("dataset", "process_ops")
    if not differences:
        made.take(ops, "preprocess")
    for one in differences:
        made.remark(f"WARNING, {one.kind}: {one.message} ({one.other}). {one.hint}", "preprocess")


def _from_ops(made: Draft, root: Cursor, told: Described, known: Architecture) -> None:
    made.data["preprocess"] = preprocess(made, told, known)
    used = {
        "DecodeImage": (),
        "ToTensor": (),
        "Resize": ("size", "adaptive_side", "interpolation"),
        "Pad": ("pad_to_square", "pad_value", "pad_val", "value"),
        "CvtColor": ("code",),
        "Normalize": ("div255", "mean", "std"),
    }
    fits = bool(told.resize and told.resize.value in ("stretch", "letterbox") and told.size)
    sure = {"Resize": fits, "Pad": fits, "CvtColor": bool(told.colour), "Normalize": bool(told.normalised)}
    for op in root.at("dataset", "process_ops").items():
        kind = op.at("type").text() or ""
        if kind in used and sure.get(kind, True):
            for key in ("type", *used[kind]):
                if op.at(key).exists:
                    made.take(op.at(key), "preprocess")


def _calibration(made: Draft, root: Cursor, workspace: Workspace) -> None:
    """Calibration images are a dataset of zoo.yaml; the file's own folder is none yet."""
    folders = [name for name, one in workspace.datasets.items() if "calib" in name] or [*workspace.datasets]
    if not folders:
        made.remark("CHANGE: an int8 target needs a dataset of zoo.yaml to calibrate on.", "targets")
        return
    path, count, mode = root.at("dataset", "path"), root.at("dataset", "sampler", "get_data_num"), root.at("backend", "quantize")
    found: dict[str, object] = {"dataset": folders[0]}
    if path.exists:
        made.remark(f"CHANGE: the file calibrates on {shown(path.value)}: declare it in zoo.yaml and name it here.", "calibration")
    if (count.whole() or 0) > 0:
        found["images"] = made.take(count, "calibration.images")
    found["leave_out"] = True
    method = mode.at("calibrate_mode")
    if method.value in METHODS:
        found["method"] = {"type": METHODS[made.take(method, "calibration.method")]}
    if isinstance(mode.at("quantize_per_channel").value, bool):
        found["per_channel"] = made.take(mode.at("quantize_per_channel"), "calibration.per_channel")
    made.data["calibration"] = found
