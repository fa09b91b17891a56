"""The plan of one network: from a recipe to the actions that make and measure its models, as a story.

fetch or train -> export [-> torchscript] -> edit -> parity      once a recipe
  -> [edit] -> [fp16 | int8] -> compile                          once a target
  -> parity, accuracy [-> difference], end_to_end, latency
ceiling                                                          once a recipe that is trained
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from zoo.boxes import Boxes, DetectorBoxes
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.engine.action import Action
from zoo.engine.use import Way, gate, judged_in, judged_on, left_out, limit_of, part, renamed, shapes, timed_at, timings
from zoo.engine.weights import weights
from zoo.engine.wish import Plan, Wish
from zoo.models import OnnxGraph
from zoo.pipelines import Pipeline
from zoo.pose.fits.box import Box
from zoo.recipe.model import Calibration, Protocol, Recipe, TargetOptions
from zoo.record import fingerprint
from zoo.steps.accuracy import MeasureAccuracy
from zoo.steps.adopt import AdoptOnnx
from zoo.steps.boxes import FindBoxes
from zoo.steps.ceiling import MeasureCeiling, Oracle
from zoo.steps.compare import Compare
from zoo.steps.compile import Compile
from zoo.steps.edit import EditOnnx
from zoo.steps.end_to_end import MeasureEndToEnd
from zoo.steps.export import ExportOnnx
from zoo.steps.fp16 import Fp16
from zoo.steps.images import Views
from zoo.steps.int8 import Int8
from zoo.steps.latency import MeasureLatency
from zoo.steps.parity import MeasureParity
from zoo.steps.part import ALONE, Part
from zoo.steps.step import Step
from zoo.steps.torchscript import WriteTorchScript

PARITY_IMAGES = 3
TIMED_IMAGES = 32  # at most, on the whole way


def plan_network(story: Plan, recipe: Recipe, names: Sequence[str], context: Context, wish: Wish) -> None:
    """Add what `wish` asks for of the recipe's targets `names`."""
    workspace = story.workspace

    loaded = weights(story, recipe, wish)
    exported = story.add(Action(f"{recipe.name}/export", export(recipe), {"weights": loaded}))
    model = story.add(Action(f"{recipe.name}/edit", EditOnnx(edits=recipe.edits), {"model": exported}))
    traced = torchscript(story, recipe, loaded, exported)
    views = parity_views(story, recipe, context, wish)
    seen = shown(story, views, context, wish) if views else {}
    if views:
        step = MeasureParity(
            model=recipe.model,
            torchscript=recipe.export.torchscript,
            gate=workspace.gates.export,
            views=views,
            images=PARITY_IMAGES,
            renamed=renamed(recipe.edits),
        )
        story.add(Action(f"{recipe.name}/parity", step, {"weights": loaded, "exported": exported, "model": model, **traced, **seen}))

    for name in names:
        target, options = workspace.targets[name], recipe.targets[name] or TargetOptions()
        compiled = build(story, recipe, name, model, context, wish)
        if not target.backend.runs:
            continue
        if views:
            step = MeasureParity(
                backend=target.backend,
                gate=gate(workspace, target, options),
                views=views,
                images=PARITY_IMAGES,
                renamed=renamed(options.edits),
            )
            story.add(Action(f"{recipe.name}/{name}/parity", step, {"model": model, "compiled": compiled, **seen}))
        owner, without = f"{recipe.name}/{name}", left_out(recipe, workspace)
        ways = [Way(one, {ALONE: part(recipe, target, one)}, one.boxes) for one in judged_in(recipe, target, options)]
        for way in ways if wish.accuracy else ():
            measure_accuracy(story, owner, way.protocol, way.parts, compiled, context, wish, without=without, boxes=way.boxes)
            measure_ceiling(story, recipe, way, context, wish, without=without)
        compare(story, owner, [way.protocol for way in ways])
        if wish.end_to_end:
            measure_end_to_end(story, owner, ways, compiled, context, wish, without=without)
        if wish.latency and views:
            copies, (height, width) = wish.instances, wish.shape or options.shape or (recipe.benchmark.height, recipe.benchmark.width)
            for id, batch in timings(f"{recipe.name}/{name}/latency", timed_at(recipe, name, wish)).items():
                timing = MeasureLatency(
                    backend=target.backend, views=views, batch=batch, height=height, width=width, instances=copies, streams=wish.streams
                )
                counted = story.actions[compiled].reads["model"]
                story.add(Action(id, timing, {"compiled": compiled, "model": counted, **seen}))


