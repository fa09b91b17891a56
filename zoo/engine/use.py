"""How a recipe's network is used: in which protocols, on which images, at which batches and shapes, within which gates. Questions to a
recipe; nothing is planned here."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.edits import Edit, Rename
from zoo.edits.fold_preprocess import left_outside
from zoo.engine.wish import Plan, Wish
from zoo.recipe.model import Evaluation, Protocol, Recipe, Target, TargetOptions, Workspace
from zoo.steps.parity import Gate
from zoo.steps.part import Part


class Way(NamedTuple):
    """How images become poses in a protocol."""

    protocol: Protocol
    parts: dict[str, Part]
    boxes: Boxes | None = None


def part(recipe: Recipe, target: Target, evaluation: Evaluation | None = None) -> Part:
    """How a recipe's network is used: as the recipe says, or as one of its protocols has it."""
    other = evaluation or Evaluation(protocol="", title="", datasets=("",))
    return Part(
        backend=target.backend,
        fit=other.fit or recipe.preprocess.fit,
        order=other.order or recipe.preprocess.order,
        scales=other.scales or recipe.scales,
        turns=other.turns or recipe.turns,
        flip=recipe.flip if other.flip is None else other.flip,
        people=other.people or recipe.people,
        decode=other.decode or recipe.decode,
    )


def judged_in(recipe: Recipe, target: Target, options: TargetOptions) -> list[Evaluation]:
    """The protocols that a target can be judged in: one of a fixed height and width only where all its inputs have that size, one
    that is fed uint8 only where these are whole levels."""
    fed = left_outside(recipe.preprocess, (*recipe.edits, *options.edits))
    ways = [(one, part(recipe, target, one)) for one in recipe.evaluate]
    return [
        one for one, used in ways if (not options.shape or takes(options.shape, used)) and not fed.with_fit(used.fit, used.order).lost()
    ]


def takes(shape: tuple[int, int], used: Part) -> bool:
    """Whether all inputs of a protocol have the same height and width, which are these."""
    return used.fit.size == shape and used.scales == (1.0,)


def judged_on(story: Plan, evaluation: Protocol, boxes: Boxes | None, context: Context, wish: Wish) -> dict[str, Dataset]:
    """The datasets of a protocol that are present here with their boxes, by name."""
    wanted = [name for name in evaluation.datasets if any(fnmatch.fnmatchcase(name, glob) for glob in wish.datasets)]
    named = {"own": wish.dataset} if wish.dataset else {name: story.workspace.datasets[name] for name in wanted}
    return {name: dataset for name, dataset in named.items() if story.here(dataset, boxes, context, wish)}


def left_out(recipe: Recipe, workspace: Workspace) -> tuple[Dataset, ...]:
    """The images that a recipe is not to be evaluated on, because it is calibrated on them and says so."""
    return (workspace.datasets[recipe.calibration.dataset],) if recipe.calibration and recipe.calibration.leave_out else ()


def limit_of(wish: Wish, without: Sequence[Dataset]) -> int | None:
    """How many of a dataset's first images hold all that are judged; None: that is not known beforehand."""
    # where images are left out, the first so many of those that remain are not the dataset's first
    return None if without else wish.limit


def timed_at(recipe: Recipe, name: str, wish: Wish) -> tuple[int, ...]:
    """The batches that a target is timed at, the one of its row in the tables of accuracy first."""
    if fixed := recipe.fixed_batch(name):
        return (fixed,)
    return tuple(wish.batches or (recipe.benchmark.batch, *recipe.benchmark.batches))


def timings(usual: str, batches: Iterable[int]) -> dict[str, int]:
    """Id -> batch of a target's timings: `usual` is the first, and below it, by their batch, are the others."""
    first, *others = dict.fromkeys(batches)
    return {usual: first, **{f"{usual}/{batch}": batch for batch in others}}


def shapes(
    recipe: Recipe, options: TargetOptions, batches: Sequence[int] = ()
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Least, usual and greatest shape of the input: where nothing may change all three are one. `batches` have room in it."""
    batch, channels, height, width = recipe.export.shape
    batch = options.batch or batch
    height, width = options.shape or (height, width)
    low, usual, high = [batch, channels, height, width], (batch, channels, height, width), [batch, channels, height, width]
    stride = recipe.model.stride
    for axis, key, fixed in ((0, "batch", options.batch), (2, "height", options.shape), (3, "width", options.shape)):
        if key in recipe.export.dynamic and not fixed:
            # a profile that spans what photographs ask for: a quarter to four times the usual side
            most = max((recipe.greatest_batch, *batches))
            low[axis], high[axis] = (1, most) if axis == 0 else (max(stride, usual[axis] // 4 // stride * stride), usual[axis] * 4)
    return {recipe.export.input: (tuple(low), usual, tuple(high))}


def renamed(edits: Sequence[Edit]) -> dict[str, str]:
    """New name -> old name of the tensors that `edits` rename."""
    names: dict[str, str] = {}
    for edit in edits:
        if isinstance(edit, Rename):
            names |= {new: names.pop(old, old) for old, new in edit.names.items()}
    return names


def gate(workspace: Workspace, target: Target, options: TargetOptions) -> Gate:
    """The recipe's own gate, or the workspace's for that precision."""
    return options.parity or getattr(workspace.gates, target.precision) or Gate()
