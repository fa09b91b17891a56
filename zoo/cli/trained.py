"""What `zoo train` does with a plan, and what it says at the end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from zoo.cli.session import Session, relative
from zoo.context import Accelerator, Training
from zoo.engine.action import Action
from zoo.engine.execute import Outcome
from zoo.engine.validation import Validation
from zoo.engine.weights import train
from zoo.engine.wish import Plan, Wish
from zoo.files import write_bytes
from zoo.recipe.model import Recipe
from zoo.steps.train import HISTORY, WEIGHTS, TrainNetwork
from zoo.training.loop import fits


def carried_out(
    session: Session,
    recipe: Recipe,
    wish: Wish,
    *,
    devices: int,
    nodes: int,
    accelerator: Accelerator,
    validated: bool,
    again: bool,
    quiet: bool,
) -> dict[str, Outcome]:
    """Train a network: first what has to be there before, then the training itself, which is looked at meanwhile."""
    story = Plan(session.place)
    id = train(story, recipe, wish)
    action = story.actions[id]
    assert recipe.train is not None and isinstance(action.step, TrainNetwork)
    fits(action.step.model, action.step.task, devices=devices, accelerator=accelerator, nodes=nodes)
    looked_at = recipe.train.validation if validated else None
    photos = story.photos(session.place.declared.datasets[looked_at.dataset]) if looked_at else {}
    before = [one for one in story.actions.values() if one.id != id]
    outcomes = session.carry_out(before, jobs=1, again=lambda _: False, fail_fast=True, quiet=quiet)
    if any(outcome.artifact is None for outcome in outcomes.values()):
        return outcomes
    made = {name: outcome.artifact.path for name, outcome in outcomes.items() if outcome.artifact}
    training = Training(
        devices=devices,
        nodes=nodes,
        accelerator=accelerator,
        checkpoint=recipe.train.checkpoint,
        validate=_validation(session, recipe, made.get(photos.get("photos", ""))) if looked_at else None,
        every=looked_at.every if looked_at else 1,
    )
    session = replace(session, context=replace(session.context, training=training))
    if "WORLD_SIZE" in os.environ and int(os.environ.get("RANK", "0")):
        _follow(session, action, made)
        return {}
    return session.carry_out(list(story.actions.values()), jobs=1, again=lambda one: again and one.id == id, fail_fast=True, quiet=quiet)


def _validation(session: Session, recipe: Recipe, photos: Path | None) -> Validation | None:
    """What looks at the network meanwhile; None, and said, where its images are not here."""
    assert recipe.train is not None and recipe.train.validation is not None
    declared = recipe.train.validation
    dataset = session.place.declared.datasets[declared.dataset]
    if absent := dataset.absent(session.context):
        click.echo(f"no validation: {declared.dataset} is not here: {absent}", err=True)
        return None
    evaluation = next(one for one in recipe.evaluate if one.protocol == declared.protocol)
    images = dataset.open(session.context, photos).subset(declared.images)
    with session.telling(f"{recipe.name}/ceiling") as context:
        return Validation.of(recipe, evaluation, images, recipe.train.targets, context)


def _follow(session: Session, action: Action, made: Mapping[str, Path]) -> None:
    """Take part in a training that torchrun has begun: the process of rank 0 tells of it, and writes."""
    with session.telling(action.id) as context, tempfile.TemporaryDirectory() as folder:
        action.step.run({role: made[source] for role, source in action.reads.items()}, Path(folder), context)


def summary(recipe: Recipe, outcomes: Mapping[str, Outcome], *, copy_to: str | None, as_json: bool, own: bool) -> None:
    """Epoch by epoch what was learnt, and where the weights are. `own`: they are those that `zoo build` takes."""
    outcome = outcomes.get(f"{recipe.name}/train")
    if outcome is None or outcome.artifact is None:
        return
    weights = outcome.artifact.path / WEIGHTS
    if copy_to:
        write_bytes(Path(copy_to), weights.read_bytes())
    told = msgspec.json.decode((outcome.artifact.path / HISTORY).read_bytes())
    if as_json:
        click.echo(msgspec.json.encode({"recipe": recipe.name, "state": outcome.state, "weights": str(weights), **told}).decode())
        return
    from zoo.cli.console import print_table

    lines = [_line(epoch) for epoch in told["epochs"]]
    print_table(("epoch", "steps", "loss", "rate", "images/s", "waiting", "AP", "AP50", "ceiling", "of ceiling"), lines)
    click.echo(f"weights: {copy_to or relative(weights)}")
    if own:
        click.echo(f"next: zoo eval {recipe.name}")
    else:
        click.echo(
            f"a try: its weights go where --weights names them, as in: zoo predict {recipe.name} IMAGE --weights {relative(weights)}"
        )


def _line(epoch: Mapping[str, Any]) -> tuple[str, ...]:
    figures = epoch["validation"]
    ap, ceiling = figures.get("AP"), figures.get("ceiling")
    share = f"{ap / ceiling:.0%}" if ap is not None and ceiling else ""
    numbers = ["" if value is None else f"{value:.4f}" for value in (ap, figures.get("AP50"), ceiling)]
    return (
        str(epoch["epoch"]), str(epoch["step"]), f"{epoch['loss']:.4g}", f"{epoch['rate']:.3g}", f"{epoch['images_per_second']:.1f}",
        f"{epoch['waiting']:.0%}", *numbers, share,
    )  # fmt: skip
