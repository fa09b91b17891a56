"""From the outcomes of a run to results/<machine>/<recipe>/<target>.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from zoo.board.results import Result, Weights, encode, path_of
from zoo.cli.session import Session, write_changed
from zoo.cli.wishes import usable
from zoo.engine.action import installed
from zoo.engine.execute import Outcome
from zoo.engine.joint import parts_on, runs_on
from zoo.engine.plan import Definitions, matching, parities
from zoo.engine.use import judged_in
from zoo.errors import MissingTool, NotTrained, WeightsUnreachable, ZooError
from zoo.licence import joined, words
from zoo.machine import describe, vnni
from zoo.recipe.composite import AnyRecipe, Composite, parts_of
from zoo.recipe.model import Recipe, Target
from zoo.steps import reports
from zoo.steps.boxes import FindBoxes
from zoo.steps.bundle import model_size
from zoo.steps.end_to_end import MeasureEndToEnd
from zoo.steps.latency import MeasureLatency
from zoo.steps.provenance import Provenance
from zoo.steps.whole import MeasureWhole

#: reports that say what was computed in
MEASURED = reports.Parity | reports.Accuracy | reports.Latency | reports.EndToEnd


def results_of(
    session: Session, recipe: AnyRecipe, targets: Sequence[str], outcomes: Mapping[str, Outcome], definitions: Definitions
) -> list[Result]:
    """One result for each of the recipe's targets that the run was about: those that `targets` (globs; none: all that can be
    used here) name. Of others a model may have been built, for a pipeline or to find boxes with, and nothing measured."""
    declared = definitions.of(recipe)
    own = {id: outcome for id, outcome in outcomes.items() if id.startswith(f"{recipe.name}/")}
    return [
        result_of(session, recipe, name, outcomes, own, declared[f"{recipe.name}/{name}"])
        for name in matching(recipe, targets or usable(session, recipe))
        if f"{recipe.name}/{name}/compile" in outcomes
    ]


def result_of(
    session: Session, recipe: AnyRecipe, name: str, outcomes: Mapping[str, Outcome], own: Mapping[str, Outcome], definition: str
) -> Result:
    """What the run found out about one target; a cell that failed holds why. `own` are those of the outcomes that have the recipe's
    name."""
    target = session.place.declared.targets[name]
    prefix = f"{recipe.name}/{name}"
    compiled = outcomes[f"{prefix}/compile"]
    parts = parts_on(recipe, name, session.place.declared).values()
    runs = runs_on(recipe, name, session.place.declared)
    chain = parities(recipe, name)
    parity = together([parity_report(outcomes.get(id), role, outcomes) for id, role in chain.items()])
    reason = why_unmeasured(compiled, runs, recipe, outcomes)
    why = unjudged(recipe, name, target) if runs and compiled.artifact else None
    if any(id not in outcomes for id in list(chain)[1::2]) and not (isinstance(parity, reports.Parity) and not parity.passed):
        # what is known of the graph says nothing about a target that did not run
        parity = reason
    accuracy: list[reports.Accuracy | reports.Failure] = []
    for id, outcome in own.items():
        if id.startswith(f"{prefix}/accuracy/"):
            found = report(outcome, outcomes, dataset=id.split("/")[3])
            if isinstance(found, reports.Accuracy | reports.Failure):
                accuracy.append(found)
    differences = [report(outcome, outcomes) for id, outcome in own.items() if id.startswith(f"{prefix}/difference/")]
    ceilings = [report(outcome, outcomes) for id, outcome in own.items() if id.startswith(f"{recipe.name}/ceiling/")]
    usual = f"{prefix}/{'whole' if isinstance(recipe, Composite) else 'latency'}"
    latency = report(outcomes.get(usual), outcomes) or reason
    batches = [report(outcome, outcomes) for id, outcome in own.items() if id.startswith(f"{usual}/")]
    ways = [report(outcome, outcomes) for id, outcome in own.items() if id.startswith(f"{prefix}/end_to_end/")]
    # a run that only times says nothing about accuracies that it was not asked for
    asked = not isinstance(latency, reports.Latency) or not recipe.evaluate or any("/accuracy/" in id for id in outcomes)
    timed = [found for found in ways if isinstance(found, reports.EndToEnd | reports.Failure)]
    measured = [item for item in (latency, *accuracy, *timed, parity) if isinstance(item, MEASURED)]
    notes = []
    if not runs:
        notes.append("built with TensorRT-RTX, not run" if compiled.artifact else "TensorRT-RTX did not build it")
    if target.precision == "int8" and target.backend.scheme == "u8s8" and not vnni():
        notes.append("reduced range: no VNNI")
    return Result(
        machine=session.place.declared.machine,
        description=describe(),
        recipe=recipe.name,
        title=recipe.title,
        task=recipe.task,
        weights=weights_of(recipe, outcomes),
        target=name,
        backend=str(type(target.backend).__struct_config__.tag),
        device=target.device,
        precision=target.precision,
        computed_in=measured[0].computed_in if measured else "",
        note="; ".join(notes),
        parity=parity,
        accuracy=tuple(accuracy) or ((why or reason,) if asked else ()),
        differences=tuple(found for found in differences if isinstance(found, reports.Difference)),
        ceilings=tuple(found for found in ceilings if isinstance(found, reports.Ceiling)),
        latency=latency if isinstance(latency, reports.Latency | reports.Failure) else None,
        batches=tuple(found for found in batches if isinstance(found, reports.Latency | reports.Failure)),
        end_to_end=tuple(timed),
        size_bytes=model_size(compiled.artifact.path) if compiled.artifact else None,
        key=compiled.key,
        definition=definition,
        published=recipe.published,
        versions=dict(installed(tool for part in parts for tool in part.backend.tools)),
    )


def why_unmeasured(compiled: Outcome, runs: bool, recipe: AnyRecipe, outcomes: Mapping[str, Outcome]) -> reports.Failure:
    """What stands in the cells of a target for which the plan holds no measurement."""
    failed = report(compiled, outcomes) if compiled.artifact is None else None
    if isinstance(failed, reports.Failure):
        return failed
    if not runs:
        return reports.Failure(word="not run", message="")  # the row's note says it
    return reports.Failure(word="no images", message=f"none of its datasets is here: {', '.join(datasets(recipe)) or 'it names none'}")


def unjudged(recipe: AnyRecipe, name: str, target: Target) -> reports.Failure | None:
    """Why a target is judged in no protocol, where that is the recipe's own doing: it names none, or none of the target's size."""
    if not recipe.evaluate:
        return reports.Failure(word="no protocol", message="the recipe names none that it could be judged in")
    if isinstance(recipe, Composite) or not (options := recipe.targets[name]) or not options.shape:
        return None
    if judged_in(recipe, target, options):
        return None
    return reports.Failure(word="other size", message=f"every protocol wants other inputs than {options.shape[0]}x{options.shape[1]}")


def datasets(recipe: AnyRecipe) -> list[str]:
    """The names of all datasets that a recipe is calibrated or judged on."""
    calibrations = [part.calibration.dataset for part in parts_of(recipe).values() if part.calibration]
    return list(dict.fromkeys([*calibrations, *(name for evaluation in recipe.evaluate for name in evaluation.datasets)]))


def write_results(session: Session, results: list[Result]) -> list[Path]:
    """Write each result to its file, whole or not at all; one that says so already is left as it is."""
    paths = [session.place.results / path_of(result) for result in results]
    for path, result in zip(paths, results, strict=True):
        write_changed(path, encode(result))
    return paths


def report(outcome: Outcome | None, outcomes: Mapping[str, Outcome], dataset: str = "") -> reports.Report | None:
    """The report of an outcome, or in a word why there is none; `outcomes` is all that the run came to."""
    if outcome is None:
        return None
    if outcome.artifact:
        return _read(outcome.artifact.path)
    error, step = outcome.error, outcome.action.step
    batch = step.batch if isinstance(step, MeasureLatency | MeasureWhole) else 0
    protocols = step.protocols if isinstance(step, MeasureEndToEnd) else ()
    said, message = word(error), error.message if error else ""
    if search := unfound(outcome, outcomes):
        # the reason is another network's: "no weights" would be said of the row's own
        said, message = "no boxes", f"{search.detector} found none: {message}"
    return reports.Failure(word=said, message=message, dataset=dataset, batch=batch, protocols=protocols)


@cache
def _read(folder: Path) -> reports.Report:
    """The report of an artifact, which stays as it is: a ceiling stands beside every target, a network's parity in every pipeline."""
    return reports.read(folder)