def export(recipe: Recipe) -> Step:
    """What makes the ONNX file: an export of the PyTorch module, or the published file itself."""
    if isinstance(recipe.model, OnnxGraph):
        return AdoptOnnx(model=recipe.model, export=recipe.export, preprocess=recipe.preprocess)
    # what else is written of the network changes nothing about the ONNX file
    return ExportOnnx(model=recipe.model, export=msgspec.structs.replace(recipe.export, torchscript=""), preprocess=recipe.preprocess)


def torchscript(story: Plan, recipe: Recipe, weights: str, exported: str) -> dict[str, str]:
    """The network as TorchScript too, where that is wanted."""
    name = recipe.export.torchscript
    if not name or isinstance(recipe.model, OnnxGraph):
        return {}
    step = WriteTorchScript(model=recipe.model, shape=recipe.export.shape, name=name)
    return {"torchscript": story.add(Action(f"{recipe.name}/torchscript", step, {"weights": weights, "exported": exported}))}


def build(story: Plan, recipe: Recipe, name: str, model: str, context: Context, wish: Wish) -> str:
    """One target: its own edits, its precision, its compiler."""
    target, options = story.workspace.targets[name], recipe.targets[name] or TargetOptions()
    if options.edits:
        model = story.add(Action(f"{recipe.name}/{name}/edit", EditOnnx(edits=options.edits), {"model": model}))
    if target.precision == "fp16":
        model = story.add(Action(f"{recipe.name}/{name}/fp16", Fp16(), {"model": model}))
    if target.precision == "int8":
        calibration = recipe.calibration or Calibration(dataset="")
        views = Views(dataset=story.workspace.datasets[calibration.dataset], boxes=calibration.boxes)
        step = Int8(
            views=views,
            images=calibration.images,
            seed=calibration.seed,
            method=calibration.method,
            per_channel=calibration.per_channel,
            smooth=calibration.smooth,
            scheme=target.backend.scheme,
            keep=options.keep,
        )
        model = story.add(Action(f"{recipe.name}/{name}/int8", step, {"model": model, **shown(story, views, context, wish)}))
    step_compile = Compile(
        backend=target.backend, precision=target.precision, device=target.device, shapes=shapes(recipe, options, wish.batches)
    )
    return story.add(Action(f"{recipe.name}/{name}/compile", step_compile, {"model": model}))


def parity_views(story: Plan, recipe: Recipe, context: Context, wish: Wish) -> Views | None:
    """Real images to compare models on and to time them with: the calibration's, else the first evaluation set's; and before
    those whose boxes a detector has to find those whose boxes are known."""
    wanted = [(recipe.calibration.dataset, recipe.calibration.boxes)] if recipe.calibration else []
    wanted += [(name, evaluation.boxes) for evaluation in recipe.evaluate for name in evaluation.datasets]
    named = [(story.workspace.datasets[name], boxes) for name, boxes in wanted]
    if wish.dataset:
        named += [(wish.dataset, evaluation.boxes) for evaluation in recipe.evaluate] or [(wish.dataset, None)]
    of_boxes = isinstance(recipe.preprocess.fit, Box)
    views = (Views(dataset=dataset, boxes=boxes if of_boxes else None) for dataset, boxes in named)
    present = [one for one in views if story.here(one.dataset, one.boxes, context, wish)]
    return min(present, key=lambda one: isinstance(one.boxes, DetectorBoxes), default=None)


def shown(story: Plan, views: Views, context: Context, wish: Wish) -> dict[str, str]:
    """What an action reads beside its model: images that are fetched, boxes that are found."""
    return {**story.photos(views.dataset), **found_boxes(story, views.boxes, views.dataset, context, wish)}


