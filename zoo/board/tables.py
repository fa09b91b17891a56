"""Rows become tables: a heading, the chosen columns, and below it all that the figures mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from zoo.board.columns import COLUMNS, FIGURES, WHY, Column, number, pick
from zoo.board.rows import Key, Row, dataset_of
from zoo.machine import Machine
from zoo.steps.reports import Accuracy, Ceiling, Difference, EndToEnd, Failure, Latency

TASKS = {
    "body_pose": "Body pose",
    "hand_pose": "Hand pose",
    "body_hand_pose": "Body and hand pose",
    "person_detection": "Person detection",
}
OUTDATED = " (outdated)"
OUTDATED_LINE = "outdated: recipe, weights or code have changed since it was measured"


@dataclass(frozen=True)
class Table:
    """Rows whose figures compare: those of one task, dataset and protocol."""

    key: Key
    heading: str
    columns: tuple[str, ...]
    """Their names."""
    rows: tuple[Row, ...]
    lines: tuple[str, ...]
    """What is said below it."""
    known: Mapping[str, Column] = field(default_factory=lambda: COLUMNS)
    """What the names mean."""

    def header(self) -> list[str]:
        """The columns' headings."""
        return [self.known[name].heading for name in self.columns]

    def cells(self, row: Row) -> list[str]:
        """A row as people read it; an outdated one says so in its first cell that holds words."""
        texts = [self.known[name].text(row) for name in self.columns]
        if row.outdated:
            place = next((index for index, name in enumerate(self.columns) if name in ("model", "target")), len(texts) - 1)
            texts[place] += OUTDATED
        return texts


def tables(rows: Iterable[Row], columns: Iterable[str] = ()) -> list[Table]:
    """One table for each key, those with an accuracy first; `rows` as `zoo.board.rows.rows` gives them.

    columns: which of COLUMNS, in order; none: all. The machine is shown wherever a table has rows of more than one. Left out are
    figures that no row's metric gives, and notes, whole ways, throughputs, differences and ceilings where no row has any; a table
    without any figures has one column instead that says why. Raises UsageError for a column that does not exist."""
    chosen = pick(columns)
    groups = [(key, tuple(group)) for key, group in groupby(rows, key=lambda row: row.key)]
    groups.sort(key=lambda item: (item[0].task, not item[0].dataset, _apart(item[1]), item[0]))
    return [_table(key, group, chosen) for key, group in groups]


def to_json(built: Sequence[Table]) -> list[dict[str, Any]]:
    """The tables as plain data for programs: raw values, and beside them the word where there is none."""
    return [
        {
            "heading": table.heading,
            "task": table.key.task,
            "dataset": table.key.dataset,
            "fingerprint": table.key.fingerprint,
            "columns": list(table.columns),
            "rows": [_plain(table, row) for row in table.rows],
            "notes": list(table.lines),
        }
        for table in built
    ]


def _plain(table: Table, row: Row) -> dict[str, Any]:
    cells = {name: table.known[name].value(row) for name in table.columns}
    identity = {"recipe": row.result.recipe, "target": row.result.target, "machine": row.result.machine, "key": row.result.key}
    state = {"rank": row.rank, "outdated": row.outdated, "rehearsal": row.rehearsal}
    missing = {name: table.known[name].text(row) for name, value in cells.items() if value is None}
    return {**identity, **state, "cells": cells, "missing": missing}


def _table(key: Key, group: tuple[Row, ...], chosen: tuple[str, ...]) -> Table:
    columns = tuple(with_machine(_shown(chosen, group), group))
    return Table(key, _heading(key, group), columns, group, tuple(_lines(group)), _known(group))


def _known(group: Sequence[Row]) -> Mapping[str, Column]:
    """What names of columns mean: where all differences are from one protocol the heading says which."""
    others = {row.difference.against for row in group if row.difference}
    if len(others) != 1:
        return COLUMNS
    return {**COLUMNS, "difference": replace(COLUMNS["difference"], heading=f"AP against {others.pop()}")}


def _shown(chosen: Iterable[str], group: Sequence[Row]) -> list[str]:
    """The chosen columns that say something of these rows."""
    held = {name for row in group if isinstance(row.accuracy, Accuracy) for name in row.accuracy.figures}
    silent = FIGURES.keys() - held
    silent |= {WHY} if held else set()
    optional = ("note", "whole", "throughput", "difference", "ceiling", "of_ceiling", "kept")
    silent |= {name for name in optional if all(COLUMNS[name].value(row) is None for row in group)}
    names = chosen if held else [WHY if name in FIGURES else name for name in chosen]
    return [name for name in dict.fromkeys(names) if name not in silent]


