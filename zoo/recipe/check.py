"""What a schema cannot say: whether the parts of a recipe fit each other and the workspace."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.context import Context
from zoo.datasets import overlap
from zoo.document import Document, read
from zoo.edits import KeepOutputs, Rename
from zoo.errors import Problem
from zoo.pose.decoders import Decoder
from zoo.pose.skeletons import SKELETONS
from zoo.recipe.model import Recipe, Workspace
from zoo.steps.parity import Gate

Fault = tuple[tuple[str | int, ...], str]


def problems(document: Document, recipe: Recipe, workspace: Workspace) -> list[Problem]:
    """Every fault of a recipe that is well-formed, each at its line."""
    return [document.problem(path, message) for path, message in faults(recipe, workspace, Path(document.name).stem)]


def faults(recipe: Recipe, workspace: Workspace, stem: str) -> Iterator[Fault]:
    """The faults as (path of the key, what is wrong)."""
    if recipe.name != stem:
        yield ("name",), f"the file is called {stem}: name and file must agree"
    yield from _targets(recipe, workspace)
    yield from _calibration(recipe, workspace)
    yield from _shapes(recipe)
    for path, decoder in _decoders(recipe):
        yield from _decoding(recipe, path, decoder)
    for index, evaluation in enumerate(recipe.evaluate):
        for place, name in enumerate(evaluation.datasets):
            if name not in workspace.datasets:
                yield ("evaluate", index, "datasets", place), _unknown("dataset", name, workspace.datasets)
        for name in evaluation.gates:
            if name not in evaluation.datasets:
                yield ("evaluate", index, "gates", name), _unknown("dataset of this protocol", name, evaluation.datasets)
    names = [evaluation.protocol for evaluation in recipe.evaluate]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("evaluate", index, "protocol"), f"two protocols are called {name}"


def overlaps(path: Path, recipe: Recipe, workspace: Workspace, context: Context) -> list[Problem]:
    """Images that a recipe is both calibrated and evaluated on, found by content in the datasets that are present."""
    if recipe.calibration is None:
        return []
    calibration = workspace.datasets[recipe.calibration.dataset]
    found = []
    for name in sorted({name for evaluation in recipe.evaluate for name in evaluation.datasets}):
        if calibration.absent(context) or workspace.datasets[name].absent(context):
            continue
        if shared := overlap(calibration, workspace.datasets[name], context):
            text = f"{len(shared)} of its images are in {name}, which the recipe is evaluated on: {', '.join(shared[:5])}"
            found.append(read(path).problem(("calibration", "dataset"), text))
    return found


def _targets(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    for name, options in recipe.targets.items():
        if name not in workspace.targets:
            yield ("targets", name), _unknown("target", name, workspace.targets)
            continue
        precision = workspace.targets[name].precision
        if options and options.keep and precision != "int8":
            yield ("targets", name, "keep"), f"only int8 targets keep nodes in float, and {name} is {precision}"
        default = getattr(workspace.gates, precision)
        own = options.parity if options else None
        if default is None and own is None:
            yield ("targets", name), f"{precision} has no default parity gate: say one, as in `parity: {{snr: 20, reason: ...}}`"
        if own and _looser(own, default) and not own.reason:
            yield ("targets", name, "parity"), "this gate is looser than the workspace's: say why with `reason:`"


def _looser(own: Gate, default: Gate | None) -> bool:
    if default is None:
        return False
    wider = own.relative is not None and (default.relative is None or own.relative > default.relative)
    lower = own.snr is not None and (default.snr is None or own.snr < default.snr)
    dropped = (own.relative is None and default.relative is not None) or (own.snr is None and default.snr is not None)
    return wider or lower or dropped


def _calibration(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    quantised = [name for name in recipe.targets if name in workspace.targets and workspace.targets[name].precision == "int8"]
    if recipe.calibration is None:
        if quantised:
            yield ("targets", quantised[0]), "an int8 target needs `calibration:`"
        return
    name = recipe.calibration.dataset
    if name not in workspace.datasets:
        yield ("calibration", "dataset"), _unknown("dataset", name, workspace.datasets)
    elif any(name in evaluation.datasets for evaluation in recipe.evaluate):
        yield ("calibration", "dataset"), f"the recipe is evaluated on {name}: calibrating on it would flatter the figures"


def _shapes(recipe: Recipe) -> Iterator[Fault]:
    stride = recipe.model.stride
    _, channels, height, width = recipe.export.shape
    if channels != 3:
        yield ("export", "shape"), f"an image has 3 channels, not {channels}"
    asked: list[tuple[tuple[str | int, ...], int, int]] = [
        (("export", "shape"), height, width),
        (("benchmark",), recipe.benchmark.height, recipe.benchmark.width),
    ]
    for name, options in recipe.targets.items():
        if options and options.shape:
            asked.append((("targets", name, "shape"), *options.shape))
    for path, tall, wide in asked:
        if tall % stride or wide % stride:
            yield path, f"the network takes heights and widths that are multiples of {stride}, not {tall}x{wide}"


def _decoders(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], Decoder]]:
    yield ("decode",), recipe.decode
    for index, evaluation in enumerate(recipe.evaluate):
        if evaluation.decode:
            yield ("evaluate", index, "decode"), evaluation.decode


def _decoding(recipe: Recipe, path: tuple[str | int, ...], decoder: Decoder) -> Iterator[Fault]:
    count = len(SKELETONS[decoder.skeleton].keypoints)
    if count != recipe.model.keypoints:
        yield path, f"the decoder's skeleton {decoder.skeleton} has {count} keypoints, the model finds {recipe.model.keypoints}"
    outputs = _outputs(recipe)
    for role in ("heatmaps", "pafs"):
        name = getattr(decoder, role, None)
        if name is not None and name not in outputs:
            yield (*path, role), _unknown("output", name, outputs)


def _outputs(recipe: Recipe) -> list[str]:
    """The names of the outputs after the recipe's own edits."""
    names = list(recipe.model.outputs)
    for edit in recipe.edits:
        if isinstance(edit, KeepOutputs):
            names = [name for name in names if name in edit.outputs]
        elif isinstance(edit, Rename):
            names = [edit.names.get(name, name) for name in names]
    return names


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"there is no {what} {name!r}; " + (f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}")
