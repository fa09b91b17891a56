"""Open Model Zoo's model.yml, with or without its accuracy-check.yml, as a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.document import Document
from zoo.interop import foreign
from zoo.interop.cursor import Cursor, shown
from zoo.interop.imports import boxes
from zoo.interop.imports.architectures import Architecture, architecture, sized
from zoo.interop.imports.common import METHODS, begin, file_of, finish, name_of, preprocess
from zoo.interop.imports.draft import Draft
from zoo.recipe.model import Workspace
from zoo.recipe.workspace import Place

_PRECISIONS = ("FP32", "FP16", "FP16-INT8")


def draft(model: Document, check: Document | None, name: str, place: Place) -> Draft:
    """The recipe that a model.yml (and its accuracy-check.yml) makes."""
    made = Draft((model, check) if check else (model,))
    root = Cursor(model)
    told = foreign.open_model_zoo.described(model)
    title = _title(model)
    known = architecture([title, *(str(one.at("name").value) for one in root.at("files").items())])
    known = sized(known, told.compiled.value if told.compiled else None)
    begin(made, name or name_of(title), title, known)
    if licence := root.at("license").text():
        made.take(root.at("license"), "licences.weights")
        made.data["licences"] |= {"weights": licence, "code": licence}
    _weights(made, root, known)
    precision = boxes.judged(made, place) if known.boxed else "fp32"
    made.data["preprocess"] = preprocess(made, told, known)
    shape = root.at("input_info", 0, "shape")
    if told.shape:
        made.take(shape, "export.shape")
    if told.input:
        made.take(root.at("input_info", 0, "name"), "export.input")
    for argument in root.at("model_optimizer_args").items():
        text = argument.text() or ""
        if text.startswith("--reverse_input_channels"):
            made.take(argument, "preprocess.colour")
        elif told.normalised and text.startswith(("--mean_values", "--scale_values")) and foreign.open_model_zoo.values_of(text):
            made.take(argument, "preprocess.mean" if "mean" in text else "preprocess.std")
    if check:
        _judged(made, Cursor(check), place.declared)
    finish(made, known, told, place.declared, precision)
    return made


def _title(model: Document) -> str:
    path = Path(model.name)
    return path.parent.name if path.stem == "model" and path.parent.name else path.stem


def _weights(made: Draft, root: Cursor, known: Architecture) -> None:
    """One source for each precision of an IR; a checkpoint is one by itself. Code is not fetched: the architectures are ours. Of a
    network that is known as a graph alone, the ONNX file that the conversion writes."""
    if known.model["type"] == "onnx":
        file = _converted(root)
        made.remark(f"CHANGE: convert the model with Open Model Zoo's converter, and give the {shown(file)} that it writes.", "weights")
        made.data["weights"] = [{"type": "file", "files": [{"name": file, "hash": "none"}], "reader": {"type": "onnx", "file": file}}]
        return
    files = [one for one in root.at("files").items() if one.at("name").text() and _address(one).text()]
    for precision in _PRECISIONS:
        chosen = [one for one in files if str(one.at("name").value).split("/")[0] == precision]
        graph = next((one for one in chosen if str(one.at("name").value).endswith(".xml")), None)
        if graph is None:
            continue
        reader = {"type": "openvino", "file": file_of(str(graph.at("name").value)), "names": known.layers or "lightweight_openpose"}
        substitute = "" if precision == "FP32" else f"the {precision} that is published beside FP32"
        if not known.layers:
            made.remark("CHANGE: `names` says how the graph's layers map to the architecture: none is known for this.", "weights")
        _source(made, chosen, reader, substitute)
    for one in files:
        if re.search(r"\.(pth|pt|tar|gz|tgz|zip|ckpt|onnx)$", str(one.at("name").value)):
            file = file_of(str(one.at("name").value))
            if not file.endswith((".pth", ".pt")):
                made.remark(f"CHANGE: {shown(file)} is no checkpoint of PyTorch: unpack it, and give the .pth as a `file`.", "weights")
            _source(made, [one], {"type": "pth", "file": file}, "")
    if not made.data["weights"]:
        made.remark("CHANGE: the file lists no weights.", "weights")
        files_ = [{"name": "weights.pth", "hash": "none"}]
        made.data["weights"].append({"type": "file", "files": files_, "reader": {"type": "pth", "file": "weights.pth"}})


def _converted(root: Cursor) -> str:
    """The name of the ONNX file that the conversion writes."""
    arguments = [argument.text() or "" for argument in root.at("conversion_to_onnx_args").items()]
    path = next((text.partition("=")[2] for text in arguments if text.startswith("--output-file=")), "")
    return file_of(path) if path.endswith(".onnx") else "model.onnx"


def _address(one: Cursor) -> Cursor:
    """Where a file is fetched: `source` is an address, or a mapping with one."""
    source = one.at("source")
    at = source.at("url") if isinstance(source.value, dict) else source
    return at if (at.text() or "").startswith(("http://", "https://")) else Cursor(one.document, (*one.path, "source"), None, False)


def _source(made: Draft, chosen: list[Cursor], reader: dict[str, str], substitute: str) -> None:
    place, entries = len(made.data["weights"]), []
    for number, one in enumerate(chosen):
        into = f"weights[{place}].files[{number}]"
        entry: dict[str, Any] = {"name": file_of(made.take(one.at("name"), f"{into}.name")), "url": made.take(_address(one), f"{into}.url")}
        if (one.at("size").whole() or 0) > 0:
            entry["size"] = made.take(one.at("size"), f"{into}.size")
        digest = (one.at("checksum").text() or "").lower()
        entry["hash"] = "none"
        if re.fullmatch(r"[0-9a-f]{96}", digest):
            made.take(one.at("checksum"), f"{into}.hash")
            entry["hash"] = f"sha384:{digest}"
        entries.append(entry)
    source: dict[str, Any] = {"type": "url", "files": entries, "reader": reader}
    made.data["weights"].append(source | ({"substitute": substitute} if substitute else {}))


def _judged(made: Draft, check: Cursor, workspace: Workspace) -> None:
    """The protocol that the figure was measured in, and the figure itself."""
    dataset = check.at("models", 0, "datasets", 0)
    fit = _fit(made, dataset)
    coco = [name for name in workspace.datasets if "coco_val" in name] or [*workspace.datasets]
    if fit and coco:
        called = dataset.at("name").text()
        if called:
            made.remark(f"The file's dataset is {shown(called)}.", "evaluate", 0, "datasets")
        evaluation: dict[str, Any] = {"protocol": "open_model_zoo", "title": "Open Model Zoo's accuracy checker", "datasets": coco[:1]}
        made.data["evaluate"] = [{**evaluation, "fit": fit, "order": "resize_then_normalize"}]
    published = list(_figures(made, dataset))
    if published:
        made.data["published"] = published


def _figures(made: Draft, dataset: Cursor) -> Iterator[dict[str, Any]]:
    for number, metric in enumerate(one for one in dataset.at("metrics").items() if one.at("reference").number() is not None):
        into = f"published[{number}]"
        value = made.take(metric.at("reference"), f"{into}.value")
        words = [made.take(metric.at("type"), f"{into}.protocol")] if metric.at("type").text() else []
        if metric.at("max_detections").exists:
            words.append(f"at most {shown(made.take(metric.at('max_detections'), f'{into}.protocol'))} detections")
        if dataset.at("name").text():
            words.insert(0, made.take(dataset.at("name"), f"{into}.protocol"))
        name = made.take(metric.at("name"), f"{into}.metric") if metric.at("name").text() else "figure"
        protocol = ", ".join(["Open Model Zoo's accuracy checker", *words])
        yield {"metric": name, "value": float(value), "protocol": protocol, "source": Path(metric.document.name).name}


def _fit(made: Draft, dataset: Cursor) -> dict[str, Any] | None:
    """The accuracy checker's resize and padding, where a recipe has the like."""
    steps = {step.at("type").text(): step for step in dataset.at("preprocessing").items()}
    told = foreign.accuracy_checker.described(dataset.document)
    resize, padding = steps.get("resize"), steps.get("padding")
    if not resize or not told.resize or told.resize.value not in ("height", "stretch") or not told.size:
        return None
    method = METHODS.get(told.interpolation.value) if told.interpolation else "linear"
    if method is None:
        return None
    tall, wide = told.size.value
    fit: dict[str, Any] = {"type": "height", "height": tall, "interpolation": method, "rounding": "floor", "place": "center"}
    if told.resize.value == "height":
        stride = padding.at("stride").whole() if padding else None
        fit |= {"multiple": stride if stride and stride % 8 == 0 else 8, "pad": [0, 0, 0]}
    elif tall and wide and tall % 8 == 0 and wide % 8 == 0:
        fit = {"type": "stretch", "width": wide, "height": tall, "interpolation": method}
    else:
        return None
    for step, keys in (
        (resize, ("type", "size", "dst_height", "dst_width", "interpolation", "aspect_ratio_scale")),
        (padding, ("type", "stride")),
    ):
        for key in keys if step else ():
            if step and step.at(key).exists and (step is resize or fit.get("multiple") == step.at("stride").whole()):
                made.take(step.at(key), "evaluate[0].fit")
    return fit