def with_machine(names: list[str], group: Sequence[Row]) -> list[str]:
    """The columns, with the machine behind model and target where the rows are of more than one."""
    if len({row.result.machine for row in group}) == 1 or "machine" in names:
        return names
    place = 1 + max((names.index(name) for name in ("model", "target") if name in names), default=-1)
    return [*names[:place], "machine", *names[place:]]


def _heading(key: Key, group: tuple[Row, ...]) -> str:
    task = TASKS.get(key.task, key.task)
    dataset = dataset_of(group)
    if dataset is None:
        return f"{task}, without an accuracy"
    images = max(row.accuracy.images for row in group if isinstance(row.accuracy, Accuracy))
    protocol = next(row.accuracy.title for row in group if isinstance(row.accuracy, Accuracy))
    if dataset.drawn:
        return f"{task}: {dataset.title}, drawn figures and not photographs ({protocol})"
    if dataset.demonstration:
        return f"{task}: {dataset.title}, demonstration on {_count(images, 'image')} ({protocol})"
    return f"{task}: {dataset.title} ({protocol})"


def _lines(group: tuple[Row, ...]) -> list[str]:
    """Dataset, protocol, machines, then what is to be said of single rows."""
    found: list[str] = []
    measured = [row.accuracy for row in group if isinstance(row.accuracy, Accuracy)]
    if measured:
        data, images = measured[0].dataset, sorted({report.images for report in measured})
        counts = " or ".join(_count(number, "image") for number in images)
        found.append(f"Dataset: {data.title}, {counts} (subset: {data.subset}; digest {data.digest[:12]}).")
        found.append(f"Protocol: {measured[0].title}; {words(measured[0].protocol)}. Fingerprint {measured[0].fingerprint[:12]}.")
        if measured[0].ranked_by != "AP":
            found.append(f"Ranked by {measured[0].ranked_by}.")
    found += [_against(row.difference) for row in group if row.difference]
    found += [_ceiling(row.ceiling) for row in group if row.ceiling]
    found += machines(group, [row.latency for row in group if row.latency])
    found += [*_bound(group), *_ways(group), *_turns(group)]
    for row in group:
        found += said(row, _of_row(row))
    return list(dict.fromkeys(found))


def _against(difference: Difference) -> str:
    """What a difference is, for below the table."""
    return (
        f"AP against {difference.against}: AP here less AP there ({difference.against_title}), of the same recipe and target on the same"
        f" {_count(difference.images, 'image')}; in brackets the 95 % interval, by a paired bootstrap over the images"
        f" ({_count(difference.samples, 'sample')}, seed {difference.seed})."
    )


def _ceiling(ceiling: Ceiling) -> str:
    """What a ceiling is, for below the table."""
    return f"Ceiling: what the decoder makes of perfect targets of all annotated people ({words(ceiling.targets)})."


def machines(group: Sequence[Row], timed: Sequence[Latency]) -> list[str]:
    """What the rows were measured on, and with how many threads they were timed."""
    described = {(row.result.machine, machine_words(row.result.description, row.result.device)) for row in group}
    found = [f"Machine {name}: {text}." for name, text in sorted(described)]
    threads = sorted({latency.threads for latency in timed})
    if threads:
        found.append(f"Timed with {' or '.join(_count(number, 'thread') for number in threads)}.")
    return found


def _bound(group: Sequence[Row]) -> list[str]:
    """The inputs that networks were timed on alone: the whole way meets images of every size, and so may be the faster one."""
    names: dict[str, list[str]] = {}
    for row in group:
        if row.latency and not row.latency.stages:
            sizes = " and ".join("x".join(map(str, shape[1:])) for shape in row.latency.shapes.values())
            names.setdefault(sizes, []).append(row.result.title)
    if not names:
        return []
    told = (sizes + (f" ({', '.join(dict.fromkeys(titles))})" if len(names) > 1 else "") for sizes, titles in names.items())
    other = "; the whole way on the protocol's own images and sizes" if any(isinstance(row.end_to_end, EndToEnd) for row in group) else ""
    return [f"The network alone was timed on inputs of {'; '.join(told)}{other}."]


def _ways(group: Sequence[Row]) -> list[str]:
    """With which setting the best throughput was reached, by setting."""
    names: dict[str, list[str]] = {}
    for row in group:
        if row.latency and row.latency.throughput:
            names.setdefault(row.latency.best.way, []).append(f"{row.result.title} on {row.result.target}")
    if len(names) == 1:
        return [f"Best of several streams: everywhere {way}." for way in names]
    return ["Best of several streams: " + "; ".join(f"{way}: {', '.join(rows)}" for way, rows in names.items()) + "."] if names else []


def _turns(group: Sequence[Row]) -> list[str]:
    """Which rows were timed in turns with others, by recipe."""
    names: dict[str, list[str]] = {}
    for row in group:
        if row.latency and row.latency.beside:
            names.setdefault(row.result.title, []).append(row.result.target)
    said = "; ".join(f"{title} on {', '.join(dict.fromkeys(targets))}" for title, targets in names.items())
    return [f"Timed in turns with other targets of the recipe: {said}."] if names else []


