"""The plan of a pipeline: its networks, laid side by side, judged and timed as one.

the plans of its parts -> assemble -> accuracy, end_to_end, whole       once a target
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.context import Context
from zoo.engine.action import Action
from zoo.engine.network import compare, measure_accuracy, measure_end_to_end, plan_network
from zoo.engine.use import Way, left_out, part, timings
from zoo.engine.wish import Plan, Wish
from zoo.pipelines.estimator import PoseModel
from zoo.recipe.composite import AnyRecipe, Composite, parts_of
from zoo.recipe.model import TargetOptions, Workspace
from zoo.steps.assemble import Assemble
from zoo.steps.part import Part, open_model
from zoo.steps.whole import MeasureWhole


def plan_pipeline(story: Plan, recipe: Composite, names: Sequence[str], context: Context, wish: Wish) -> None:
    """Add what `wish` asks for of the recipe's targets `names`; of the parts they are built and held against their originals."""
    workspace, declared = story.workspace, recipe.declared
    building = replace(wish, accuracy=False, latency=False, end_to_end=False)
    for name in names:
        reads, models, parts = dict[str, str](), dict[str, str](), parts_on(recipe, name, workspace)
        for role, network in recipe.parts.items():
            target = recipe.target_of(name, role)
            plan_network(story, network, [target], context, building)
            reads[role] = f"{network.name}/{target}/compile"
            models[f"{role} model"] = story.actions[reads[role]].reads["model"]
        compiled = story.add(Action(f"{recipe.name}/{name}/compile", Assemble(pipeline=declared.pipeline), reads))
        if not runs_on(recipe, name, workspace):
            continue
        owner, pipeline = f"{recipe.name}/{name}", declared.pipeline
        without = tuple(other for network in recipe.parts.values() for other in left_out(network, workspace))
        for protocol in recipe.evaluate if wish.accuracy else ():
            measure_accuracy(story, owner, protocol, parts, compiled, context, wish, without=without, pipeline=pipeline)
        compare(story, owner, recipe.evaluate)
        if wish.end_to_end:
            ways = [Way(protocol, parts) for protocol in recipe.evaluate]
            measure_end_to_end(story, owner, ways, compiled, context, wish, without=without, pipeline=pipeline)
        dataset = workspace.datasets[declared.benchmark.dataset]
        if wish.latency and (wish.assume or not dataset.absent(context)):
            timed = declared.benchmark
            for id, batch in timings(f"{recipe.name}/{name}/whole", wish.batches or (1, *timed.batches)).items():
                step = MeasureWhole(parts=parts, pipeline=declared.pipeline, dataset=dataset, images=timed.images, batch=batch)
                story.add(Action(id, step, {"compiled": compiled, **models, **story.photos(dataset)}))


def parts_on(recipe: AnyRecipe, target: str, workspace: Workspace) -> dict[str, Part]:
    """How each network of a recipe of any kind is used on a target: as its own recipe says."""
    chosen = {role: recipe.target_of(target, role) if isinstance(recipe, Composite) else target for role in parts_of(recipe)}
    return {role: part(network, workspace.targets[chosen[role]]) for role, network in parts_of(recipe).items()}


def runs_on(recipe: AnyRecipe, target: str, workspace: Workspace) -> bool:
    """Whether what is built for a target can be run, and not only built."""
    return all(part.backend.runs for part in parts_on(recipe, target, workspace).values())


def open_on(recipe: AnyRecipe, target: str, workspace: Workspace, compiled: Path, context: Context, batch: int = 1) -> PoseModel:
    """Open what was compiled of a recipe of any kind for a target, to be used as the recipe says."""
    pipeline = recipe.declared.pipeline if isinstance(recipe, Composite) else None
    return open_model(compiled, parts_on(recipe, target, workspace), pipeline, context, batch=batch)


def options_on(recipe: AnyRecipe, target: str) -> list[TargetOptions | None]:
    """What the recipe of each network changes about the target that it runs on."""
    if isinstance(recipe, Composite):
        return [part.targets[recipe.target_of(target, role)] for role, part in recipe.parts.items()]
    return [recipe.targets[target]]
