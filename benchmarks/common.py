"""What the benchmarks share: a recipe's artifacts from the store, networks timed side by side, processes with their memory, tables."""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from zoo.cli.session import Session, exit_code
from zoo.cli.wishes import actions_for
from zoo.context import Context
from zoo.engine.execute import Outcome
from zoo.errors import StepFailed
from zoo.machine import describe
from zoo.recipe.model import Evaluation, Recipe
from zoo.steps.accuracy import DETECTIONS

#: A call of the network with its input bound.
Call = Callable[[], Any]
Name = TypeVar("Name", bound=Hashable)
#: what Python is told to be `zoo`
ZOO = ("-c", "import sys; from zoo.cli import main; sys.argv[0] = 'zoo'; main()")


def arguments(doc: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """A parser that prints a script's docstring as it stands, with `--rounds` where things take turns."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds, help="in how many rounds the ways take turns (default: %(default)s)")
    return parser


def on_one_thread(doc: str | None, tables: Callable[[int], None], *, rounds: int) -> None:
    """All of a script whose ways take turns on one thread: reads `--rounds`, and prints the machine and `tables(rounds)`."""
    import cv2

    given = arguments(doc, rounds=rounds).parse_args()
    cv2.setNumThreads(1)
    print(machine(1), end="\n\n")
    tables(given.rounds)


def plain_module(name: str) -> ModuleType:
    """A protocol worded plainly: what tests hold the zoo's poses against (tests/unit), its time is held against here."""
    tests = str(Path(__file__).parents[1] / "tests/unit")
    if tests not in sys.path:
        sys.path.append(tests)
    return importlib.import_module(name)


def machine(threads: int) -> str:
    """The machine in a line, for the head of a table."""
    here = describe()
    return f"{here.cpu}, {here.cores} cores, {', '.join(here.isa)}; {here.os}, Python {here.python}; {threads} threads"


def open_recipe(name: str) -> tuple[Session, Recipe]:
    """The workspace around the current folder, and one of its recipes."""
    session = Session.open()
    return session, session.recipes([name], everything=False)[0]


def pruned(session: Session, name: str, targets: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recipe of some targets, and a zoo.yaml, both as YAML has them, whose paths hold everywhere."""
    place = session.place
    recipe = yaml.safe_load(place.find(name).read_text(encoding="utf-8"))
    recipe["targets"] = {target: recipe["targets"][target] for target in targets}
    declared = yaml.safe_load((place.root / "zoo.yaml").read_text(encoding="utf-8"))
    declared["environment"] = {key: str((place.root / value).resolve()) for key, value in declared["environment"].items()}
    declared["mirrors"] = [str(path) for path in session.context.mirrors]
    return recipe, declared


def make_workspace(root: Path, declared: dict[str, Any], recipes: Sequence[dict[str, Any]]) -> None:
    """A workspace in `root` of a zoo.yaml and recipes."""
    (root / "recipes").mkdir(parents=True)
    for path, content in [("zoo.yaml", declared), *((f"recipes/{recipe['name']}.yaml", recipe) for recipe in recipes)]:
        (root / path).write_text(yaml.dump(content, Dumper=_Plainly), encoding="utf-8")


class _Plainly(yaml.SafeDumper):
    """Writes out what stands in several places: a recipe may hold no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


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


def paired(
    evaluation: Evaluation, dataset: Any, context: Context, one: Sequence[Any], other: Sequence[Any], samples: int
) -> tuple[str, str]:
    """By how much AP of the detections `one` is above AP of `other` on a dataset, and how sure that is, by a paired bootstrap of so many
    draws."""
    images = dataset.open(context)
    pair = evaluation.metric.paired_difference(images.annotations, one, other, images.ids, samples=samples)
    return f"{pair['difference']:+.4f}", f"{pair['standard_error']:.4f}, {pair['low']:+.4f} .. {pair['high']:+.4f}"


class Ran(NamedTuple):
    """A process that ended."""

    seconds: float
    peak: int
    """The most bytes that it, or one of the processes that it started, held at a time."""
    said: str
    """What it wrote to standard output."""
    told: str
    """What it wrote to standard error."""


def run(command: Sequence[str], *, accepted: Sequence[int] = (0,)) -> Ran:
    """Run Python with the arguments `command`. Stops where that ends otherwise than `accepted`."""
    # bytecode is kept, as for anyone who installed it: some machines forbid that, and compiling takes 0.1 s
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.NamedTemporaryFile("r") as account:
        launch = [sys.executable, "-S", "-c", _LAUNCH, account.name, sys.executable, *command]
        done = subprocess.run(launch, capture_output=True, text=True, check=False, env=environment)
        seconds, peak, code = json.load(account)
    if code not in accepted:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{done.stderr[-2000:]}")
    return Ran(seconds, peak, done.stdout, done.stderr)


#: Linux counts what a process held before it became another program: a large parent's children would all look as large as it is. So a
#: small one starts them, and writes down seconds, the most memory and the exit code.
_LAUNCH = """
import json, os, sys, time
account, *command = sys.argv[1:]
started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
with open(account, "w") as file:
    json.dump([time.perf_counter() - started, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)], file)
"""


def zoo(*words: str, options: Sequence[str] = (), accepted: Sequence[int] = (0, 5)) -> Ran:
    """Run `zoo` with `words`, its Python with `options`. A gate that is not reached is no failure: what is measured here does not depend
    on it."""
    return run([*options, *ZOO, *words], accepted=accepted)


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


def faster(reference: Sequence[float], other: Sequence[float], digits: int = 2) -> str:
    """`ratio` as a cell: the median, and the quartiles in brackets."""
    middle, low, high = ratio(reference, other)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def row(*cells: Any) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells: str) -> str:
    """The first two lines of a Markdown table."""
    return row(*cells) + "\n" + "|" + "---|" * len(cells)