def said(row: Row, lines: Iterable[str]) -> list[str]:
    """Lines about a row, each a sentence that names it."""
    return [f"{row.result.title} on {row.result.target}: {' '.join(line.split()).rstrip('.')}." for line in lines]


def of_latency(latency: Latency | Failure) -> list[str]:
    """Whatever a reader has to know of one timing before believing it."""
    if isinstance(latency, Failure):
        return [f"{latency.word}: {latency.message}"] if latency.message else []
    found, batch = [], latency.timing.batch
    if latency.stages:
        spent = ", ".join(f"{stage.name} {number(stage.median_ms)}" for stage in latency.stages)
        images = "a decoded image" if batch == 1 else f"{batch} decoded images"
        found.append(f"a call is the way from {images} to poses; milliseconds by stage, the median: {spent}")
    found += latency.claim.notes if latency.claim else ()
    found += [f"a throughput was refused, of {line}" for line in latency.refused]
    if latency.timing.noisy:
        where = "" if batch == 1 else f" at batch {batch}"
        found.append(f"the machine was noisy while it was timed{where}: {', '.join(latency.timing.noise)}")
    return found


def of_end_to_end(way: EndToEnd | Failure) -> list[str]:
    """Whatever a reader has to know of the whole way's rate before believing it."""
    if isinstance(way, Failure):
        return [f"whole way: {way.word}: {way.message}"] if way.message else []
    if not way.noise:
        return []
    return [f"the machine was noisy while the whole way was timed ({way.layout}): {', '.join(way.noise)}"]


def _of_row(row: Row) -> list[str]:
    """Whatever a reader has to know of one row before believing it."""
    result, found = row.result, []
    if row.outdated:
        found.append(OUTDATED_LINE)
    if result.note:
        found.append(result.note)
    if row.latency:
        found += of_latency(row.latency)
    if row.end_to_end and not row.rehearsal:
        found += of_end_to_end(row.end_to_end)
    if row.parity:
        reasons = {comparison.reason for comparison in row.parity.comparisons if comparison.reason}
        found += [f"a looser parity gate, because {reason}" for reason in sorted(reasons)]
        if not row.parity.passed:
            found.append(f"parity {row.parity.worst}")
    if isinstance(row.accuracy, Accuracy) and not row.rehearsal:
        if row.accuracy.skipped:
            found.append(f"{_count(len(row.accuracy.skipped), 'bad image')} skipped ({', '.join(row.accuracy.skipped)})")
        if row.difference and row.difference.apart:
            others = _count(row.difference.apart, "image")
            found.append(f"left out of AP against {row.difference.against}: {others} that only one of the two was judged on")
        found += [f"{short.metric} {short.value:.4f} is under the promised {short.least:g}" for short in row.accuracy.shortfalls]
    failures = [report for report in (row.accuracy, result.parity, result.latency) if isinstance(report, Failure)]
    found += [f"{failure.word}: {failure.message}" for failure in failures if failure.message]
    return found


def words(protocol: Mapping[str, Any]) -> str:
    """A protocol as a sentence's worth of `key value`, nested ones in brackets, in the order of the keys."""

    def one(value: Any) -> str:
        if isinstance(value, Mapping):
            kind = f"{value['type']} " if "type" in value else ""
            inner = ", ".join(f"{key} {one(value[key])}" for key in sorted(value) if key != "type")
            return f"{kind}({inner})" if inner else kind.strip() or "none"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(one(item) for item in value) + "]"
        if value is None or isinstance(value, bool):
            return {None: "none", True: "yes", False: "no"}[value]
        return f"{value:g}" if isinstance(value, float) else str(value)

    return "; ".join(f"{key} {one(protocol[key])}" for key in sorted(protocol))


def machine_words(machine: Machine, device: str) -> str:
    """A machine as a reader compares it with their own; its GPUs only where the row ran on one."""
    parts = [machine.cpu, _count(machine.cores, "core")]
    if machine.memory_bytes:
        parts.append(f"{machine.memory_bytes / 2**30:.0f} GiB")
    if machine.isa:
        parts.append(" ".join(machine.isa))
    if not device.lower().startswith("cpu"):
        parts += [f"{gpu.name} (driver {gpu.driver}, compute capability {gpu.compute_capability})" for gpu in machine.gpus]
    if machine.governor:
        parts.append(f"governor {machine.governor}")
    return ", ".join([*parts, machine.os])


def _apart(group: tuple[Row, ...]) -> int:
    """What comes after the tables of real data: demonstrations, then drawn figures."""
    dataset = dataset_of(group)
    return 0 if dataset is None else 2 if dataset.drawn else int(dataset.demonstration)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
