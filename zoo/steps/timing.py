"""What the steps that time have in common: the report of a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from zoo.context import Context
from zoo.machine import Machine, describe, versions
from zoo.measure.isolated import Isolated
from zoo.measure.latency import Timing
from zoo.measure.throughput import Throughput
from zoo.steps import reports
from zoo.steps.bundle import model_size


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
