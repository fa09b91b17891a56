"""The plan of one network: from a recipe to the actions that make and measure its models, as a story.

fetch -> export -> edit -> parity            once a recipe
  -> [edit] -> [fp16 | int8] -> compile      once a target
  -> parity, accuracy, latency
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.edits import Edit, Rename
from zoo.engine.action import Action
from zoo.engine.wish import Plan, Wish
from zoo.pipelines import Pipeline
from zoo.recipe.model import Calibration, Evaluation, Protocol, Recipe, Target, TargetOptions, Workspace
from zoo.steps.accuracy import MeasureAccuracy
from zoo.steps.compile import Compile
from zoo.steps.edit import EditOnnx
from zoo.steps.export import ExportOnnx
from zoo.steps.fetch import FetchWeights
from zoo.steps.fp16 import Fp16
from zoo.steps.int8 import Int8
from zoo.steps.latency import MeasureLatency
from zoo.steps.parity import Gate, MeasureParity
from zoo.steps.part import ALONE, Part

PARITY_IMAGES = 3


def plan_network(story: Plan, recipe: Recipe, names: Sequence[str], context: Context, wish: Wish) -> None:
    """Add what `wish` asks for of the recipe's targets `names`."""
    workspace = story.workspace

    weights = fetch(story, recipe, wish)
    exported = story.add(
        Action(
            f"{recipe.name}/export",
            ExportOnnx(model=recipe.model, export=recipe.export, preprocess=recipe.preprocess),
            {"weights": weights},
        )
    )
    model = story.add(Action(f"{recipe.name}/edit", EditOnnx(edits=recipe.edits), {"model": exported}))
    images = parity_images(recipe, workspace, context, wish)
    if images:
        step = MeasureParity(
            model=recipe.model,
            torchscript=recipe.export.torchscript,
            gate=workspace.gates.export,
            dataset=images,
            images=PARITY_IMAGES,
            renamed=renamed(recipe.edits),
        )
        story.add(Action(f"{recipe.name}/parity", step, {"weights": weights, "exported": exported, "model": model, **story.photos(images)}))

    for name in names:
        target, options = workspace.targets[name], recipe.targets[name] or TargetOptions()
        compiled = build(story, recipe, workspace, name, target, options, model)
        if not target.backend.runs:
            continue
        if images:
            step = MeasureParity(
                backend=target.backend,
                gate=gate(workspace, target, options),
                dataset=images,
                images=PARITY_IMAGES,
                renamed=renamed(options.edits),
            )
            story.add(Action(f"{recipe.name}/{name}/parity", step, {"model": model, "compiled": compiled, **story.photos(images)}))
        if wish.accuracy:
            for evaluation in judged_in(recipe, target, options):
                parts = {ALONE: part(recipe, target, evaluation)}
                owner, without = f"{recipe.name}/{name}", left_out(recipe, workspace)
                measure_accuracy(story, owner, evaluation, parts, compiled, context, wish, without=without)
        if wish.latency and images:
            timing = MeasureLatency(
                backend=target.backend,
                dataset=images,
                batch=options.batch or recipe.benchmark.batch,
                height=(options.shape or (recipe.benchmark.height,))[0],
                width=(options.shape or (recipe.benchmark.width,))[-1],
            )
            story.add(Action(f"{recipe.name}/{name}/latency", timing, {"compiled": compiled, **story.photos(images)}))


def fetch(story: Plan, recipe: Recipe, wish: Wish) -> str:
    """The weights: the recipe's sources, or the user's own file."""
    sources = (wish.weights,) if wish.weights else recipe.weights
    terms = recipe.licences
    step = FetchWeights(owner=recipe.name, sources=sources, licence=terms.weights, use=terms.use, rehearse=wish.rehearse)
    return story.add(Action(f"{recipe.name}/fetch", step))


def build(story: Plan, recipe: Recipe, workspace: Workspace, name: str, target: Target, options: TargetOptions, model: str) -> str:
    """One target: its own edits, its precision, its compiler."""
    if options.edits:
        model = story.add(Action(f"{recipe.name}/{name}/edit", EditOnnx(edits=options.edits), {"model": model}))
    if target.precision == "fp16":
        model = story.add(Action(f"{recipe.name}/{name}/fp16", Fp16(), {"model": model}))
    if target.precision == "int8":
        calibration = recipe.calibration or Calibration(dataset="")
        dataset = workspace.datasets[calibration.dataset]
        step = Int8(
            dataset=dataset,
            images=calibration.images,
            seed=calibration.seed,
            method=calibration.method,
            per_channel=calibration.per_channel,
            smooth=calibration.smooth,
            scheme=target.backend.scheme,
            keep=options.keep,
        )
        model = story.add(Action(f"{recipe.name}/{name}/int8", step, {"model": model, **story.photos(dataset)}))
    step_compile = Compile(backend=target.backend, precision=target.precision, device=target.device, shapes=shapes(recipe, options))
    return story.add(Action(f"{recipe.name}/{name}/compile", step_compile, {"model": model}))


