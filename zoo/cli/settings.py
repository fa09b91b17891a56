"""The settings that `zoo bench` measures throughput in: what a command line may ask for, and the table of what was found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import click

from zoo.errors import UsageError
from zoo.recipe.composite import AnyRecipe, Composite

if TYPE_CHECKING:
    from zoo.board.results import Result
    from zoo.recipe.model import Workspace

HEADER = (
    "model", "target", "computed in", "batch", "shape", "instances", "streams", "threads", "images/s", "share of the roof", "p50, ms",
    "p90, ms", "p99, ms", "J/image", "to open, s", "peak memory", "size", "noise",
)  # fmt: skip


def numbers_of(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers in `1,8` and `32`, each once, in the order in which they were given."""
    words = [word.strip() for text in given for word in text.split(",")]
    what = "images" if param.name == "batches" else str(param.name)
    for word in words:
        if not word.isdecimal() or int(word) == 0:
            raise click.BadParameter(f"{word!r} is no number of {what}: say 8, or several as in 1,8,32")
    return tuple(dict.fromkeys(map(int, words)))


def shape_of(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, int, int] | None:
    """Channels, height and width in `3x184x184`."""
    if given is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", given)
    if not match or "0" in match.groups():
        raise click.BadParameter(f"{given!r} is no shape: say channels, height and width, as in 3x184x184")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def refuse_impossible(
    recipe: AnyRecipe,
    targets: Sequence[str],
    workspace: Workspace,
    *,
    shape: tuple[int, int, int] | None,
    instances: Sequence[int],
    streams: Sequence[int],
    threads: int,
) -> None:
    """Raise UsageError where `targets` of a recipe cannot be timed in a shape or a setting that is asked for."""
    if isinstance(recipe, Composite):
        if shape or instances or streams:
            raise UsageError(
                f"{recipe.name} is a pipeline, which is timed one call after another on images as they are",
                f"ask it of its networks: {', '.join(part.name for part in recipe.parts.values())}",
            )
        return
    gpu = [name for name in targets if workspace.targets[name].backend.gpu]
    if gpu and any(number > 1 for number in streams):
        raise UsageError(
            f"asked for {max(streams)} streams: {', '.join(gpu)} runs one call of a copy at a time",
            "ask for --instances there, or name other targets",
        )
    flying = max((copies * each for copies, each in product(instances or (1,), streams or (1,))), default=1)
    if flying > threads and len(gpu) < len(targets):
        raise UsageError(
            f"{flying} calls in flight need {flying} threads, and there are {threads}", f"say --threads {flying}, or ask for less"
        )
    if not shape:
        return
    channels, height, width = shape
    said = f"{recipe.name} cannot be timed at {channels}x{height}x{width}"
    own = recipe.export.shape
    if channels != own[1]:
        raise UsageError(f"{said}: its input has {own[1]} channels", f"say --shape {own[1]}x{height}x{width}")
    stride = recipe.model.stride
    if height % stride or width % stride:
        near = "x".join(str(max(stride, round(side / stride) * stride)) for side in (height, width))
        raise UsageError(f"{said}: heights and widths have to be multiples of {stride}", f"say --shape {channels}x{near}")
    for axis, key, wanted in ((2, "height", height), (3, "width", width)):
        if key not in recipe.export.dynamic and wanted != own[axis]:
            raise UsageError(f"{said}: its {key} is fixed at {own[axis]}", f"say --shape {channels}x{own[2]}x{own[3]}")
    for name in targets:
        options = recipe.targets[name]
        if options and options.shape and options.shape != (height, width):
            built = f"{options.shape[0]}x{options.shape[1]}"
            raise UsageError(f"{said}: {name} is built for {built}", f"say --shape {channels}x{built}, or name other targets")


def lines(results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """A line under HEADER for each setting that a network was timed in, the best of each timing marked."""
    from zoo.board.columns import NOTHING, megabytes, number, percent
    from zoo.steps.reports import Latency

    for result in results:
        for found in (result.latency, *result.batches):
            if not isinstance(found, Latency) or found.stages:
                continue
            size = "x".join(map(str, next(iter(found.shapes.values()))[1:]))
            for setting in found.settings:
                alone = setting == found.settings[0]
                best = " (best)" if setting == found.best and len(found.settings) > 1 else ""
                yield (
                    result.title, result.target, found.computed_in, str(setting.batch), size,
                    str(setting.instances), str(setting.streams), str(setting.threads), number(setting.images_per_second) + best,
                    NOTHING if found.claim is None else percent(found.share(setting)),
                    number(setting.median_ms), number(setting.p90_ms), number(setting.p99_ms),
                    NOTHING if setting.joules_per_image is None else number(setting.joules_per_image),
                    number(found.load_seconds) if alone and found.load_seconds is not None else "",
                    megabytes(found.peak_memory_bytes) if alone else "", megabytes(found.size_bytes) if alone else "",
                    "; ".join(setting.noise) or "quiet",
                )  # fmt: skip
