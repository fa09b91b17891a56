"""`Train`: how a recipe's weights are made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from zoo.pose.augment import Augment
from zoo.record import Record
from zoo.sources import Source
from zoo.training.labels import Labels
from zoo.training.masks import Ignore
from zoo.training.optimizers import Optimizer
from zoo.training.schedules import Constant, Schedule
from zoo.training.targets import Targets

Count = Annotated[int, Meta(ge=1)]


class Initial(Record, frozen=True, kw_only=True):
    """The weights that training begins with."""

    sources: Annotated[tuple[Source, ...], Meta(description="where they come from, in the order in which it is tried")] = ()
    recipe: Annotated[str, Meta(description="instead: another recipe, whose trained or published weights they are")] = ""
    names: Annotated[
        dict[str, str],
        Meta(description="regular expression over whole keys of the file -> key of the network; the first that matches. Empty: as is"),
    ] = {}
    fresh: Annotated[
        tuple[str, ...], Meta(description="regular expressions over keys of the network that may begin at random; all others must be found")
    ] = ()

    def __post_init__(self) -> None:
        _compiled("names", self.names)
        _compiled("fresh", self.fresh)


class Validation(Record, frozen=True, kw_only=True):
    """How well the network does while it is trained."""

    dataset: Annotated[str, Meta(description="one of zoo.yaml's; nothing is learnt from it")]
    protocol: Annotated[str, Meta(description="one of the recipe's own")]
    images: Annotated[Count | None, Meta(description="its first images; none: all")] = None
    every: Annotated[int, Meta(description="epochs between two looks; there is always one at the end", ge=1)] = 1


class Train(Record, frozen=True, kw_only=True):
    """What is learnt from, what the network is to say, and how it gets there."""

    dataset: Annotated[str, Meta(description="one of zoo.yaml's, with COCO's annotations")]
    size: Annotated[tuple[Count, Count], Meta(description="height and width of the crops, multiples of the stride")] = (368, 368)
    labels: Annotated[Labels, Meta(description="who is learnt from")] = Labels()
    ignore: Annotated[Ignore, Meta(description="what does not enter the loss")] = Ignore()
    targets: Annotated[Targets, Meta(description="what the network is to say")] = Targets()
    augment: Annotated[Augment, Meta(description="how examples are varied")] = Augment()
    loss: Annotated[
        Literal["sum", "mean"],
        Meta(
            description="sum: half the squared errors of all cells and channels, as Lightweight OpenPose has it; mean: their mean, of "
            "heatmaps and of PAFs, as MindSpore's OpenPose has it. Of all stages together, and a mean over examples"
        ),
    ] = "sum"
    optimizer: Annotated[Optimizer, Meta(description="what changes the weights")]
    multipliers: Annotated[
        dict[str, float], Meta(description="regular expression over names of parameters -> part of the rate; the first that matches")
    ] = {}
    frozen: Annotated[
        dict[str, Count],
        Meta(description="regular expression over names of parameters -> first steps in which they stay; the first that matches"),
    ] = {}
    schedule: Annotated[Schedule, Meta(description="how the rate changes")] = Constant()
    epochs: Annotated[int, Meta(description="how often every example is seen", ge=1)]
    batch: Annotated[int, Meta(description="examples in one step, over all devices together", ge=1)]
    accumulate: Annotated[int, Meta(description="parts that a batch is worked off in, for less memory", ge=1)] = 1
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Meta(description="what is computed in; weights stay in fp32")] = "fp32"
    loss_scale: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="fp16: a fixed factor of the loss; none: found as it goes")
    ] = None
    clip: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="the greatest norm of all gradients together")] = None
    seed: Annotated[int, Meta(description="of first weights, order and variations", ge=0)] = 0
    ema: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Meta(
            description="what is kept is a running mean of the weights: in each step this part of it stays (0.999, say) and the rest "
            "is the new weights'; none: the last weights"
        ),
    ] = None
    initial: Annotated[Initial | None, Meta(description="weights to begin with; none: random ones")] = None
    validation: Annotated[Validation | None, Meta(description="how well it does meanwhile")] = None
    checkpoint: Annotated[int, Meta(description="steps between two checkpoints; there is one after each epoch as well", ge=1)] = 500

    def __post_init__(self) -> None:
        _compiled("multipliers", self.multipliers)
        _compiled("frozen", self.frozen)


def _compiled(field: str, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{field}: {pattern!r} is no regular expression: {error}") from error
