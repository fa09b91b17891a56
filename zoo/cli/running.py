"""From a recipe's name to an opened model, for the commands that show a model something."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoo.cli.session import Session
from zoo.cli.wishes import actions_for, usable
from zoo.context import Context
from zoo.engine.action import needed
from zoo.engine.execute import Outcome
from zoo.engine.joint import parts_on, runs_on
from zoo.engine.plan import named
from zoo.engine.use import part
from zoo.errors import UsageError
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import PoseModel
from zoo.recipe.composite import AnyRecipe, Composite
from zoo.recipe.origin import of_artifact, require
from zoo.steps.part import ALONE, Part, open_model
from zoo.steps.provenance import Provenance


def chosen_target(session: Session, recipe: AnyRecipe, target: str | None) -> str:
    """The target that a command line names, or the recipe's first that can be run here.

    Raises UsageError where there is none, or where it can be built and not run."""
    declared = session.place.declared
    chosen = named(recipe, target) if target else next((one for one in usable(session, recipe) if runs_on(recipe, one, declared)), None)
    if chosen is None or not runs_on(recipe, chosen, declared):
        running = [one for one in recipe.targets if runs_on(recipe, one, declared)]
        only = f"{chosen} can be built but not run" if chosen else f"no target of {recipe.name} can be run"
        raise UsageError(only, f"targets that run: {', '.join(running) or 'none'}")
    return chosen


def parts_in(session: Session, recipe: AnyRecipe, target: str, protocol: str | None) -> dict[str, Part]:
    """How each network is used: as its recipe says, or as the recipe's own `protocol` has it. Raises UsageError where there is none."""
    if not protocol:
        return parts_on(recipe, target, session.place.declared)
    if isinstance(recipe, Composite):
        raise UsageError(f"{recipe.name} is a pipeline: its networks are used as their own recipes say", "leave --protocol away")
    known = {evaluation.protocol: evaluation for evaluation in recipe.evaluate}
    if protocol not in known:
        raise UsageError(f"{recipe.name} has no protocol {protocol}", f"it has {', '.join(known) or 'none'}")
    return {ALONE: part(recipe, session.place.declared.targets[target], known[protocol])}


@dataclass(frozen=True)
class Ready:
    """What was compiled of a recipe for a target, and how it is used."""

    recipe: AnyRecipe
    target: str
    folder: Path
    parts: dict[str, Part]

    @property
    def rehearsal(self) -> bool:
        """Whether its weights are seeded."""
        return Provenance.read(self.folder).rehearsal

    @property
    def pipeline(self) -> Pipeline | None:
        """What joins its networks; None where there is one."""
        return self.recipe.declared.pipeline if isinstance(self.recipe, Composite) else None

    def open(self, context: Context, batch: int = 1, streams: int = 1) -> PoseModel:
        """Open it, for `streams` callers at once."""
        return open_model(self.folder, self.parts, self.pipeline, context, batch=batch, streams=streams)


def made(
    session: Session, recipe: AnyRecipe, target: str, parts: dict[str, Part], *, weights: str | None, rehearse: bool
) -> Ready | list[Outcome]:
    """Build what the store lacks; the outcomes where that failed. Raises LicenceRefused where the weights must not be used so."""
    compiled = f"{recipe.name}/{target}/compile"
    actions = needed(actions_for(session, [recipe], [target], weights=weights, rehearse=rehearse), compiled)
    outcomes = session.carry_out(actions, jobs=1, again=lambda _: False, fail_fast=True)
    artifact = outcomes[compiled].artifact if compiled in outcomes else None
    if artifact is None:
        return list(outcomes.values())
    # the artifact is asked as well as the recipe: what it was made from is written into it
    require([of_artifact(f"{recipe.name}/{target}", artifact.path)], session.purpose)
    return Ready(recipe, target, artifact.path, parts)
