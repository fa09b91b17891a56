"""`Recipe`, `Target` and `Workspace`: the nouns that are declared in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from zoo.backends import Backend
from zoo.boxes import Boxes
from zoo.calibrators import Calibrator, MinMax
from zoo.datasets import Dataset
from zoo.edits import Edit
from zoo.licence import Purpose, Use
from zoo.metrics import CocoOks, Metric
from zoo.models import Model
from zoo.pose.decoders import Decoder
from zoo.pose.geometry import Turn
from zoo.pose.people import People
from zoo.pose.preprocess import Fit, Order, Preprocess
from zoo.record import Record
from zoo.sources import Source
from zoo.steps.export import Export
from zoo.steps.parity import Gate
from zoo.steps.reports import Published
from zoo.training.train import Train

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="lower-case letters, digits, _ . -")]
Figure = Literal["AP", "AP50", "AP75", "APS", "APM", "APL", "AR", "AR50", "PCK", "AUC"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
#: the task of recipes that find boxes
DETECTION = "person_detection"
Turns = Annotated[tuple[Turn, ...], Meta(min_length=1)]
Scales = Annotated[tuple[Annotated[float, Meta(gt=0, le=8)], ...], Meta(min_length=1)]


class Licences(Record, frozen=True, kw_only=True):
    """Under which terms each part may be used: SPDX names, or a few words."""

    weights: Annotated[str, Meta(description="terms of the trained weights")]
    use: Annotated[Use, Meta(description="what the terms of the weights allow; `--licence commercial` refuses non-commercial ones")] = "any"
    code: Annotated[str, Meta(description="terms of the original code")]
    data: Annotated[str, Meta(description="terms of the data that the weights were trained on")]


class TargetOptions(Record, frozen=True, kw_only=True):
    """What a recipe changes about a target of zoo.yaml."""

    keep: Annotated[tuple[str, ...], Meta(description="int8: nodes that stay in float (names or globs)")] = ()
    edits: Annotated[tuple[Edit, ...], Meta(description="graph surgery for this target only, after the recipe's own")] = ()
    batch: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="a fixed batch size")] = None
    shape: Annotated[tuple[int, int] | None, Meta(description="a fixed height and width")] = None
    parity: Annotated[Gate | None, Meta(description="another parity gate than zoo.yaml's; a looser one needs a reason")] = None


class Calibration(Record, frozen=True, kw_only=True):
    """How the ranges of activations are found for INT8."""

    dataset: Annotated[str, Meta(description="one of zoo.yaml's datasets; never one that the recipe is evaluated on")]
    boxes: Annotated[Boxes | None, Meta(description="whom a network that looks at boxes is shown: the best box of each image")] = None
    images: Annotated[int, Meta(description="how many of its images", ge=1)] = 64
    seed: Annotated[int, Meta(description="which ones, where there are more", ge=0)] = 0
    method: Annotated[Calibrator, Meta(description="how a range is chosen from what was seen")] = MinMax()
    leave_out: Annotated[
        bool,
        Meta(description="evaluate without its images, where a dataset holds them, and say so; otherwise such an overlap is refused"),
    ] = False
    per_channel: Annotated[bool, Meta(description="one scale for each output channel of a weight")] = True
    smooth: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Meta(description="make channels alike before they share a range: which part of an activation's spread moves into the weights"),
    ] = None


class Protocol(Record, frozen=True, kw_only=True):
    """One way in which poses are judged, and the datasets that they are judged on."""

    protocol: Annotated[Name, Meta(description="the protocol's name: one table of the leaderboard for each protocol and dataset")]
    title: Annotated[str, Meta(description="the protocol in words")]
    datasets: Annotated[tuple[str, ...], Meta(description="of zoo.yaml's; those that are not present are passed over", min_length=1)]
    metric: Annotated[Metric, Meta(description="what judges the poses")] = CocoOks()
    gates: Annotated[dict[str, dict[Figure, float]], Meta(description="dataset -> figure -> the least that every target must reach")] = {}
    against: Annotated[
        Name | None,
        Meta(description="another protocol of this recipe: rows say how far their AP is from its, with the 95 % interval of that"),
    ] = None


class Evaluation(Protocol, frozen=True, kw_only=True):
    """One protocol in which a model is judged, with what it changes of the recipe's own way."""

    fit: Annotated[Fit | None, Meta(description="another way of bringing an image to the network's size")] = None
    order: Annotated[Order | None, Meta(description="another order of resizing and normalising")] = None
    scales: Annotated[Scales | None, Meta(description="other sizes whose maps are averaged")] = None
    turns: Annotated[Turns | None, Meta(description="other turns of the image, of which the best is taken")] = None
    decode: Annotated[Decoder | None, Meta(description="another decoder")] = None
    boxes: Annotated[Boxes | None, Meta(description="whom a network that looks at boxes is shown: its fit is `box`")] = None
    flip: Annotated[bool | None, Meta(description="whether crops are run mirrored as well, if it is not as the recipe says")] = None
    people: Annotated[People | None, Meta(description="another way of scoring the people of an image")] = None


class Benchmark(Record, frozen=True, kw_only=True):
    """At which input the network is timed."""

    height: Annotated[int, Meta(description="input height in pixels", ge=1)]
    width: Annotated[int, Meta(description="input width in pixels", ge=1)]
    batch: Annotated[int, Meta(description="images in one call", ge=1)] = 1
    batches: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(description="other batches to be timed at as well, for the table of what batching brings; not on targets of a fixed batch"),
    ] = ()


