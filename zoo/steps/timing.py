"""What the steps that time have in common: a process of its own, in turns with those that it is compared with, and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from zoo.context import Context
from zoo.machine import Machine, describe, versions
from zoo.measure.interleaved import Task, interleave
from zoo.measure.isolated import Isolated
from zoo.measure.latency import Timing
from zoo.measure.tally import Asked
from zoo.measure.throughput import Throughput
from zoo.steps import reports
from zoo.steps.bundle import model_size
from zoo.steps.step import Run, Step


class Timed(NamedTuple):
    """What a process that timed something gives back."""

    timing: Timing
    shapes: dict[str, tuple[int, ...]]
    """Of what was bound; the first, where they differ."""
    computed_in: str
    load_seconds: float
    peak_memory: int = 0
    """Of the process until then; 0: what the whole process came to."""
    stages: tuple[reports.Stage, ...] = ()
    throughput: tuple[Throughput, ...] = ()
    asked: tuple[Asked, ...] = ()
    """Of a pipeline: how often its networks were called."""


class TimedStep(Step, frozen=True, kw_only=True):
    """Time something in a process of its own. The targets of one recipe, at one batch and size, take turns."""

    exclusive: ClassVar[bool] = True
    measures: ClassVar[bool] = True

    batch: int = 1

    def timer(self) -> Callable[..., Timed]:
        """What runs in that process."""
        raise TypeError(f"{type(self).__name__} does not say how it times")

    def order(self, given: Mapping[str, Path], context: Context) -> tuple[Any, ...]:
        """What `timer` is given."""
        raise TypeError(f"{type(self).__name__} does not say what it times")

    def unmeasurable(self, given: Mapping[str, Path]) -> reports.Failure | None:
        """Why there is nothing to time."""
        return None

    def told(self, isolated: Isolated[Timed], given: Mapping[str, Path], context: Context) -> reports.Latency | reports.Failure:
        """The report of what was timed."""
        return report(isolated, given["compiled"], self.tools(), context)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `compiled` and what `order` and `told` read; writes report.json."""
        (error,) = self.run_together([Run(self, given, out, context)])
        if error:
            raise error

    @classmethod
    def run_together(cls, runs: Sequence[Run]) -> list[Exception | None]:
        """In turns; see `Step.run_together`."""
        raised: list[Exception | None] = [None] * len(runs)
        timed: list[tuple[int, TimedStep, Run]] = []
        for place, one in enumerate(runs):
            assert isinstance(one.step, TimedStep)
            if failure := one.step.unmeasurable(one.given):
                reports.write(failure, one.out)
            else:
                timed.append((place, one.step, one))
        tasks = [Task(step.timer(), partial(step.order, one.given, one.context), one.context) for _, step, one in timed]
        for (place, step, one), taken in zip(timed, interleave(tasks), strict=True):
            try:
                if isinstance(taken.outcome, Exception):
                    raise taken.outcome
                found = step.told(taken.outcome, one.given, one.context)
                if isinstance(found, reports.Latency):
                    # an action is called RECIPE/TARGET/...
                    beside = tuple(timed[other][2].context.action.split("/")[1] for other in taken.beside)
                    found = msgspec.structs.replace(found, beside=beside)
                reports.write(found, one.out)
            except Exception as error:  # of this one alone
                raised[place] = error
        return raised


def machine_timed() -> Machine:
    """This machine as a fact of a timing: without what it has installed besides, and without which of its cores are ours."""
    return msgspec.structs.replace(describe(), versions={}, affinity=())


def report(isolated: Isolated[Timed], compiled: Path, tools: Sequence[str], context: Context) -> reports.Latency:
    """The report of what was compiled, timed in a process of its own."""
    timed = isolated.value
    return reports.Latency(
        timing=timed.timing,
        stages=timed.stages,
        throughput=timed.throughput,
        asked=timed.asked,
        threads=context.threads,
        shapes=timed.shapes,
        load_seconds=timed.load_seconds,
        peak_memory_bytes=timed.peak_memory or isolated.peak_memory,
        size_bytes=model_size(compiled),
        machine=describe(),
        computed_in=timed.computed_in,
        digests={"compiled": compiled.name},
        versions=dict(versions(tools)),
    )