def found_boxes(
    story: Plan, boxes: Boxes | None, dataset: Dataset, context: Context, wish: Wish, limit: int | None = None
) -> dict[str, str]:
    """The action that runs a detector over a dataset, where that is where the boxes come from."""
    if not isinstance(boxes, DetectorBoxes):
        return {}
    detector, target = story.detector(boxes.recipe), boxes.target
    protocol = next((one for one in detector.evaluate if one.protocol == boxes.protocol), None)
    way = (f"/{boxes.protocol}" if protocol else "") + (f"/first-{limit}" if limit else "")
    id = f"boxes/{detector.name}/{target}/{story.named(dataset)}{way}"
    if id in story.actions:
        return {"boxes": id}
    building = replace(wish, accuracy=False, latency=False, end_to_end=False, weights=None)
    plan_network(story, detector, [target], context, building)
    step = FindBoxes(
        detector=detector.name,
        part=part(detector, story.workspace.targets[target], protocol),
        dataset=dataset,
        limit=limit,
        skip_bad_images=wish.skip_bad_images,
    )
    compiled = {"compiled": f"{detector.name}/{target}/compile", **story.photos(dataset)}
    return {"boxes": story.add(Action(id, step, compiled))}


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
    boxes: Boxes | None = None,
    pipeline: Pipeline | None = None,
) -> None:
    """What was compiled for `owner` (`recipe/target`) in one protocol, on each of its datasets that is present."""
    for name, dataset in judged_on(story, protocol, boxes, context, wish).items():
        step = MeasureAccuracy(
            boxes=boxes,
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
        seen = {**story.photos(dataset), **found_boxes(story, boxes, dataset, context, wish, limit_of(wish, without))}
        story.add(Action(f"{owner}/accuracy/{name}/{protocol.protocol}", step, {"compiled": compiled, **seen}))


def measure_ceiling(story: Plan, recipe: Recipe, way: Way, context: Context, wish: Wish, *, without: tuple[Dataset, ...]) -> None:
    """What perfect targets would give in a protocol of a recipe that is trained: no network is asked, so all targets share it."""
    oracle = Oracle.of(way.parts[ALONE], recipe.train.targets) if recipe.train else None
    if oracle is None:
        return
    for name, dataset in judged_on(story, way.protocol, way.boxes, context, wish).items():
        step = MeasureCeiling(
            oracle=oracle,
            protocol=way.protocol.protocol,
            dataset_name=name,
            dataset=dataset,
            metric=way.protocol.metric,
            without=without,
            limit=wish.limit,
        )
        story.add(Action(f"{recipe.name}/ceiling/{name}/{way.protocol.protocol}", step, story.photos(dataset)))


def compare(story: Plan, owner: str, protocols: Iterable[Protocol]) -> None:
    """Hold each protocol of `owner` (`recipe/target`) that names another against it, on every dataset that both are judged on."""
    for protocol in protocols:
        for name in ("own", *protocol.datasets):
            reads = {role: f"{owner}/accuracy/{name}/{way}" for role, way in (("one", protocol.protocol), ("other", protocol.against))}
            if story.actions.keys() >= set(reads.values()):
                story.add(Action(f"{owner}/difference/{name}/{protocol.protocol}", Compare(), reads))


def measure_end_to_end(
    story: Plan,
    owner: str,
    ways: Iterable[Way],
    compiled: str,
    context: Context,
    wish: Wish,
    *,
    without: tuple[Dataset, ...],
    pipeline: Pipeline | None = None,
) -> None:
    """The whole way of what was compiled for `owner`, from files to poses: protocols in which that is the same are timed together, on
    the first of their datasets that is present."""
    alike: dict[str, list[Way]] = {}
    for way in ways:
        said = {"parts": {role: part.said() for role, part in way.parts.items()}, "boxes": way.boxes}
        alike.setdefault(fingerprint(said), []).append(way)
    for group in alike.values():
        present = (judged_on(story, way.protocol, way.boxes, context, wish) for way in group)
        name, dataset = next((next(iter(datasets.items())) for datasets in present if datasets), ("", None))
        if dataset is None:
            continue
        first = group[0]
        images = min(wish.limit or TIMED_IMAGES, TIMED_IMAGES)
        step = MeasureEndToEnd(
            parts=first.parts,
            pipeline=pipeline,
            protocols=tuple(way.protocol.protocol for way in group),
            dataset_name=name,
            dataset=dataset,
            boxes=first.boxes,
            images=images,
            skip_bad_images=wish.skip_bad_images,
        )
        # the boxes that accuracy looks at, where that is asked for as well
        limit = limit_of(wish, without) if wish.accuracy else images
        seen = {**story.photos(dataset), **found_boxes(story, first.boxes, dataset, context, wish, limit)}
        story.add(Action(f"{owner}/end_to_end/{first.protocol.protocol}", step, {"compiled": compiled, **seen}))
