"""Carrying out a plan: what is known is taken from the store, what is not is made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from zoo.context import Context
from zoo.datasets.images import at_one_moment
from zoo.engine.action import Action, key
from zoo.engine.code import Code
from zoo.engine.store import Artifact, Done, Store
from zoo.errors import Bug, Cancelled, StepFailed, ZooError
from zoo.machine import versions
from zoo.record import canonical
from zoo.steps.step import Run

State = Literal["made", "known", "failed", "blocked"]


@dataclass(frozen=True)
class Outcome:
    """What became of an action.

    `made` now, `known` from before, `failed` with an error, or `blocked` by one that failed, whose error
    it carries. `verdict` is what a finished artifact fails to keep of the recipe's promises.
    """

    action: Action
    state: State
    key: str = ""
    artifact: Artifact | None = None
    seconds: float = 0.0
    error: ZooError | None = None
    verdict: str = ""


def execute(
    actions: Sequence[Action],
    store: Store,
    context: Context,
    *,
    jobs: int = 1,
    again: Callable[[Action], bool] = lambda _: False,
    fail_fast: bool = False,
    code: Code | None = None,
    finished: Callable[[Outcome], None] = lambda _: None,
) -> dict[str, Outcome]:
    """Carry out `actions` (each after those that it reads) and say what became of each, by id.

    A failed action blocks those that read it; the rest goes on unless `fail_fast`. Raises Cancelled
    when the context was cancelled, after every step has stopped and its workplace is gone.
    """
    store.sweep()
    code = code or Code(store.cache)
    outcomes: dict[str, Outcome] = {}
    waiting: list[Action] = []
    running: dict[Future[list[Outcome]], Action] = {}

    def settle(outcome: Outcome) -> None:
        outcomes[outcome.action.id] = outcome
        finished(outcome)

    def stopping() -> bool:
        return context.cancelled.is_set() or (fail_fast and any(o.state == "failed" or o.verdict for o in outcomes.values()))

    # what is known needs no thread, and the files behind it no second look
    with at_one_moment():
        for action in actions:
            known = None if stopping() or again(action) else _known(action, outcomes, store, context, code)
            if known:
                settle(known)
            else:
                waiting.append(action)
    for action in waiting:
        # here, not where each is carried out: up to 3.11 Python's parser fails now and then in several threads at once
        code.digest(action.step)
    companies = _companies(waiting)

    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="zoo") as pool:
        try:
            while waiting or running:
                ready = list(_ready(waiting, outcomes))
                expecting = {action.id for action in ready if any(_unready(other, outcomes) for other in companies[action.id])}
                for action in sorted(ready, key=lambda action: action.id in expecting):
                    if stopping():
                        break
                    if action not in waiting:
                        continue  # it went with another one
                    blocker = next((outcomes[i] for i in action.reads.values() if outcomes[i].artifact is None), None)
                    if blocker:
                        waiting.remove(action)
                        settle(Outcome(action, "blocked", error=blocker.error))
                        continue
                    alone = action.step.exclusive
                    if len(running) >= jobs or (alone and running) or any(a.step.exclusive for a in running.values()):
                        continue
                    if action.id in expecting and running:
                        continue  # others of its company are being made ready
                    company = [action, *(one for one in companies[action.id] if one in waiting and not _held(one, outcomes))]
                    for one in company:
                        waiting.remove(one)
                    made = {id: outcomes[id].artifact for one in company for id in one.reads.values()}
                    running[pool.submit(_carry_out, company, made, store, context, code, again)] = action
                if not running:
                    if stopping():
                        break
                    continue
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    for outcome in future.result():
                        settle(outcome)
        except BaseException:
            # ^C or a bug: every step must notice before the pool may be left
            context.cancelled.set()
            raise
        finally:
            code.save()
    if context.cancelled.is_set():
        raise Cancelled("stopped")
    # in the order of the plan, whatever was known and whatever ended first
    return {action.id: outcomes[action.id] for action in actions if action.id in outcomes}


def foresee(actions: Sequence[Action], store: Store, context: Context, code: Code) -> dict[str, Literal["known", "to do", "open"]]:
    """What `execute` would find, without doing anything: by id, whether an action is known, is to be done, or is
    open until something that it reads has been made."""
    states: dict[str, Literal["known", "to do", "open"]] = {}
    digests: dict[str, str] = {}
    with at_one_moment():
        for action in actions:
            if any(source not in digests for source in action.reads.values()):
                states[action.id] = "open"
                continue
            try:
                found = store.find(key(action, {role: digests[source] for role, source in action.reads.items()}, code, context))
            except ZooError:
                found = None  # a dataset is not here, a variable not set: the run will say which
            states[action.id] = "known" if found else "to do"
            if found:
                digests[action.id] = found[1].digest
    return states


def stored(actions: Sequence[Action], store: Store, context: Context, code: Code) -> dict[str, tuple[str, Artifact]]:
    """Those of `actions` that the store knows: by id, the key and the artifact."""
    known: dict[str, tuple[str, Artifact]] = {}
    with at_one_moment():
        for action in actions:
            if all(source in known for source in action.reads.values()):
                try:
                    name = key(action, {role: known[source][1].digest for role, source in action.reads.items()}, code, context)
                except ZooError:
                    continue  # what cannot be planned here has left nothing in the store either
                found = store.find(name)
                if found:
                    known[action.id] = name, found[1]
    return known


def keys_in_use(actions: Sequence[Action], store: Store, context: Context, code: Code) -> set[str]:
    """The keys of those of `actions` that the store knows: what a garbage collection has to keep."""
    return {name for name, _ in stored(actions, store, context, code).values()}


def _known(action: Action, outcomes: Mapping[str, Outcome], store: Store, context: Context, code: Code) -> Outcome | None:
    """The outcome of an action that the store knows; None where it has to be made, or fails: its turn will say how."""
    inputs = {role: outcomes[source].artifact for role, source in action.reads.items() if source in outcomes}
    digests = {role: artifact.digest for role, artifact in inputs.items() if artifact}
    if len(digests) < len(action.reads):
        return None
    with suppress(Exception):
        name = key(action, digests, code, context)
        if found := store.find(name):
            return Outcome(action, "known", name, found[1], found[0].seconds, verdict=action.step.verdict(found[1].path))
    return None


def _ready(waiting: Sequence[Action], outcomes: Mapping[str, Outcome]) -> Iterator[Action]:
    for action in waiting:
        if all(source in outcomes for source in action.reads.values()):
            yield action


def _unready(action: Action, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether something that it reads is still to be made, or tried."""
    return action.id not in outcomes and any(source not in outcomes for source in action.reads.values())