def shapes(recipe: Recipe, options: TargetOptions) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Least, usual and greatest shape of the input: where nothing may change all three are one."""
    batch, channels, height, width = recipe.export.shape
    batch = options.batch or batch
    height, width = options.shape or (height, width)
    low, usual, high = [batch, channels, height, width], (batch, channels, height, width), [batch, channels, height, width]
    stride = recipe.model.stride
    for axis, key, fixed in ((0, "batch", options.batch), (2, "height", options.shape), (3, "width", options.shape)):
        if key in recipe.export.dynamic and not fixed:
            # a profile that spans what photographs ask for: a quarter to four times the usual side
            low[axis], high[axis] = (
                (1, max(8, usual[0])) if axis == 0 else (max(stride, usual[axis] // 4 // stride * stride), usual[axis] * 4)
            )
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


def judged_on(evaluation: Protocol, workspace: Workspace, context: Context, wish: Wish) -> dict[str, Dataset]:
    """The datasets of a protocol that are present here, by name."""
    if wish.dataset:
        return {"own": wish.dataset}
    wanted = [name for name in evaluation.datasets if any(fnmatch.fnmatchcase(name, glob) for glob in wish.datasets)]
    return {name: workspace.datasets[name] for name in wanted if wish.assume or not workspace.datasets[name].absent(context)}


def parity_images(recipe: Recipe, workspace: Workspace, context: Context, wish: Wish) -> Dataset | None:
    """Real images to compare models on and to time them with: the calibration's, else the first evaluation set's."""
    wanted = [recipe.calibration.dataset] if recipe.calibration else []
    wanted += [name for evaluation in recipe.evaluate for name in evaluation.datasets]
    present = (workspace.datasets[name] for name in wanted if wish.assume or not workspace.datasets[name].absent(context))
    return next(present, wish.dataset)


def measure_accuracy(
    story: Plan,
    owner: str,
    protocol: Protocol,
    parts: dict[str, Part],
    compiled: str,
    context: Context,
    wish: Wish,
    *,
    without: tuple[Dataset, ...],
    pipeline: Pipeline | None = None,
) -> None:
    """What was compiled for `owner` (`recipe/target`) in one protocol, on each of its datasets that is present."""
    for name, dataset in judged_on(protocol, story.workspace, context, wish).items():
        step = MeasureAccuracy(
            parts=parts,
            pipeline=pipeline,
            protocol=protocol.protocol,
            protocol_title=protocol.title,
            dataset_name=name,
            dataset=dataset,
            metric=protocol.metric,
            gates={str(figure): least for figure, least in protocol.gates.get(name, {}).items()},
            without=without,
            limit=wish.limit,
            skip_bad_images=wish.skip_bad_images,
        )
        story.add(Action(f"{owner}/accuracy/{name}/{protocol.protocol}", step, {"compiled": compiled, **story.photos(dataset)}))


def part(recipe: Recipe, target: Target, evaluation: Evaluation | None = None) -> Part:
    """How a recipe's network is used: as the recipe says, or as one of its protocols has it."""
    other = evaluation or Evaluation(protocol="", title="", datasets=("",))
    return Part(
        backend=target.backend,
        fit=other.fit or recipe.preprocess.fit,
        order=other.order or recipe.preprocess.order,
        scales=other.scales or recipe.scales,
        turns=other.turns or recipe.turns,
        decode=other.decode or recipe.decode,
    )


def left_out(recipe: Recipe, workspace: Workspace) -> tuple[Dataset, ...]:
    """The images that a recipe is not to be evaluated on, because it is calibrated on them and says so."""
    return (workspace.datasets[recipe.calibration.dataset],) if recipe.calibration and recipe.calibration.leave_out else ()


def judged_in(recipe: Recipe, target: Target, options: TargetOptions) -> list[Evaluation]:
    """The protocols that a target can be judged in: one of a fixed height and width only where all its inputs have that size."""
    return [one for one in recipe.evaluate if not options.shape or takes(options.shape, part(recipe, target, one))]


def takes(shape: tuple[int, int], used: Part) -> bool:
    """Whether all inputs of a protocol have the same height and width, which are these."""
    return used.fit.size == shape and used.scales == (1.0,)