class Recipe(Record, frozen=True, kw_only=True):
    """One model as declared: where its weights come from, what it is, how it is prepared, decoded and judged."""

    format: Annotated[Literal[1], Meta(description="the version of this format")]
    name: Annotated[Name, Meta(description="the recipe's name: that of its file, without the ending")]
    title: Annotated[str, Meta(description="the model's name as people know it", min_length=1)]
    task: Annotated[Literal["body_pose", "hand_pose", "person_detection"], Meta(description="what is found; each task has its own tables")]
    licences: Licences
    paper: Annotated[str, Meta(description="where the model is described")] = ""
    weights: Annotated[
        tuple[Source, ...], Meta(description="where the weights come from, in the order in which it is tried; none: from `zoo train`")
    ] = ()
    train: Annotated[Train | None, Meta(description="how weights are made with `zoo train`")] = None
    model: Annotated[Model, Meta(description="the architecture and its parameters")]
    export: Annotated[Export, Meta(description="how the ONNX file is written")]
    preprocess: Annotated[
        Preprocess,
        Meta(
            description="how an image becomes the network's input, or {vdsp: FILE}",
            extra_json_schema={
                "properties": {"vdsp": {"type": "string", "description": "a vdsp JSON that says it all; its path from the recipe's folder"}}
            },
        ),
    ]
    edits: Annotated[tuple[Edit, ...], Meta(description="graph surgery, in order")] = ()
    targets: Annotated[dict[str, TargetOptions | None], Meta(description="which of zoo.yaml's targets, with changes", min_length=1)]
    calibration: Annotated[Calibration | None, Meta(description="needed by every int8 target")] = None
    scales: Annotated[
        Scales, Meta(description="an image is run at these parts of its usual size, and the maps are averaged; [1] for one run")
    ] = (1.0,)
    turns: Annotated[
        Turns,
        Meta(
            description="an image is run turned clockwise by each of these degrees, and the best is taken: for networks that know what"
            " they look for upright only; [0] for one run"
        ),
    ] = (0,)
    decode: Annotated[Decoder, Meta(description="how the network's outputs become poses")]
    flip: Annotated[bool, Meta(description="a crop is run mirrored as well, and the outputs of both are averaged")] = False
    people: Annotated[People, Meta(description="how the people that were looked at in boxes are scored, and doubles dropped")] = People()
    evaluate: Annotated[tuple[Evaluation, ...], Meta(description="the protocols in which it is judged")] = ()
    benchmark: Benchmark
    published: Annotated[tuple[Published, ...], Meta(description="figures that others state, each with its protocol")] = ()

    @property
    def greatest_batch(self) -> int:
        """The most images a call that a target of a free batch is built for."""
        return max(8, self.export.shape[0], self.benchmark.batch, *self.benchmark.batches)

    def fixed_batch(self, target: str) -> int | None:
        """The batch that a target is built for; None where it is free."""
        options = self.targets[target]
        return (options.batch if options else None) or (None if "batch" in self.export.dynamic else self.export.shape[0])


class Target(Record, frozen=True, kw_only=True):
    """What a model is compiled for: a backend, a precision, a device."""

    backend: Annotated[Backend, Meta(description="the runtime")]
    precision: Annotated[Precision, Meta(description="what is asked for; each report says what was computed in")]
    device: Annotated[str, Meta(description="the device that the backend is given")] = "cpu"


class Gates(Record, frozen=True, kw_only=True):
    """The parity that is asked for where a recipe says nothing else."""

    export: Annotated[Gate, Meta(description="the original (PyTorch, or the published ONNX) against the exported and the edited ONNX")] = (
        Gate(relative=1e-4)
    )
    fp32: Annotated[Gate, Meta(description="the edited ONNX against fp32 targets")] = Gate(relative=1e-3)
    fp16: Annotated[Gate, Meta(description="against fp16 targets")] = Gate(snr=40.0)
    bf16: Annotated[Gate, Meta(description="against bf16 targets")] = Gate(snr=40.0)
    int8: Annotated[Gate | None, Meta(description="against int8 targets; none: every recipe says its own")] = None


class Workspace(Record, frozen=True, kw_only=True):
    """zoo.yaml: what is shared by all recipes of a folder."""

    format: Annotated[Literal[1], Meta(description="the version of this format")]
    machine: Annotated[Name, Meta(description="this machine's name: its results lie in results/<machine>/")]
    recipes: Annotated[str, Meta(description="the folder of the recipes")] = "recipes"
    results: Annotated[str, Meta(description="the folder of the results")] = "results"
    store: Annotated[str, Meta(description="the folder of the store")] = ".zoo"
    mirrors: Annotated[
        tuple[str, ...], Meta(description="folders that are searched by digest before any network; $NAME is taken from the environment")
    ] = ()
    environment: Annotated[
        dict[str, str], Meta(description="defaults of environment variables; relative paths start at zoo.yaml's folder")
    ] = {}
    licence: Annotated[
        Purpose, Meta(description="what the models are for; commercial: whatever stands on non-commercial weights is refused")
    ] = "any"
    datasets: Annotated[dict[str, Dataset], Meta(description="images, by name")]
    targets: Annotated[dict[str, Target], Meta(description="targets, by name")]
    gates: Annotated[Gates, Meta(description="default parity gates by precision")] = Gates()
    columns: Annotated[tuple[str, ...], Meta(description="the leaderboard's columns, in order; none: all")] = ()


def sources(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], Boxes]]:
    """Every source of boxes that a recipe names, with its place in the file."""
    if recipe.calibration and recipe.calibration.boxes:
        yield ("calibration", "boxes"), recipe.calibration.boxes
    for index, evaluation in enumerate(recipe.evaluate):
        if evaluation.boxes:
            yield ("evaluate", index, "boxes"), evaluation.boxes
