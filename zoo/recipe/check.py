"""What a schema cannot say: whether the parts of a recipe fit each other and the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from zoo.document import Document
from zoo.edits import Edit, KeepOutputs, Rename
from zoo.errors import Problem, ZooError
from zoo.models import OnnxGraph
from zoo.pipelines.estimator import MultiScale, Turning
from zoo.pose.decoders import Decoder
from zoo.pose.decoders.paf import PafDecoder
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.recipe.boxed import boxed
from zoo.recipe.faults import Fault, misnamed, protocols, unknown, unpaired
from zoo.recipe.inputs import inputs
from zoo.recipe.model import Recipe, Scales, Turns, Workspace
from zoo.recipe.sizes import channels, fixed_sizes, shapes
from zoo.recipe.sound import UNSOUND, Unsound, evaluations
from zoo.recipe.trained import trained
from zoo.steps.parity import Gate
from zoo.weights import OnnxReader


def problems(document: Document, recipe: Recipe, workspace: Workspace) -> list[Problem]:
    """Every fault of a recipe that is well-formed, each at its line; `recipe` may be `sound(document)`."""
    found = []
    for check in CHECKS:
        with suppress(Unsound):
            for path, message in check(recipe, workspace):
                # an entry of a mapping is told by its key: its value may be nothing at all
                found.append(document.problem(path, message, key=len(path) > 1 and path[-2] in ("targets", "gates")))
    with suppress(Unsound):
        found += misnamed(document, recipe.name)
    return found


def _evaluate(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    yield from protocols(evaluations(recipe), workspace)
    if UNSOUND not in recipe.evaluate:  # the one that is missing may be the other of a pair
        yield from unpaired(recipe.evaluate)
    for index, evaluation in evaluations(recipe):
        with suppress(Unsound):
            skeleton = (evaluation.decode or recipe.decode).skeleton
            none = np.zeros((0, len(SKELETONS[skeleton].keypoints), 2))
            try:
                evaluation.metric.results(Poses.of(none, none[..., 0], np.zeros(0)), skeleton, 0)
            except ZooError as error:
                yield ("evaluate", index, "metric"), f"{error.message}: {error.hint}"


def _targets(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    for name, options in recipe.targets.items():
        if name not in workspace.targets:
            yield ("targets", name), unknown("target", name, workspace.targets)
            continue
        precision = workspace.targets[name].precision
        if options is UNSOUND:
            continue
        if options and options.keep and precision != "int8":
            yield ("targets", name, "keep"), f"only int8 targets keep nodes in float, and {name} is {precision}"
        default = getattr(workspace.gates, precision)
        own = options.parity if options else None
        if default is None and own is None:
            yield ("targets", name), f"{precision} has no default parity gate: say one, as in `parity: {{snr: 20, reason: ...}}`"
        if own and _looser(own, default) and not own.reason:
            yield ("targets", name, "parity"), "this gate is looser than the workspace's: say why with `reason:`"


def _looser(own: Gate, default: Gate | None) -> bool:
    if default is None:
        return False
    wider = own.relative is not None and (default.relative is None or own.relative > default.relative)
    lower = own.snr is not None and (default.snr is None or own.snr < default.snr)
    dropped = (own.relative is None and default.relative is not None) or (own.snr is None and default.snr is not None)
    return wider or lower or dropped


def _calibration(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    quantised = [name for name in recipe.targets if name in workspace.targets and workspace.targets[name].precision == "int8"]
    if recipe.calibration is None:
        if quantised:
            yield ("targets", quantised[0]), "an int8 target needs `calibration:`"
        return
    name = recipe.calibration.dataset
    if name not in workspace.datasets:
        yield ("calibration", "dataset"), unknown("dataset", name, workspace.datasets)
    elif any(name in evaluation.datasets for _, evaluation in evaluations(recipe)):
        yield ("calibration", "dataset"), f"the recipe is evaluated on {name}: calibrating on it would flatter the figures"


def _weights(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    for index, source in enumerate(recipe.weights):
        names = [file.name for file in source.wanted()]
        if source.reader is None:
            yield ("weights", index), "say with `reader:` how these files become a state dict, as in {type: pth, file: NAME}"
        elif source.reader.file not in names:
            yield ("weights", index, "reader", "file"), unknown("file", source.reader.file, names)
    # last: where the model has a fault of its own the rest is said already
    whole = isinstance(recipe.model, OnnxGraph)
    for index, source in enumerate(recipe.weights):
        if source.reader and isinstance(source.reader, OnnxReader) != whole:
            takes = "the graph itself, as {type: onnx, file: NAME.onnx} reads it" if whole else "a state dict, and an ONNX file gives none"
            yield ("weights", index, "reader"), f"this model takes {takes}"
    if whole and recipe.export.torchscript:
        yield ("export", "torchscript"), "a model that is an ONNX file has no PyTorch module to trace"


def _decoders(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], Decoder]]:
    with suppress(Unsound):
        yield ("decode",), recipe.decode
    for index, evaluation in evaluations(recipe):
        if evaluation.decode:
            yield ("evaluate", index, "decode"), evaluation.decode


def _scales(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    several: list[tuple[tuple[str | int, ...], Decoder]] = []
    with suppress(Unsound):
        if len(recipe.scales) > 1:
            several.append((("scales",), recipe.decode))
    for index, evaluation in evaluations(recipe):
        with suppress(Unsound):
            if len(evaluation.scales or recipe.scales) > 1 and (evaluation.scales or evaluation.decode):
                several.append((("evaluate", index, "scales" if evaluation.scales else "decode"), evaluation.decode or recipe.decode))
    for path, decoder in several:
        if not isinstance(decoder, MultiScale):
            yield path, "this decoder takes the maps of one run: it cannot average several scales"
        elif isinstance(decoder, PafDecoder) and (reason := decoder.of_one_scale()):
            yield path, ": ".join(reason)


def _turns(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    ways: list[tuple[tuple[str | int, ...], Turns, Scales, Decoder]] = []
    with suppress(Unsound):
        ways.append((("turns",), recipe.turns, recipe.scales, recipe.decode))
    for index, evaluation in evaluations(recipe):
        own = next((field for field in ("turns", "scales", "decode") if getattr(evaluation, field)), "")
        with suppress(Unsound):
            if own:
                way = evaluation.turns or recipe.turns, evaluation.scales or recipe.scales, evaluation.decode or recipe.decode
                ways.append((("evaluate", index, own), *way))
    for path, turns, scales, decoder in ways:
        if len(set(turns)) < len(turns):
            yield path, "a turn is named twice"
        if turns != (0,) and not isinstance(decoder, Turning):
            yield path, "this decoder takes the image as it stands: it knows no turns"
        elif turns != (0,) and len(scales) > 1:
            yield path, "an image is run at several scales or at several turns, not at both"


def _decoding(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    outputs = _outputs(recipe.model.outputs, recipe.edits)
    for path, decoder in _decoders(recipe):
        count = len(SKELETONS[decoder.skeleton].keypoints)
        if count != recipe.model.keypoints:
            yield path, f"the decoder's skeleton {decoder.skeleton} has {count} keypoints, the model finds {recipe.model.keypoints}"
        for field, wanted in decoder.reads().items():
            name = getattr(decoder, field)
            if name not in outputs:
                yield (*path, field), unknown("output", name, outputs)
            elif (found := outputs[name]) is not None and found < wanted:
                yield (*path, field), f"{name} has {found} channels, the decoder reads {wanted}"
    for target, options in recipe.targets.items():
        if options is UNSOUND or not options or not options.edits:
            continue
        left = _outputs(outputs, options.edits)
        read = {getattr(decoder, field) for _, decoder in _decoders(recipe) for field in decoder.reads()}
        lost = {name for name in read if name in outputs and name not in left}
        if lost:
            yield ("targets", target, "edits"), f"these leave out what is decoded: {', '.join(sorted(lost))}"


def _outputs(outputs: Mapping[str, int | None], edits: Sequence[Edit]) -> dict[str, int | None]:
    """Output -> channels after `edits`. An edit may bring out a tensor from inside: nobody knows its channels before it ran."""
    found = dict(outputs)
    for edit in edits:
        if isinstance(edit, KeepOutputs):
            found = {name: found.get(name) for name in edit.outputs}
        elif isinstance(edit, Rename):
            found = {edit.names.get(name, name): channels for name, channels in found.items()}
    return found


#: each in turn; one that needs a part which has a fault of its own says what it knows by then
CHECKS: tuple[Callable[[Recipe, Workspace], Iterator[Fault]], ...] = (
    _targets, _calibration, channels, shapes, fixed_sizes, inputs, _weights, _decoding, _scales, _turns, boxed, _evaluate, trained,
)  # fmt: skip
