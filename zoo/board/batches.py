"""What batching brings: a table for each task of the rows that were timed at more than one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from zoo.board.columns import COLUMNS, NOTHING, Column, Value, megabytes, number
from zoo.board.results import path_of
from zoo.board.rows import Key, Row
from zoo.board.tables import OUTDATED_LINE, TASKS, Table, machines, of_latency, said, with_machine
from zoo.steps.reports import Failure, Latency

Get = Callable[[Latency], float]


@dataclass(frozen=True)
class AtBatch(Column):
    """A column of one batch, whose cells say where the machine was noisy."""

    batch: int = 1

    def text(self, row: Row) -> str:
        """See `Column.text`."""
        found = timings(row).get(self.batch)
        return super().text(row) + (" (noisy)" if isinstance(found, Latency) and found.timing.noisy else "")


def timings(row: Row) -> dict[int, Latency | Failure]:
    """Batch -> what was found at it, the smallest first."""
    reports = [report for report in (row.result.latency, *row.result.batches) if report]
    found = {report.timing.batch if isinstance(report, Latency) else report.batch: report for report in reports}
    return {batch: found[batch] for batch in sorted(found) if batch}


def batch_tables(rows: Iterable[Row]) -> list[Table]:
    """A table for each task and each kind of timing (a network alone, a pipeline's whole way), every result in it once.

    A result of which no batch could be timed is left out: its row in the other tables says why."""
    unique = {path_of(row.result): row for row in rows if row.result.batches and _measured(row)}

    def kind(row: Row) -> tuple[str, bool]:
        return row.key.task, any(report.stages for report in _measured(row))

    ordered = sorted(unique.values(), key=lambda row: (kind(row), row.result.recipe, row.result.target, row.result.machine))
    return [_table(task, whole, tuple(group)) for (task, whole), group in groupby(ordered, key=kind)]


def _measured(row: Row) -> list[Latency]:
    return [report for report in timings(row).values() if isinstance(report, Latency)]


def _table(task: str, whole: bool, group: Sequence[Row]) -> Table:
    batches = sorted({batch for row in group for batch in timings(row)})
    columns = {name: COLUMNS[name] for name in with_machine(["model", "target", "computed_in"], group)}
    for batch in batches:
        columns[f"images_per_second@{batch}"] = _at(f"images/s at {batch}", batch, lambda report: report.timing.images_per_second)
    for batch in batches[1:]:
        columns[f"gain@{batch}"] = _gain(batch, batches[0])
    for batch in batches:
        columns[f"p50@{batch}"] = _at(f"p50 of a call at {batch}, ms", batch, lambda report: report.timing.median_ms)
    columns["memory"] = Column("peak memory, largest batch", lambda row: _measured(row)[-1].peak_memory_bytes or None, megabytes)
    heading = f"{TASKS.get(task, task)}: {'pipeline from decoded images to poses' if whole else 'network alone'} by batch"
    return Table(Key(task), heading, tuple(columns), tuple(group), tuple(_lines(group)), columns)


def _at(heading: str, batch: int, get: Get) -> Column:
    def value(row: Row) -> Value:
        report = timings(row).get(batch)
        return get(report) if isinstance(report, Latency) else None

    def why(row: Row) -> str:
        report = timings(row).get(batch)
        return report.word if isinstance(report, Failure) else NOTHING

    return AtBatch(heading, value, number, otherwise=why, batch=batch)


def _gain(batch: int, least: int) -> Column:
    def value(row: Row) -> Value:
        one, other = timings(row).get(least), timings(row).get(batch)
        if not isinstance(one, Latency) or not isinstance(other, Latency):
            return None
        return other.timing.images_per_second / one.timing.images_per_second

    return Column(f"{batch} against {least}", value, lambda ratio: f"{ratio:.2f}x")


def _lines(group: Sequence[Row]) -> list[str]:
    """Machines, threads, calls, then what is to be said of single rows."""
    measured = [report for row in group for report in _measured(row)]
    fewest = min(report.timing.runs for report in measured)
    found = [*machines(group, measured), f"Every figure is of at least {fewest} calls."]
    for row in group:
        about = [OUTDATED_LINE] if row.outdated else []
        about += ["the weights are seeded, which a speed does not feel"] if row.rehearsal else []
        for batch, report in timings(row).items():
            about += [f"at batch {batch}: {line}" if isinstance(report, Failure) else line for line in of_latency(report)]
        found += said(row, about)
    return found