def unfound(outcome: Outcome, outcomes: Mapping[str, Outcome]) -> FindBoxes | None:
    """The search for boxes that failed, or could not begin, and so kept an outcome from having an artifact; None where it was not that."""
    if outcome.artifact:
        return None
    if isinstance(outcome.action.step, FindBoxes):
        return outcome.action.step
    reads = [outcomes[id] for id in outcome.action.reads.values() if outcome.state == "blocked"]
    blocker = next((one for one in reads if one.artifact is None), None)
    return unfound(blocker, outcomes) if blocker else None


def parity_report(outcome: Outcome | None, role: str, outcomes: Mapping[str, Outcome]) -> reports.Report | None:
    """The report of a parity action; of a pipeline's part, by its role."""
    found = report(outcome, outcomes)
    return reports.of_part(role, found) if role and isinstance(found, reports.Parity) else found


def word(error: ZooError | None) -> str:
    """Why, in a word."""
    if isinstance(error, WeightsUnreachable):
        return "no weights"
    if isinstance(error, NotTrained):
        return "not trained"
    if isinstance(error, MissingTool):
        return "not installed"
    return "failed"


def together(stretches: Sequence[reports.Report | None]) -> reports.Parity | reports.Failure | None:
    """PyTorch -> ONNX and ONNX -> target, of every network, as one report: the chain from the original to the target."""
    for one in stretches:
        if isinstance(one, reports.Failure):
            return one
    found = [one for one in stretches if isinstance(one, reports.Parity)]
    return reports.chain(found) if len(found) == len(stretches) else found[-1] if found else None


