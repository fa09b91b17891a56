"""Models for programs: a recipe's name and a target in, a function from images to poses out.

import cv2
import zoo.api

with zoo.api.load("openpose_mobilenet", "onnxruntime-fp32") as model:
    poses = model(cv2.imread("people.jpg"))
    print(len(poses), "people", model.skeleton.keypoints)

A top-down network looks at boxes, (N, 4) x1, y1, x2, y2 in image pixels; without them it takes the whole image for one
person's. A pipeline that begins with a detector finds them, or takes those that it is given:

with zoo.api.load("simplepose", "onnxruntime-fp32", batch=8) as model:
    poses = model(image, boxes=boxes)
with zoo.api.load("rtmdet_simplepose", "onnxruntime-fp32", batch=8) as model:
    poses = model(image)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context, Progress
from zoo.engine.action import Action, needed
from zoo.engine.execute import Outcome, execute
from zoo.engine.joint import open_on, runs_on
from zoo.engine.plan import named, plan
from zoo.engine.store import Store
from zoo.engine.wish import Plan, Wish
from zoo.errors import StepFailed, UsageError
from zoo.licence import Purpose
from zoo.pipelines.estimator import PoseModel
from zoo.recipe.origin import of_artifact, of_recipe, require
from zoo.recipe.workspace import Place, open_place, read_recipe

Listener = Callable[[Progress], None]


def load(
    name: str,
    target: str,
    *,
    workspace: str | Path | None = None,
    offline: bool = False,
    threads: int | None = None,
    batch: int = 1,
    rehearse: bool = False,
    licence: Purpose | None = None,
    listener: Listener | None = None,
) -> PoseModel:
    """Open `name` (a recipe's name or path) on `target` (a name of zoo.yaml's), building first what the store lacks.

    It prepares and decodes as the recipe says. Parity is not measured: that is what `zoo build` does. `offline`: use only
    mirrors and what is in the store. `threads`: the runtime's, by default one for each physical core. `batch`:
    how many inputs of one shape `model.many(images)` puts into one call. `rehearse`: seed weights that cannot be had; what
    they find means nothing. `licence`: "commercial" refuses what stands on weights that must not be used commercially; by
    default zoo.yaml decides. `listener` hears what is being done.

    Raises UsageError, RecipeError, LicenceRefused, or what kept a step from running: MissingTool, WeightsUnreachable,
    StepFailed.
    """
    place = open_place(str(workspace) if workspace else None)
    recipe = read_recipe(place.find(name), place)
    purpose = licence or place.declared.licence
    require([of_recipe(recipe, place)], purpose)
    if not runs_on(recipe, named(recipe, target), place.declared):
        raise UsageError(f"{target} can be built but not run", "load another target; `zoo doctor` says which this machine runs")
    context = _listened(place.context(offline=offline), listener)
    actions = plan(recipe, place, context, Wish(targets=(target,), rehearse=rehearse))
    compiled = _made(actions, f"{recipe.name}/{target}/compile", place, context)
    # the artifact is asked as well as the recipe: what it was made from is written into it
    require([of_artifact(f"{recipe.name}/{target}", compiled)], purpose)
    return open_on(recipe, target, place.declared, compiled, replace(context, threads=threads or context.threads), batch)


def images(
    dataset: str, *, workspace: str | Path | None = None, offline: bool = False, listener: Listener | None = None
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The images of one of zoo.yaml's datasets as (name, (H, W, 3) uint8 BGR), fetched first where they have to be.

    Raises UsageError where there is no such dataset, StepFailed where it is not here or cannot be fetched."""
    place = open_place(str(workspace) if workspace else None)
    known = place.declared.datasets
    if dataset not in known:
        raise UsageError(f"there is no dataset {dataset}", f"zoo.yaml declares {', '.join(known)}")
    context = _listened(place.context(offline=offline), listener)
    story = Plan(place)
    reads = story.photos(known[dataset])
    fetched = _made(list(story.actions.values()), reads["photos"], place, context) if reads else None
    opened = known[dataset].open(context, fetched)
    for sample in opened.samples:
        yield sample.name, opened.read(sample)


def _listened(context: Context, listener: Listener | None) -> Context:
    return replace(context, listener=listener) if listener else context


def _made(actions: list[Action], wanted: str, place: Place, context: Context) -> Path:
    """The artifact of the action `wanted`, made with only what it needs of `actions`. Raises the error that kept it from being made."""
    outcome: Outcome = execute(needed(actions, wanted), Store(place.store), context)[wanted]
    if outcome.artifact is None:
        raise outcome.error or StepFailed(f"{wanted} was not made")
    return outcome.artifact.path
