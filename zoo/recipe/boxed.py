"""Whether what a recipe says of boxes can be: who needs them, who has none to give, and what else is asked of crops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from zoo.boxes import AnnotatedBoxes, Boxes, DetectionFile
from zoo.datasets import Coco, Photos, StickPeople
from zoo.pipelines.crops import Mirroring
from zoo.pose.decoders import Decoder
from zoo.pose.fits.box import Box
from zoo.pose.people import People
from zoo.pose.preprocess import Fit
from zoo.pose.skeletons import SKELETONS
from zoo.recipe.faults import Fault, unknown
from zoo.recipe.model import DETECTION, Recipe, Scales, Turns, Workspace
from zoo.recipe.sound import Unsound, evaluations

Path = tuple[str | int, ...]


class Way(NamedTuple):
    """How a recipe's network is used: by itself, or in one of its protocols."""

    path: Path
    """Of the protocol; empty for the recipe's own way."""
    fit: Fit
    decode: Decoder
    flip: bool
    people: People
    turns: Turns
    scales: Scales


def boxed(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """All faults of boxes, of crops and of the people in them."""
    yield from _sources(recipe, workspace)
    for way in _ways(recipe):
        yield from _crops(recipe, way)


def _ways(recipe: Recipe) -> Iterator[Way]:
    """What is sound of them."""
    with suppress(Unsound):
        yield Way((), recipe.preprocess.fit, recipe.decode, recipe.flip, recipe.people, recipe.turns, recipe.scales)
    for index, own in evaluations(recipe):
        with suppress(Unsound):
            fit, decode = own.fit or recipe.preprocess.fit, own.decode or recipe.decode
            flip = recipe.flip if own.flip is None else own.flip
            people, turns, scales = own.people or recipe.people, own.turns or recipe.turns, own.scales or recipe.scales
            yield Way(("evaluate", index), fit, decode, flip, people, turns, scales)


def _crops(recipe: Recipe, way: Way) -> Iterator[Fault]:
    """What is asked of crops that cannot be had of them, or of whole images that only crops give."""
    if not isinstance(way.fit, Box):
        if way.flip:
            yield _where(recipe, way, "flip"), "only networks that look at boxes are run on mirrored crops: their fit is `box`"
        return
    if way.flip and not isinstance(way.decode, Mirroring):
        yield _where(recipe, way, "flip"), "this decoder cannot read a mirrored crop"
    if way.scales != (1.0,):
        yield _where(recipe, way, "scales"), "a crop is run at one scale"
    if way.turns != (0,) and way.fit.width != way.fit.height:
        yield _where(recipe, way, "turns"), "only square crops can be turned"
    if way.people.nms != "none" and not SKELETONS[way.decode.skeleton].sigmas:
        yield _where(recipe, way, "people"), f"{way.decode.skeleton} has no sigmas to compare people with: say `people: {{nms: none}}`"


def _where(recipe: Recipe, way: Way, field: str) -> Path:
    """Where a way says something: at its own field, or else at the protocol, which has it from the recipe."""
    if not way.path:
        return (field,)
    return (*way.path, field) if getattr(recipe.evaluate[int(way.path[1])], field) else way.path


def _sources(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Boxes that are missing, that nobody looks at, and that cannot be had of a dataset."""
    of_boxes = isinstance(recipe.preprocess.fit, Box)
    with suppress(Unsound):
        if of_boxes and recipe.task == DETECTION:
            yield ("preprocess", "fit"), f"a recipe of the task {DETECTION} finds boxes in whole images, and looks at none"
            return
    with suppress(Unsound):
        if recipe.calibration:
            path: Path = ("calibration",)
            yield from _source(path, of_boxes, recipe.calibration.boxes, (recipe.calibration.dataset,), workspace)
    for index, own in evaluations(recipe):
        yield from _source(("evaluate", index), isinstance(own.fit, Box) if own.fit else of_boxes, own.boxes, own.datasets, workspace)


def _source(path: Path, of_boxes: bool, boxes: Boxes | None, datasets: tuple[str, ...], workspace: Workspace) -> Iterator[Fault]:
    if boxes is None:
        if of_boxes:
            yield path, "the network looks at boxes: say with `boxes:` whose, as in {type: annotations}"
        return
    if not of_boxes:
        yield (*path, "boxes"), "nobody looks at these boxes: the fit is not `box`"
        return
    for name in datasets:
        dataset = workspace.datasets.get(name)
        if isinstance(boxes, DetectionFile) and dataset:
            known = dataset.detections if isinstance(dataset, Coco) else {}
            if boxes.name not in known:
                yield (*path, "boxes", "name"), unknown(f"detection file of {name}", boxes.name, known)
        if isinstance(boxes, AnnotatedBoxes) and dataset and not _annotated(dataset):
            yield (*path, "boxes"), f"{name} has no annotations to take boxes from"


def _annotated(dataset: object) -> bool:
    return isinstance(dataset, Coco | StickPeople) or (isinstance(dataset, Photos) and dataset.annotations is not None)
