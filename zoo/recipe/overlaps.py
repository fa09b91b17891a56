"""Images that a recipe is both calibrated and evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.context import Context
from zoo.datasets import Dataset, overlap
from zoo.document import read
from zoo.errors import Problem
from zoo.recipe.composite import AnyRecipe, Composite, parts_of
from zoo.recipe.model import Recipe, Workspace
from zoo.recipe.workspace import shown


def overlaps(path: Path, recipe: AnyRecipe, workspace: Workspace, context: Context) -> list[Problem]:
    """Those of the recipe in the file `path`, each set at the line that names what overlaps."""
    names = {name for protocol in recipe.evaluate for name in protocol.datasets}
    found = shared(recipe, workspace, {name: workspace.datasets[name] for name in names}, context)
    line = ("evaluate",) if isinstance(recipe, Composite) else ("calibration", "dataset")
    return [read(shown(path)).problem(line, text) for text in found]


def shared(recipe: AnyRecipe, workspace: Workspace, judged_on: Mapping[str, Dataset], context: Context) -> list[str]:
    """For each of `judged_on` that is present, what it has in common with a calibration, by content; not what is left out."""
    return [text for part in parts_of(recipe).values() for text in _shared(part, workspace, judged_on, context)]


def _shared(recipe: Recipe, workspace: Workspace, judged_on: Mapping[str, Dataset], context: Context) -> list[str]:
    if recipe.calibration is None or recipe.calibration.leave_out:
        return []
    calibration = workspace.datasets[recipe.calibration.dataset]
    found = []
    for name, dataset in sorted(judged_on.items()):
        if calibration.absent(context) or dataset.absent(context):
            continue
        if images := overlap(calibration, dataset, context):
            what = f"{len(images)} images of {recipe.calibration.dataset} are in {name}, which the recipe is evaluated on"
            found.append(f"{what}: {', '.join(images[:5])} (calibrate on others, or say `leave_out: true`)")
    return found
