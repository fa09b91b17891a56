"""Results become rows: each knows its table, its place in it, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from zoo.board.results import Result
from zoo.record import canonical
from zoo.steps.reports import Accuracy, Ceiling, Data, Difference, EndToEnd, Failure, Latency, Parity


class Key(NamedTuple):
    """What makes figures comparable: rows of different keys never stand in one table."""

    task: str
    dataset: str = ""
    """The dataset's name; "" for rows without any accuracy."""
    digest: str = ""
    """What the dataset held: two machines may have given one name to different images."""
    fingerprint: str = ""
    """The protocol's."""


@dataclass(frozen=True)
class Row:
    """One line of one table."""

    key: Key
    result: Result
    accuracy: Accuracy | Failure | None
    """What was measured in this table's protocol; a Failure or None where nothing was."""
    outdated: bool = False
    """Recipe, weights or code have changed since."""
    rank: int | None = None
    """1 is the best of the table by the figure that ranks its protocol; equal ones share a rank; None without that figure."""

    @property
    def rehearsal(self) -> bool:
        """Measured with seeded weights: no figure of accuracy may be shown."""
        return self.result.weights.rehearsal

    @property
    def latency(self) -> Latency | None:
        """The latency, if it was measured."""
        return self.result.latency if isinstance(self.result.latency, Latency) else None

    @property
    def end_to_end(self) -> EndToEnd | Failure | None:
        """The whole way in this table's protocol, or why it was not timed; None where nobody tried."""
        name = self.accuracy.protocol.get("name") if isinstance(self.accuracy, Accuracy) else None
        return next((report for report in self.result.end_to_end if name in report.protocols), None)

    @property
    def parity(self) -> Parity | None:
        """The parity, if it was measured."""
        return self.result.parity if isinstance(self.result.parity, Parity) else None

    @property
    def batch(self) -> int:
        """Images a call, of the latency that was or would have been measured; 0 where nobody says."""
        timed = self.result.latency
        return timed.timing.batch if isinstance(timed, Latency) else timed.batch if timed else 0

    @property
    def difference(self) -> Difference | None:
        """How far its figure is from that of another protocol, if the two were held against each other."""
        if self.rehearsal or not isinstance(self.accuracy, Accuracy):
            return None
        here = self.accuracy.dataset, self.accuracy.fingerprint
        return next((one for one in self.result.differences if (one.dataset, one.fingerprint) == here), None)

    @property
    def ceiling(self) -> Ceiling | None:
        """What perfect targets would give in this table's protocol on the same images, where that is known."""
        if self.rehearsal or not isinstance(self.accuracy, Accuracy):
            return None
        here = self.accuracy.dataset, self.accuracy.protocol.get("name")
        return next((one for one in self.result.ceilings if (one.dataset, one.protocol) == here), None)

    @property
    def highest(self) -> float | None:
        """The ceiling of the figure that it is ranked by."""
        return self.ceiling.figures.get(self.accuracy.ranked_by) if self.ceiling and isinstance(self.accuracy, Accuracy) else None

    @property
    def best(self) -> float | None:
        """The figure that it is ranked by."""
        return self.figure(self.accuracy.ranked_by) if isinstance(self.accuracy, Accuracy) else None

    def figure(self, name: str) -> float | None:
        """A figure of the accuracy; None where it was not measured, and always in a rehearsal."""
        if self.rehearsal or not isinstance(self.accuracy, Accuracy):
            return None
        return self.accuracy.figures.get(name)

    @property
    def why_no_accuracy(self) -> str:
        """In a word, why there are no figures of accuracy; "" where there are."""
        if self.rehearsal:
            return "rehearsal"
        if isinstance(self.accuracy, Failure):
            return self.accuracy.word
        return "" if self.accuracy else "not measured"


def rows(results: Iterable[Result], definitions: Mapping[str, str] | None = None) -> list[Row]:
    """The rows of all tables, table by table, the best first; the same for the same results in any order.

    definitions: `recipe/target` -> the sha256 that a row measured now would carry; a result whose own differs, or that
    nothing declares any more, is outdated. None: not checked. A result stands in a table for each protocol and dataset
    that it was measured in. One that was not measured there stands, unranked, beside the other targets of its recipe;
    without those, in a table of its task that has no accuracy."""
    ordered = sorted(results, key=lambda result: (result.recipe, result.target, result.machine, canonical(result)))
    tables: dict[str, set[Key]] = {}
    for result in ordered:
        for report in result.accuracy:
            if isinstance(report, Accuracy):
                tables.setdefault(result.recipe, set()).add(key_of(result, report))
    found = [row for result in ordered for row in _rows_of(result, tables.get(result.recipe, set()))]
    if definitions is not None:
        found = [replace(row, outdated=definitions.get(row.result.name) != row.result.definition) for row in found]
    return _ranked(found)


def key_of(result: Result, report: Accuracy) -> Key:
    """The table of an accuracy."""
    return Key(result.task, report.dataset.name, report.dataset.digest, report.fingerprint)


def dataset_of(group: Iterable[Row]) -> Data | None:
    """The dataset of a table, from its first row that was measured."""
    return next((row.accuracy.dataset for row in group if isinstance(row.accuracy, Accuracy)), None)


def _rows_of(result: Result, tables: set[Key]) -> list[Row]:
    """The rows of one result; `tables` are all in which its recipe was measured on any target."""
    measured = {key_of(result, report): report for report in result.accuracy if isinstance(report, Accuracy)}
    failures = [report for report in result.accuracy if isinstance(report, Failure)]
    found = [Row(key, result, report) for key, report in measured.items()]
    for key in sorted(tables - measured.keys()):
        # an unmeasured row says nothing about a dataset that this machine may not even have, unless it tried
        failure = next((failure for failure in failures if _belongs(failure, key)), None)
        if failure or not measured:
            found.append(Row(key, result, failure))
    if not found:
        found.append(Row(Key(result.task), result, failures[0] if failures else None))
    return found


def _belongs(failure: Failure, key: Key) -> bool:
    """Whether a failed accuracy would have stood in this table, as far as it knows."""
    return failure.dataset in ("", key.dataset) and failure.fingerprint in ("", key.fingerprint)


def _ranked(found: list[Row]) -> list[Row]:
    """Sorted by table and by the figure that ranks it, and what is alike in that left as it was; rank is counted anew in every table."""

    def order(row: Row) -> tuple[Key, bool, float, str, str, str, int]:
        best, result = row.best, row.result
        return (row.key, best is None, -(best or 0.0), result.recipe, result.target, result.machine, row.batch)

    ranked: list[Row] = []
    place, key, last = 0, None, None
    for row in sorted(found, key=order):
        if row.key != key:
            place, key, last = 0, row.key, None
        best = row.best
        place += 1
        shared = bool(ranked) and ranked[-1].key == row.key and best is not None and best == last
        ranked.append(row if best is None else replace(row, rank=ranked[-1].rank if shared else place))
        last = best
    return ranked
