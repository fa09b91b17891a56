"""What the checks of all kinds of recipes share: a fault, a name that is not known, the protocols."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from zoo.document import Document
from zoo.errors import Problem
from zoo.recipe.model import Protocol, Workspace

Fault = tuple[tuple[str | int, ...], str]
"""Where in the document, and what is wrong."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no such thing, with the nearest that there is, or else all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"there is no {what} {name!r}; " + (f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}")


def protocols(evaluate: Iterable[tuple[int, Protocol]], workspace: Workspace) -> Iterator[Fault]:
    """Unknown datasets, gates on datasets that are not judged on, two protocols of one name."""
    names: list[str] = []
    for index, protocol in evaluate:
        for place, name in enumerate(protocol.datasets):
            if name not in workspace.datasets:
                yield ("evaluate", index, "datasets", place), unknown("dataset", name, workspace.datasets)
        for name in protocol.gates:
            if name not in protocol.datasets:
                yield ("evaluate", index, "gates", name), unknown("dataset of this protocol", name, protocol.datasets)
            for figure in protocol.gates[name]:
                if figure not in protocol.metric.figures:
                    yield ("evaluate", index, "gates", name, figure), unknown("figure of this metric", figure, protocol.metric.figures)
        if protocol.protocol in names:
            yield ("evaluate", index, "protocol"), f"two protocols are called {protocol.protocol}"
        names.append(protocol.protocol)


def unpaired(evaluate: Sequence[Protocol]) -> Iterator[Fault]:
    """Protocols of a recipe that are to be held against others, and cannot be."""
    known = {protocol.protocol: protocol for protocol in evaluate}
    for index, protocol in enumerate(evaluate):
        if protocol.against is None:
            continue
        path, other = ("evaluate", index, "against"), known.get(protocol.against)
        if protocol.against == protocol.protocol:
            yield path, "a protocol cannot be held against itself"
        elif other is None:
            yield path, unknown("other protocol of this recipe", protocol.against, known.keys() - {protocol.protocol})
        elif not protocol.metric.pairs:
            yield path, "only figures of coco_oks, coco_oks_people and coco_bbox are held against each other"
        elif other.metric != protocol.metric:
            yield path, f"{protocol.against} is judged by another metric"
        elif not set(protocol.datasets) & set(other.datasets):
            yield path, f"{protocol.against} is judged on none of these datasets"


def misnamed(document: Document, name: str) -> list[Problem]:
    """That a recipe and its file are not called alike."""
    stem = Path(document.name).stem
    return [document.problem(("name",), f"the file is called {stem}: name and file must agree")] if name != stem else []
