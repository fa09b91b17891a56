"""One model of an mmpose metafile as a recipe."""

from __future__ import annotations

from typing import Any

from zoo.document import Document
from zoo.errors import UsageError
from zoo.interop import foreign
from zoo.interop.cursor import Cursor, shown
from zoo.interop.described import Described
from zoo.interop.imports import boxes
from zoo.interop.imports.architectures import architecture, rtmpose
from zoo.interop.imports.common import begin, file_of, finish, name_of, preprocess
from zoo.interop.imports.draft import Draft
from zoo.recipe.workspace import Place

STATED = "as mmpose states it"
METRICS = {"AP": "AP", "AP@0.5": "AP50", "AP@0.75": "AP75", "AR": "AR", "AR@0.5": "AR50"}


def draft(metafile: Document, chosen: str | None, name: str, place: Place) -> Draft:
    """The recipe of the model that is called `chosen`. Raises UsageError, which names the models, where it is none of them."""
    models = Cursor(metafile).at("Models").items()
    names = [shown(model.at("Name").value) for model in models]
    found = [number for number, model in enumerate(models) if model.at("Name").value == chosen] if chosen else [*range(len(models))]
    if len(found) != 1:
        said = f"there is no {chosen!r} in it" if chosen else f"{len(models)} models"
        raise UsageError(f"{metafile.name}: {said}: choose one with --model", "\n  ".join(names))
    model = models[found[0]]
    made = Draft((metafile,))
    for number, other in enumerate(models):
        if number != found[0]:
            made.others.add((metafile.name, other.path))
            made.beside.append(f"another model of this file, for --model: {names[number]}")
    title = str(made.take(model.at("Name"), "title") or "")
    top_down = rtmpose(title)
    known = top_down or architecture([title])
    begin(made, name or name_of(title), title, known)
    _head(made, Cursor(metafile), model)
    _weights(made, model)
    told: Described = foreign.mmpose.described(metafile, found[0])
    if top_down and (size := foreign.mmpose.size_of(model.at("Name"))):
        boxes.crops(made, size)
        precision = boxes.judged(made, place)
    else:
        made.data["preprocess"] = preprocess(made, told, known)
        made.remark("A metafile says nothing of the input but its size, in the name: `Config` holds the rest.", "preprocess")
        precision = "fp32"
    published = _published(made, model, boxes.MMPOSE if top_down else STATED)
    if published:
        made.data["published"] = published
    finish(made, known, told, place.declared, precision)
    return made


def _head(made: Draft, root: Cursor, model: Cursor) -> None:
    data = model.at("Metadata", "Training Data")
    if words := [part for part in (data.value if isinstance(data.value, list) else [data.value]) if isinstance(part, str)]:
        made.take(data, "licences.data")
        made.data["licences"]["data"] = ", ".join(words)
    for collection in root.at("Collections").items():
        if collection.at("Name").value != model.at("In Collection").value:
            continue
        paper = collection.at("Paper", "URL")
        if paper.text():
            made.data["paper"] = made.take(paper, "paper")


def _weights(made: Draft, model: Cursor) -> None:
    at = model.at("Weights")
    address = at.text() or ""
    file = file_of(address) if address else "weights.pth"
    digits = foreign.mmpose.DIGITS.search(address)
    entry: dict[str, Any] = {"name": file}
    if address.startswith(("http://", "https://")):
        entry["url"] = made.take(at, "weights[0].files[0].url")
    elif address:
        entry["path"] = made.take(at, "weights[0].files[0].path")
    entry["hash"] = f"sha256-prefix:{digits[1]}" if digits else "none"
    kind = "url" if "url" in entry else "file"
    made.data["weights"] = [{"type": kind, "files": [entry], "reader": {"type": "pth", "file": file, "key": "state_dict"}}]


def _published(made: Draft, model: Cursor, stated: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for result in model.at("Results").items():
        dataset, task = result.at("Dataset"), result.at("Task")
        for key, metric in result.at("Metrics").entries():
            value = metric.number()
            if value is None:
                continue
            into = f"published[{len(found)}]"
            made.take(metric, f"{into}.value")
            words = [made.take(at, f"{into}.protocol") for at in (dataset, task) if at.text()]
            protocol = ", ".join([stated if dataset.value == "COCO" else STATED, *words])
            found.append(
                {"metric": METRICS.get(shown(key), shown(key) or "figure"), "value": value, "protocol": protocol, "source": "mmpose"}
            )
    return found