def weights_of(recipe: AnyRecipe, outcomes: Mapping[str, Outcome]) -> Weights:
    """The weights that a row was made from; of a pipeline those of all its networks, by role."""
    found = {role: _weights_of(part, _made(part, outcomes)) for role, part in parts_of(recipe).items()}
    if not isinstance(recipe, Composite):
        return found[""]
    return Weights(
        title="; ".join(f"{role}: {weights.title}" for role, weights in found.items()),
        licence=joined({role: weights.licence for role, weights in found.items()}),
        substitute="; ".join(f"{role}: {weights.substitute}" for role, weights in found.items() if weights.substitute),
        rehearsal=any(weights.rehearsal for weights in found.values()),
        sha256s={f"{role}/{file}": digest for role, weights in found.items() for file, digest in weights.sha256s.items()},
    )


def _made(recipe: Recipe, outcomes: Mapping[str, Outcome]) -> Outcome:
    """What became of the action that gives a network its weights."""
    return outcomes.get(f"{recipe.name}/fetch") or outcomes[f"{recipe.name}/train"]


def _weights_of(recipe: Recipe, fetched: Outcome) -> Weights:
    """The weights of one network."""
    stated = words(recipe.licences.weights, recipe.licences.use)
    if fetched.artifact is None:
        return Weights(title="not fetched" if recipe.weights else "not trained", licence=stated)
    provenance = Provenance.read(fetched.artifact.path)
    official = recipe.weights and not provenance.substitute
    title = "official" if official else provenance.source
    return Weights(
        title=title,
        # a rehearsal shows the terms of the weights that it stands in for: who reads its row wants to know what they cost
        licence=stated if provenance.rehearsal else words(provenance.licence, provenance.use),
        substitute=provenance.substitute,
        rehearsal=provenance.rehearsal,
        sha256s=provenance.files,
    )
