"""What every command that works on recipes needs: the workspace, a context, and a run that is told as it happens."""

from __future__ import annotations

import datetime
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.backends import Backend
from zoo.context import Context
from zoo.engine.action import Action
from zoo.engine.code import Code
from zoo.engine.execute import Outcome, execute
from zoo.engine.store import Store
from zoo.errors import LicenceRefused, UsageError
from zoo.files import write_bytes
from zoo.licence import Purpose
from zoo.recipe.composite import AnyRecipe
from zoo.recipe.origin import HINT, of_recipe, require
from zoo.recipe.workspace import Place, open_place, read_all, shown

if TYPE_CHECKING:
    from zoo.cli.progress import Teller


@dataclass(frozen=True)
class Session:
    """An opened workspace."""

    place: Place
    store: Store
    context: Context
    purpose: Purpose
    verbose: bool = False
    asked: dict[int, tuple[Backend, str]] = field(default_factory=dict, compare=False, repr=False)
    """What each backend that was asked for is lacking, by its identity."""

    @classmethod
    def open(
        cls,
        workspace: str | None = None,
        *,
        offline: bool = False,
        verbose: bool = False,
        rehash: bool = False,
        results: str | None = None,
        licence: Purpose | None = None,
    ) -> Session:
        """Open the workspace and look at what it points to. `results`: another folder for them and their leaderboard;
        `licence`: another purpose than zoo.yaml's."""
        if not gc.get_freeze_count():
            gc.freeze()  # what was imported stays to the end: to look through it for garbage took a tenth of a run with nothing to do
        place = open_place(workspace)
        if results:
            place = replace(place, results=Path(results).resolve())
        store = Store(place.store)
        if rehash:
            (store.cache / "digests.json").unlink(missing_ok=True)
        return cls(place, store, place.context(offline=offline), licence or place.declared.licence, verbose)

    @cached_property
    def code(self) -> Code:
        """The digests of our code, which a plan, its run and the rows of the board ask for."""
        return Code(self.store.cache)

    def recipes(self, names: Sequence[str], everything: bool) -> list[AnyRecipe]:
        """The recipes that a command line names. Raises UsageError where it names none, RecipeError with all problems."""
        if not names and not everything:
            raise UsageError(
                "which recipe?", "name one, as in recipes/openpose_mobilenet.yaml, or say --all; `zoo list` shows what there is"
            )
        paths = self.place.files() if everything else [self.place.find(name) for name in names]
        return read_all(paths, self.place)

    def lacking(self, backend: Backend) -> str:
        """What a backend is lacking here, or nothing; it is looked for once."""
        if id(backend) not in self.asked:
            self.asked[id(backend)] = (backend, backend.available())
        return self.asked[id(backend)][1]

    def permitted(self, names: Sequence[str], everything: bool, weights: str | None = None) -> list[AnyRecipe]:
        """The recipes that a command line names, to be made or used: those whose weights (or the user's own `weights`) may
        be used for what they are wanted for.

        Of `everything`, the others are passed over and named. Raises LicenceRefused where a recipe that is asked for by
        name must not be used, or none is left; else as `recipes`."""
        recipes = self.recipes(names, everything)
        origins = [of_recipe(recipe, self.place, Path(weights) if weights else None) for recipe in recipes]
        if not everything:
            require(origins, self.purpose)
            return recipes
        refusals = [origin.refusal(self.purpose) for origin in origins]
        for refusal in filter(None, refusals):
            click.echo(f"passed over: {refusal}", err=True)
        if recipes and all(refusals):
            raise LicenceRefused("no recipe of this workspace may be used commercially", HINT)
        return [recipe for recipe, refusal in zip(recipes, refusals, strict=True) if not refusal]

    def carry_out(
        self, actions: Sequence[Action], *, jobs: int, again: Callable[[Action], bool], fail_fast: bool, quiet: bool = False
    ) -> dict[str, Outcome]:
        """Carry out a plan, telling as it happens; ^C stops it cleanly (Cancelled)."""
        with self._told(len(actions), quiet) as teller:
            context = replace(self.context, listener=teller.heard)
            return execute(
                actions,
                self.store,
                context,
                jobs=jobs,
                again=again,
                fail_fast=fail_fast,
                code=self.code,
                finished=teller.finished,
            )

    @contextmanager
    def telling(self, what: str) -> Iterator[Context]:
        """A context for long work outside of a plan, told as it happens under the name `what`; ^C stops it cleanly (Cancelled)."""
        with self._told(1, quiet=False) as teller:
            yield replace(self.context, listener=teller.heard, action=what)

    @contextmanager
    def _told(self, total: int, quiet: bool) -> Iterator[Teller]:
        from zoo.cli.progress import Teller

        log = self.store.root / "logs" / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
        with Teller(log, verbose=self.verbose, quiet=quiet, total=total) as teller, stopping(self.context):
            yield teller


@contextmanager
def stopping(context: Context) -> Iterator[None]:
    """^C asks the steps to stop at their next report, and so does SIGTERM (`timeout`, `kill`); a second one no longer waits."""

    def first(number: int, frame: object) -> None:
        context.cancelled.set()
        for number in before:
            signal.signal(number, signal.default_int_handler)
        sys.stderr.write("\nstopping ...\n")

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The one exit code of a run: a bug, else a failed step, else a missing tool, else a broken promise."""
    codes = {outcome.error.exit_code for outcome in outcomes if outcome.state == "failed" and outcome.error}
    if any(outcome.verdict for outcome in outcomes):
        codes.add(5)
    return next((code for code in (70, 2, 4, 3, 5) if code in codes), 0)


def write_changed(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; a file that holds just that is left as it is."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    write_bytes(path, data)


def relative(path: Path) -> str:
    """A path as the user would type it from here."""
    return str(shown(path))
