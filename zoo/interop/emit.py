"""What Vastai's tools need to take a target of a recipe: the vdsp JSON of its runtime, and the build YAML of its compiler, vamc."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from zoo.calibrators import Calibrator, Entropy, MinMax, Percentile
from zoo.context import Context
from zoo.datasets import Made
from zoo.edits import Rename
from zoo.edits.fold_preprocess import left_outside
from zoo.errors import StepFailed, UsageError
from zoo.interop import process_ops
from zoo.pose import vdsp_writer
from zoo.pose.preprocess import Preprocess
from zoo.recipe.model import Calibration, Recipe, TargetOptions, Workspace

if TYPE_CHECKING:
    import onnx

MODES: Mapping[type[Calibrator], str] = {MinMax: "max", Percentile: "percentile", Entropy: "kl_divergence"}


@dataclass(frozen=True)
class Fed:
    """What the network of a target is fed."""

    input: str
    """The input's name, after all edits."""
    preprocess: Preprocess
    """What is left to do outside of the graph, after all edits."""
    size: tuple[int, int] | None
    """(width, height) where the fit gives no other."""
    batch: int


def fed(recipe: Recipe, target: str | None = None) -> Fed:
    """What a target is fed, or without one what all are that change nothing."""
    options = (recipe.targets[target] if target else None) or TargetOptions()
    edits = (*recipe.edits, *options.edits)
    name, preprocess = recipe.export.input, left_outside(recipe.preprocess, edits)
    for edit in edits:
        if isinstance(edit, Rename):
            name = edit.names.get(name, name)
    given = preprocess.fit.size
    return Fed(name, preprocess, (given[1], given[0]) if given else None, options.batch or 1)


def vdsp_json(recipe: Recipe, target: str | None = None) -> str:
    """The vdsp JSON of what a target is fed. Raises Unsayable, UsageError."""
    what = fed(recipe, target)
    return vdsp_writer.text(what.preprocess, what.size)


def vamc_yaml(
    recipe: Recipe, target: str, workspace: Workspace, context: Context, *, model: Path | None = None, photos: Path | None = None
) -> str:
    """The build YAML that makes of vamc what `target` is: the same input, precision and calibration.

    `model`: the ONNX file before any precision, all edits done, where it has been built; `photos`: the folder of the
    calibration's images, where an action makes them. What vamc has no word for stands in comments. Raises Unsayable; UsageError
    where vamc builds no such precision, or the graph is needed and not there.
    """
    options = recipe.targets[target] or TargetOptions()
    precision = workspace.targets[target].precision
    if precision not in ("int8", "fp16"):
        takes = [name for name in recipe.targets if workspace.targets[name].precision in ("int8", "fp16")]
        hint = f"targets of {recipe.name} that it can: {', '.join(takes)}" if takes else f"{recipe.name} has no target of these"
        raise UsageError(f"vamc builds int8 and fp16, and {target} is {precision}", hint)
    what = fed(recipe, target)
    ops = process_ops.write(what.preprocess, what.size)
    if what.size is None:
        raise AssertionError("a preprocessing that vamc can say has a size")
    width, height = what.size
    calibration = recipe.calibration
    said: dict[str, Any] = {
        "name": f"{recipe.name}_{precision}",
        "frontend": {
            "shape": {what.input: [what.batch, 3, height, width]},
            "type": "onnx",
            "checkpoint": str(model or f"{recipe.name}.onnx"),
            "dtype": "fp32",
        },
        "backend": {"type": "tvm_vacc", "dtype": precision, "compile": {"cluster_mode": 0}},
        "dataset": {"type": "tvm", "process_ops": ops},
        "workspace": {"path": f"./vamc/{recipe.name}/{target}"},
    }
    notes = [f"{recipe.title} as {target} has it; `zoo emit vdsp` gives the JSON that belongs to it."]
    if model is None:
        notes.append(f"checkpoint: `zoo build {recipe.name} --target {target}` makes the ONNX file, and then its path stands there")
    if calibration:
        if isinstance(workspace.datasets[calibration.dataset], Made) and photos is None:
            notes.append(f"path: the images of {calibration.dataset} are not made yet, and then their folder stands there")
        if precision == "int8":
            skipped = _skipped(recipe, target, options.keep, model)
            said["backend"]["quantize"] = {
                "calibrate_mode": MODES[type(calibration.method)],
                "quantize_per_channel": calibration.per_channel,
                **({"skip_conv_layers": skipped} if skipped else {}),
            }
            notes += _unsaid(calibration)
        said["dataset"] = {"type": "tvm", **_images(calibration, workspace, context, photos), "process_ops": ops}
    text = yaml.safe_dump(said, sort_keys=False, default_flow_style=None, width=140, allow_unicode=True)
    return "".join(f"# {note}\n" for note in notes) + text


def _skipped(recipe: Recipe, target: str, keep: Sequence[str], model: Path | None) -> list[int]:
    """The convolutions that `keep` leaves in float, as vamc names them: by their place among all, from 0."""
    if not keep:
        return []
    if model is None:
        raise UsageError(
            f"{target} keeps nodes in float by their names, and vamc counts convolutions: that takes the graph",
            f"zoo build {recipe.name} --target {target}",
        )
    import onnx

    return convolutions(onnx.load(model, load_external_data=False), keep)


def convolutions(model: onnx.ModelProto, keep: Sequence[str]) -> list[int]:
    """Where among the convolutions of a graph, in its order, those stand that any of `keep` (names or globs) matches."""
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return [place for place, name in enumerate(names) if any(name == glob or fnmatch.fnmatchcase(name, glob) for glob in keep)]


def _unsaid(calibration: Calibration) -> list[str]:
    """What of a calibration vamc's keys do not say."""
    method = calibration.method
    unsaid = [f"{name} {getattr(method, name):g}" for name in method.__struct_fields__]
    unsaid += [f"smooth {calibration.smooth:g}"] if calibration.smooth is not None else []
    return [f"not said here, for vamc has no key for it: {', '.join(unsaid)} of the calibration"] if unsaid else []


def _images(calibration: Calibration, workspace: Workspace, context: Context, photos: Path | None) -> dict[str, Any]:
    """Where the images lie, and how many are taken. Where they are not here: as the workspace declares them."""
    dataset = workspace.datasets[calibration.dataset]
    if isinstance(dataset, Made):
        folder = str(photos or calibration.dataset)
    else:
        try:
            folder = str(context.path(dataset.images))
        except StepFailed:
            folder = dataset.images
    suffixes: Counter[str] = Counter()
    if not dataset.absent(context) and (photos or not isinstance(dataset, Made)):
        suffixes.update(sample.path.suffix.lstrip(".") for sample in dataset.open(context, photos).samples)
    suffix = suffixes.most_common(1)[0][0] if suffixes else "jpg"
    return {"path": folder, "sampler": {"suffix": suffix, "get_data_num": calibration.images}}
