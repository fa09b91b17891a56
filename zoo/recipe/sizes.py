"""Whether what a recipe says of the sizes of its inputs can be: what its network takes, and what is fixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from zoo.pose.fits import Height, ShortSide
from zoo.pose.preprocess import Fit
from zoo.recipe.faults import Fault
from zoo.recipe.model import Recipe, Workspace
from zoo.recipe.sound import UNSOUND, Unsound, evaluations


def shapes(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Sizes that the network itself cannot take."""
    stride, only = recipe.model.stride, recipe.model.size
    with suppress(Unsound):
        changing = [axis for axis in recipe.export.dynamic if axis != "batch"]
        if only and changing:
            yield ("export",), f"the network takes {only[0]}x{only[1]} alone: say `dynamic: [batch]`, without {' and '.join(changing)}"
    with suppress(Unsound):
        if only and recipe.scales != (1.0,):
            yield ("scales",), f"the network takes {only[0]}x{only[1]} alone"
    for index, evaluation in evaluations(recipe):
        if only and evaluation.scales not in (None, (1.0,)):
            yield ("evaluate", index, "scales"), f"the network takes {only[0]}x{only[1]} alone"
    for path, tall, wide in _sizes(recipe):
        if only:
            if (tall, wide) != only:
                yield path, f"the network takes {only[0]}x{only[1]} alone"
        elif tall % stride or wide % stride:
            yield path, f"the network takes heights and widths that are multiples of {stride}, not {tall}x{wide}"


def channels(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Another number of channels than an image has."""
    if recipe.export.shape[1] != 3:
        yield ("export", "shape"), f"an image has 3 channels, not {recipe.export.shape[1]}"


def _sizes(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], int, int]]:
    """Where a recipe says how large an input is: path, height, width. What is not sound is passed over."""
    with suppress(Unsound):
        yield ("export", "shape"), *recipe.export.shape[2:]
    with suppress(Unsound):
        yield ("benchmark",), recipe.benchmark.height, recipe.benchmark.width
    with suppress(Unsound):
        for name, options in recipe.targets.items():
            if options is not UNSOUND and options and options.shape:
                yield ("targets", name, "shape"), *options.shape
    with suppress(Unsound):
        yield ("preprocess", "fit"), *_least(recipe.preprocess.fit)
    for index, evaluation in evaluations(recipe):
        if evaluation.fit:
            yield ("evaluate", index, "fit"), *_least(evaluation.fit)


def _least(fit: Fit) -> tuple[int, int]:
    """A height and a width of which all that a fit gives are multiples."""
    return (fit.multiple, fit.multiple) if isinstance(fit, Height | ShortSide) else (fit.height, fit.width)


def fixed_sizes(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Graphs and targets of one size that are to be given another."""
    if recipe.model.size is not None:
        return  # of what the network itself cannot take `shapes` has said all
    given, stride = recipe.preprocess.fit.size, recipe.model.stride
    fixed: list[tuple[tuple[str | int, ...], tuple[int, int]]] = []
    with suppress(Unsound):
        if not {"height", "width"} & {*recipe.export.dynamic}:
            fixed.append((("export", "shape"), recipe.export.shape[2:]))
            yield from _of_one_size(recipe, recipe.export.shape[2:])
    for name, options in recipe.targets.items():
        if options is not UNSOUND and options and options.shape:
            fixed.append((("targets", name, "shape"), options.shape))
    for path, (height, width) in fixed:
        # a size that the network cannot take at all is said already
        if (height, width) != given and not height % stride and not width % stride:
            brought = f"{given[0]}x{given[1]}" if given else "sizes that depend on the image"
            yield path, f"{height}x{width} is all that goes in, and the recipe's own fit gives {brought}"
    with suppress(Unsound):
        if fixed and recipe.scales != (1.0,):
            path, (height, width) = fixed[0]
            where = ".".join(map(str, path))
            yield ("scales",), f"{height}x{width} is all that goes in ({where}), and other scales are other sizes"


def _of_one_size(recipe: Recipe, shape: tuple[int, int]) -> Iterator[Fault]:
    """What asks a graph of one size for another: no target could be judged or timed so."""
    only = f"{shape[0]}x{shape[1]} is all that goes in (export.shape, export.dynamic)"
    with suppress(Unsound):
        if (recipe.benchmark.height, recipe.benchmark.width) != shape:
            yield ("benchmark",), only
    for index, evaluation in evaluations(recipe):
        if evaluation.fit and evaluation.fit.size != shape:
            yield ("evaluate", index, "fit"), only
        if evaluation.scales not in (None, (1.0,)):
            yield ("evaluate", index, "scales"), only