def _held(action: Action, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether something that it reads is not there, or not yet."""
    return not all(source in outcomes and outcomes[source].artifact for source in action.reads.values())


def _companies(actions: Sequence[Action]) -> dict[str, list[Action]]:
    """By id, the others that an action had better be run with."""
    groups: dict[Hashable, list[Action]] = {}
    for action in actions:
        common = action.step.company(action.reads)
        groups.setdefault((action.id,) if common is None else (type(action.step), common), []).append(action)
    return {action.id: [other for other in group if other is not action] for group in groups.values() for action in group}


def _carry_out(
    company: Sequence[Action],
    made: Mapping[str, Artifact | None],
    store: Store,
    context: Context,
    code: Code,
    again: Callable[[Action], bool],
) -> list[Outcome]:
    """Carry out actions of one kind in one pass. `made`: by id, what they read."""
    outcomes: dict[str, Outcome] = {}
    todo: list[tuple[Action, str, Context]] = []
    for action in company:
        try:
            name = key(action, {role: found.digest for role, found in _read(action, made).items()}, code, context)
            known = None if again(action) else store.find(name)
            if known:
                verdict = action.step.verdict(known[1].path)
                outcomes[action.id] = Outcome(action, "known", name, known[1], known[0].seconds, verdict=verdict)
            else:
                todo.append((action, name, context.within(action.id)))
        except Exception as error:  # the boundary, as below
            outcomes[action.id] = Outcome(action, "failed", error=_told(error))
    if todo:
        outcomes |= {outcome.action.id: outcome for outcome in _make(todo, made, store)}
    return [outcomes[action.id] for action in company]


def _make(todo: Sequence[tuple[Action, str, Context]], made: Mapping[str, Artifact | None], store: Store) -> list[Outcome]:
    """Run the steps of actions with their keys, and publish what comes out."""
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        try:
            runs = []
            for number, (action, name, context) in enumerate(todo):
                context.report("started" if not number else f"in one pass with {todo[0][0].id}")
                partial = store.resumed(name)
                if action.step.precious and context.training:  # what is refused leaves nothing to be kept
                    store.guard(partial)
                own = replace(context, partial=partial)
                out = stack.enter_context(store.workplace()) / "out"
                out.mkdir()
                given = {role: found.path for role, found in _read(action, made).items()}
                runs.append(Run(action.step, given, out, own))
            raised = type(runs[0].step).run_together(runs)
        except Exception as error:  # the boundary: whatever a step's tools raise must not take the other steps with it
            return [Outcome(action, "failed", seconds=time.monotonic() - started, error=_told(error)) for action, _, _ in todo]
        seconds = (time.monotonic() - started) / len(runs)
        for (action, name, _), one, failed in zip(todo, runs, raised, strict=True):
            try:
                if failed:
                    raise failed
                artifact = store.publish(one.out)
                step, tools = msgspec.json.decode(canonical(one.step)), dict(versions(one.step.tools()))
                digests = {role: found.digest for role, found in _read(action, made).items()}
                store.record(name, Done(id=action.id, step=step, inputs=digests, tools=tools, seconds=seconds, artifact=artifact.digest))
                outcomes.append(Outcome(action, "made", name, artifact, seconds, verdict=one.step.verdict(artifact.path)))
            except Exception as error:
                outcomes.append(Outcome(action, "failed", seconds=seconds, error=_told(error)))
    return outcomes


def _read(action: Action, made: Mapping[str, Artifact | None]) -> dict[str, Artifact]:
    """By role, what an action reads."""
    found = {role: made[source] for role, source in action.reads.items()}
    return {role: artifact for role, artifact in found.items() if artifact}


def _told(error: Exception) -> ZooError:
    """An exception as the run tells it."""
    if isinstance(error, ZooError):
        return error
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return StepFailed(f"{error.strerror or error}{where}", "is the disk full, or a file gone?")
    return Bug("".join(traceback.format_exception(error)), "please report this")
