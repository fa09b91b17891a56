"""Whether `train:` fits the rest of a recipe and the workspace."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.datasets import Folder
from zoo.models import OnnxGraph
from zoo.recipe.faults import Fault, unknown
from zoo.recipe.model import Recipe, Workspace
from zoo.recipe.sound import evaluations
from zoo.training.schedules import Steps


def trained(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Faults of `train:`, or that neither it nor `weights:` says where weights come from."""
    task = recipe.train
    if task is None:
        if not recipe.weights:
            yield (), "nothing says where the weights come from: `weights:` names files, `train:` says how `zoo train` makes them"
        return
    if isinstance(recipe.model, OnnxGraph):
        yield ("train",), "a model that is an ONNX file cannot be trained"
        return
    if recipe.model.skeleton != "openpose_18":
        yield ("train",), f"heatmaps and part affinity fields of openpose_18 are learnt; this model speaks {recipe.model.skeleton}"
    stride = recipe.model.stride
    if task.targets.stride != stride:
        yield ("train", "targets", "stride"), f"this architecture's is {stride}"
    for axis, side in enumerate(task.size):
        if side % stride:
            yield ("train", "size", axis), f"{side} is no multiple of the stride, {stride}"
    if task.batch % task.accumulate:
        yield ("train", "accumulate"), f"a batch of {task.batch} cannot be worked off in {task.accumulate} equal parts"
    if task.loss_scale and task.precision != "fp16":
        yield ("train", "loss_scale"), f"only fp16 needs one, and this is {task.precision}"
    if isinstance(task.schedule, Steps) and list(task.schedule.at) != sorted(set(task.schedule.at)):
        yield ("train", "schedule", "at"), "these have to rise"
    yield from _initial(recipe)
    yield from _datasets(recipe, workspace)


def _initial(recipe: Recipe) -> Iterator[Fault]:
    """Weights to begin with that come from nowhere or from two places."""
    if recipe.train is None or (initial := recipe.train.initial) is None:
        return
    if bool(initial.sources) == bool(initial.recipe):
        yield ("train", "initial"), "say either `sources:` or `recipe:`"
    if initial.recipe == recipe.name:
        yield ("train", "initial", "recipe"), "a recipe cannot begin with its own weights"
    for index, source in enumerate(initial.sources):
        if source.reader is None:
            yield ("train", "initial", "sources", index), "say with `reader:` how these files become a state dict"


def _datasets(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Datasets that are not known, have no annotations, or are learnt from and judged on."""
    task = recipe.train
    assert task is not None
    judged = {name for _, evaluation in evaluations(recipe) for name in evaluation.datasets}
    named: list[tuple[tuple[str, ...], str]] = [(("train", "dataset"), task.dataset)]
    if task.validation:
        named.append((("train", "validation", "dataset"), task.validation.dataset))
    for path, name in named:
        if name not in workspace.datasets:
            yield path, unknown("dataset", name, workspace.datasets)
        elif isinstance(workspace.datasets[name], Folder):
            yield path, f"{name} has no annotations"
    if task.dataset in judged:
        yield ("train", "dataset"), f"the recipe is judged on {task.dataset}: figures of what was learnt say nothing"
    if task.validation:
        if task.validation.dataset == task.dataset:
            yield ("train", "validation", "dataset"), "this is what is learnt from: figures on it say nothing"
        known = [evaluation.protocol for _, evaluation in evaluations(recipe)]
        if task.validation.protocol not in known:
            yield ("train", "validation", "protocol"), unknown("protocol of this recipe", task.validation.protocol, known)
