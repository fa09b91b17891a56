"""What the benchmarks share: a recipe's artifacts from the store, networks timed side by side, Markdown tables."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from zoo.cli.session import Session, exit_code
from zoo.cli.wishes import actions_for
from zoo.engine.execute import Outcome
from zoo.errors import StepFailed
from zoo.machine import describe
from zoo.recipe.model import Recipe
from zoo.steps.accuracy import DETECTIONS

#: A call of the network with its input bound.
Call = Callable[[], Any]
Name = TypeVar("Name", bound=Hashable)


def machine(threads: int) -> str:
    """The machine in a line, for the head of a table."""
    here = describe()
    return f"{here.cpu}, {here.cores} cores, {', '.join(here.isa)}; {here.os}, Python {here.python}; {threads} threads"


def open_recipe(name: str) -> tuple[Session, Recipe]:
    """The workspace around the current folder, and one of its recipes."""
    session = Session.open()
    return session, session.recipes([name], everything=False)[0]


def carry_out(session: Session, recipe: Recipe, targets: Sequence[str], *, accuracy: bool = False) -> dict[str, Outcome]:
    """Build (and judge) `targets`, from the store where it knows them. Raises StepFailed where something failed."""
    actions = actions_for(session, [recipe], targets, accuracy=accuracy)
    outcomes = session.carry_out(actions, jobs=1, again=lambda _: False, fail_fast=False, quiet=True)
    if exit_code(list(outcomes.values())) not in (0, 5):  # 5: a gate; what is measured here does not depend on it
        failed = next(outcome for outcome in outcomes.values() if outcome.error)
        raise StepFailed(f"{failed.action.id}: {failed.error}")
    return outcomes


def artifact(outcomes: Mapping[str, Outcome], id: str) -> Path:
    """The folder that the action `id` made. Raises StepFailed where it made none."""
    found = outcomes[id].artifact
    if found is None:
        raise StepFailed(f"{id} made nothing")
    return found.path


def detections(outcomes: Mapping[str, Outcome], id: str) -> list[dict[str, object]]:
    """What the accuracy action `id` found, as COCO results."""
    content: list[dict[str, object]] = msgspec.json.decode((artifact(outcomes, id) / DETECTIONS).read_bytes())
    return content


def side_by_side(calls: Mapping[Name, Call], rounds: int, block: int = 3) -> dict[Name, list[float]]:
    """Seconds of a call of each in each of `rounds` rounds: one network after the other within a round, so that what the
    machine does meanwhile hits all alike. The first fifth is warm-up and left out.

    In its turn a network is called once untimed (its weights come back into the caches, the threads of the one before stop
    spinning), then `block` times, of which the median counts."""
    times: dict[Name, list[float]] = {name: [] for name in calls}
    warm = max(1, rounds // 5)
    for turn in range(rounds + warm):
        for name, call in calls.items():
            call()
            found = []
            for _ in range(block):
                started = time.perf_counter()
                call()
                found.append(time.perf_counter() - started)
            if turn >= warm:
                times[name].append(statistics.median(found))
    return times


def ratio(reference: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """How many times faster `other` is: the median of the rounds' own ratios, and their quartiles."""
    ratios = [one / two for one, two in zip(reference, other, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def row(*cells: Any) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells: str) -> str:
    """The first two lines of a Markdown table."""
    return row(*cells) + "\n" + "|" + "---|" * len(cells)
