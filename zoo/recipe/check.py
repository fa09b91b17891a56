"""What a schema cannot say: whether the parts of a recipe fit each other and the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast, get_type_hints

import msgspec

from zoo.document import Document
from zoo.edits import Edit, KeepOutputs, Rename
from zoo.errors import Problem
from zoo.pipelines.estimator import MultiScale, Turning
from zoo.pose.decoders import Decoder
from zoo.pose.fits import Height
from zoo.pose.preprocess import Fit
from zoo.pose.skeletons import SKELETONS
from zoo.recipe.faults import Fault, misnamed, protocols, unknown
from zoo.recipe.model import Evaluation, Recipe, Scales, TargetOptions, Turns, Workspace
from zoo.steps.parity import Gate


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


class Unsound(Exception):
    """A part of a recipe that has another fault already was asked for."""


class Sound:
    """The parts of a refused document that are well-formed by themselves: what is wrong with how they fit can be said
    together with what is wrong with the others. The others raise `Unsound`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._types = get_type_hints(Recipe)
        self._defaults = {field.name: field.default for field in msgspec.structs.fields(Recipe) if not field.required}

    def __getattr__(self, name: str) -> Any:
        if name not in self._data:
            if name in self._defaults:
                return self._defaults[name]
            raise Unsound
        value = self._data[name]
        if name == "targets" and isinstance(value, dict):
            return {str(target): _converted(options, TargetOptions | None) for target, options in value.items()}
        if name == "evaluate" and isinstance(value, list):
            return [_converted(item, Evaluation) for item in value]
        found = _converted(value, self._types[name])
        if found is UNSOUND:
            raise Unsound
        return found


UNSOUND: Any = object()


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return UNSOUND


def sound(document: Document) -> Recipe:
    """A refused document as far as it goes."""
    return cast(Recipe, Sound(document.data if isinstance(document.data, dict) else {}))


def _evaluations(recipe: Recipe) -> list[tuple[int, Evaluation]]:
    return [(index, evaluation) for index, evaluation in enumerate(recipe.evaluate) if evaluation is not UNSOUND]


def _evaluate(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    yield from protocols(_evaluations(recipe), workspace)


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
    elif any(name in evaluation.datasets for _, evaluation in _evaluations(recipe)):
        yield ("calibration", "dataset"), f"the recipe is evaluated on {name}: calibrating on it would flatter the figures"


def _shapes(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    stride, only = recipe.model.stride, recipe.model.size
    with suppress(Unsound):
        changing = [axis for axis in recipe.export.dynamic if axis != "batch"]
        if only and changing:
            yield ("export",), f"the network takes {only[0]}x{only[1]} alone: say `dynamic: [batch]`, without {' and '.join(changing)}"
    with suppress(Unsound):
        if only and recipe.scales != (1.0,):
            yield ("scales",), f"the network takes {only[0]}x{only[1]} alone"
    for index, evaluation in _evaluations(recipe):
        if only and evaluation.scales not in (None, (1.0,)):
            yield ("evaluate", index, "scales"), f"the network takes {only[0]}x{only[1]} alone"
    for path, tall, wide in _sizes(recipe):
        if only:
            if (tall, wide) != only:
                yield path, f"the network takes {only[0]}x{only[1]} alone"
        elif tall % stride or wide % stride:
            yield path, f"the network takes heights and widths that are multiples of {stride}, not {tall}x{wide}"


def _channels(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
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
    for index, evaluation in _evaluations(recipe):
        if evaluation.fit:
            yield ("evaluate", index, "fit"), *_least(evaluation.fit)


def _least(fit: Fit) -> tuple[int, int]:
    """A height and a width of which all that a fit gives are multiples."""
    return (fit.multiple, fit.multiple) if isinstance(fit, Height) else (fit.height, fit.width)


def _fixed(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    given, stride = recipe.preprocess.fit.size, recipe.model.stride
    fixed: list[tuple[tuple[str | int, ...], tuple[int, int]]] = []
    with suppress(Unsound):
        if not {"height", "width"} & {*recipe.export.dynamic}:
            fixed.append((("export", "shape"), recipe.export.shape[2:]))
    for name, options in recipe.targets.items():
        if options is not UNSOUND and options and options.shape:
            fixed.append((("targets", name, "shape"), options.shape))
    for path, (height, width) in fixed:
        # a size that the network cannot take at all is said already
        if (height, width) != given and not height % stride and not width % stride:
            brought = f"{given[0]}x{given[1]}" if given else "sizes that depend on the image"
            yield path, f"{height}x{width} is all that goes in, and the recipe's own fit gives {brought}"


def _weights(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    for index, source in enumerate(recipe.weights):
        names = [file.name for file in source.wanted()]
        if source.reader is None:
            yield ("weights", index), "say with `reader:` how these files become a state dict, as in {type: pth, file: NAME}"
        elif source.reader.file not in names:
            yield ("weights", index, "reader", "file"), unknown("file", source.reader.file, names)


def _decoders(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], Decoder]]:
    with suppress(Unsound):
        yield ("decode",), recipe.decode
    for index, evaluation in _evaluations(recipe):
        if evaluation.decode:
            yield ("evaluate", index, "decode"), evaluation.decode


def _scales(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    several: list[tuple[tuple[str | int, ...], Decoder]] = []
    with suppress(Unsound):
        if len(recipe.scales) > 1:
            several.append((("scales",), recipe.decode))
    for index, evaluation in _evaluations(recipe):
        with suppress(Unsound):
            if len(evaluation.scales or recipe.scales) > 1 and (evaluation.scales or evaluation.decode):
                several.append((("evaluate", index, "scales" if evaluation.scales else "decode"), evaluation.decode or recipe.decode))
    for path, decoder in several:
        if not isinstance(decoder, MultiScale):
            yield path, "this decoder takes the maps of one run: it cannot average several scales"


def _turns(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    ways: list[tuple[tuple[str | int, ...], Turns, Scales, Decoder]] = []
    with suppress(Unsound):
        ways.append((("turns",), recipe.turns, recipe.scales, recipe.decode))
    for index, evaluation in _evaluations(recipe):
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
    _targets, _calibration, _channels, _shapes, _fixed, _weights, _decoding, _scales, _turns, _evaluate,
)  # fmt: skip
