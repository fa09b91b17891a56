"""`Part`: how one network is used in a protocol, and the opening of all that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from zoo.backends import Backend
from zoo.backends.runner import Runner
from zoo.context import Context
from zoo.pipelines import Pipeline
from zoo.pipelines.crops import CropEstimator
from zoo.pipelines.estimator import Estimator, PoseModel
from zoo.pose.decoders import Decoder
from zoo.pose.fits.box import Box
from zoo.pose.geometry import Turn
from zoo.pose.people import People
from zoo.pose.preprocess import Fit, Order
from zoo.record import Record
from zoo.steps.bundle import preprocess
from zoo.stream import Layout, layouts

#: the role of a network that is alone: its artifact is not in a folder of its own
ALONE = ""


class Part(Record, frozen=True, kw_only=True):
    """One network: what runs it, how its images are brought to size, how its outputs are decoded."""

    backend: Backend
    fit: Fit
    order: Order
    scales: tuple[float, ...] = (1.0,)
    turns: tuple[Turn, ...] = (0,)
    flip: bool = False
    people: People = People()
    decode: Decoder

    @property
    def of_boxes(self) -> bool:
        """Whether it looks at boxes."""
        return isinstance(self.fit, Box)

    def open(self, folder: Path, context: Context, *, name: str = "", batch: int = 1, streams: int = 1) -> PoseModel:
        """Open the compiled model in `folder` for so many callers at once."""
        return self.around(self.backend.open(folder, threads=context.threads, streams=streams), folder, name=name, batch=batch)

    def around(self, runner: Runner, folder: Path, *, name: str = "", batch: int = 1) -> PoseModel:
        """What comes before and after the opened model; mean, deviation and colour are those that travel with it in `folder`."""
        ready = preprocess(folder).with_fit(self.fit, self.order)
        if self.of_boxes:
            return CropEstimator(runner, ready, self.decode, self.people, self.flip, self.turns, batch, name)
        return Estimator(runner, ready, self.decode, self.scales, self.turns, batch, name)

    def said(self) -> dict[str, Any]:
        """All that would make its figures others."""
        own = {"people": msgspec.to_builtins(self.people)} if self.of_boxes else {}
        return {
            "scales": list(self.scales),
            # said only where there are several: the protocols of networks that are never turned keep their fingerprints
            **({"turns": list(self.turns)} if self.turns != (0,) else {}),
            **({"flip": True} if self.flip else {}),
            "fit": msgspec.to_builtins(self.fit),
            "order": self.order,
            **own,
            # which outputs are read is the network's affair: two networks in one protocol share a table
            "decode": {key: value for key, value in msgspec.to_builtins(self.decode).items() if key not in self.decode.reads()},
        }


def images_together(parts: Mapping[str, Part]) -> int:
    """Images in hand at once where people are looked at in crops, and crops in a call: neighbours share calls."""
    return 8 if any(part.of_boxes for part in parts.values()) else 1


def layouts_of(parts: Mapping[str, Part], context: Context) -> tuple[Layout, ...]:
    """The ways to share out the cores that are worth a try."""
    if any(part.backend.gpu for part in parts.values()):
        # its calls take turns, and the cores have nothing else to do than the rest
        return (Layout(streams=1, workers=max(2, context.threads)),)
    return layouts(context.threads)


def open_model(
    compiled: Path, parts: Mapping[str, Part], pipeline: Pipeline | None, context: Context, *, batch: int = 1, streams: int = 1
) -> PoseModel:
    """Open a compiled network (`parts` holds one, alone) or a pipeline (role -> part; each lies in the folder of its role), for
    `streams` callers at once."""
    with ExitStack() as opened:
        runners = opened_all(compiled, parts, context, opened, streams)
        model = joined(compiled, parts, pipeline, runners, batch=batch)
        opened.pop_all()  # the model closes them
    return model


def opened_all(compiled: Path, parts: Mapping[str, Part], context: Context, opened: ExitStack, streams: int) -> dict[str, Runner]:
    """The networks of `parts`, open for so many callers at once; `opened` closes them."""
    return {
        role: opened.enter_context(part.backend.open(compiled / role, threads=context.threads, streams=streams))
        for role, part in parts.items()
    }


def joined(
    compiled: Path, parts: Mapping[str, Part], pipeline: Pipeline | None, runners: Mapping[str, Runner], *, batch: int = 1
) -> PoseModel:
    """A network or a pipeline of models that are open."""
    estimators = {role: part.around(runners[role], compiled / role, name=role, batch=batch) for role, part in parts.items()}
    return pipeline.joined(estimators) if pipeline else estimators[ALONE]
