"""`COLUMNS`: everything that a leaderboard can show, one line for each. zoo.yaml picks which."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from zoo.board.rows import Row
from zoo.errors import UsageError
from zoo.steps.reports import EndToEnd, Failure, Latency, Published

Value = str | float | int | None
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """A heading, what a row holds under it (`value`, for JSON), and how that is written (`text`, for people)."""

    heading: str
    value: Callable[[Row], Value]
    write: Callable[[Value], str] = str
    align: Literal["left", "right"] = "right"
    otherwise: Callable[[Row], str] = lambda row: NOTHING
    """What stands where there is no value: why, in a word."""

    def text(self, row: Row) -> str:
        """The cell: the value as people read it, or in a word why there is none."""
        value = self.value(row)
        return self.otherwise(row) if value is None else self.write(value)


@dataclass(frozen=True)
class Interval(Column):
    """A column of differences, whose cells hold the interval as well."""

    def text(self, row: Row) -> str:
        """See `Column.text`."""
        found = row.difference
        return super().text(row) + (f" ({signed(found.low)} .. {signed(found.high)})" if found else "")


def figure(value: Value) -> str:
    """`.4467`, and `1.0000` for a perfect one: the way the authors of these models write AP."""
    return f"{value:.4f}".removeprefix("0") if isinstance(value, (int, float)) else str(value)


def number(value: Value) -> str:
    """About three digits that matter, never an exponent: 0.532, 8.14, 97.3, 21030.8."""
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def signed(value: Value) -> str:
    """A difference of figures as `+.0028`."""
    return f"{value:+.4f}".replace("0.", ".", 1) if isinstance(value, (int, float)) else str(value)


def megabytes(value: Value) -> str:
    """Bytes as millions of bytes, one decimal."""
    return f"{value / 1e6:.1f} MB" if isinstance(value, (int, float)) else str(value)


def percent(value: Value) -> str:
    """A part of one as `61 %`."""
    return f"{value:.0%}".replace("%", " %") if isinstance(value, (int, float)) else str(value)


def published_text(published: Iterable[Published]) -> str:
    """Every published figure with its protocol: `AP .428 (full val2017, Open Model Zoo protocol)`."""

    def one(item: Published) -> str:
        value = figure(item.value) if item.metric.startswith(("AP", "AR", "PCK", "AUC")) else f"{item.value:.1f}"
        # as many digits as were published: authors write .428, not .4280
        return f"{item.metric} {value.rstrip('0').removesuffix('.') or '0'} ({item.protocol})"

    return "; ".join(one(item) for item in published)


def _no_speed(row: Row) -> str:
    return row.result.latency.word if isinstance(row.result.latency, Failure) else NOTHING


def _no_accuracy(row: Row) -> str:
    # one kind that the dataset does not hold (APM without persons of medium size) is missing for no fault of the row
    return row.why_no_accuracy or NOTHING


def _parity(row: Row) -> Value:
    if row.parity is None:
        return None
    worst = row.parity.worst
    return f"{'ok' if row.parity.passed else 'FAILED'}, {worst.figure}"


def _no_parity(row: Row) -> str:
    return row.result.parity.word if isinstance(row.result.parity, Failure) else NOTHING


def _weights(row: Row) -> Value:
    weights = row.result.weights
    return "rehearsal: seeded, not trained" if weights.rehearsal else weights.substitute or weights.title


def _whole_way(get: Callable[[EndToEnd], Value]) -> Callable[[Row], Value]:
    # random weights find nobody: to decode that is no measure
    return lambda row: get(row.end_to_end) if isinstance(row.end_to_end, EndToEnd) and not row.rehearsal else None


def _no_whole_way(row: Row) -> str:
    return row.why_no_accuracy or (row.end_to_end.word if isinstance(row.end_to_end, Failure) else NOTHING)


def _of_ceiling(row: Row) -> Value:
    return row.best / row.highest if row.best is not None and row.highest else None


def _computed_in(row: Row) -> Value:
    return row.result.computed_in or None


def _timing(get: Callable[[Latency], Value]) -> Callable[[Row], Value]:
    return lambda row: None if row.latency is None else get(row.latency)


def _accuracy(name: str, heading: str = "", write: Callable[[Value], str] = figure) -> Column:
    return Column(heading or name, lambda row: row.figure(name), write, otherwise=_no_accuracy)


def _speed(heading: str, get: Callable[[Latency], Value], write: Callable[[Value], str] = number) -> Column:
    return Column(heading, _timing(get), write, otherwise=_no_speed)


def _images_per_second(latency: Latency) -> float:
    return latency.timing.images_per_second


def _best(latency: Latency) -> Value:
    return latency.best.images_per_second if latency.throughput else None


#: the figures of all metrics; a table shows those that its rows hold
FIGURES: dict[str, Column] = {
    **{name: _accuracy(name) for name in ("AP", "AP50", "AP75", "APS", "APM", "APL", "AR", "AR50")},
    "AP_left": _accuracy("AP_left", "AP, left hands"),
    "AP_right": _accuracy("AP_right", "AP, right hands"),
    "PCK": _accuracy("PCK"),
    "AUC": _accuracy("AUC"),
    "EPE": _accuracy("EPE", "EPE, px", number),
    "missing": _accuracy("missing", "not found"),
}
#: what stands in their place in a table without any: why
WHY = "accuracy"

COLUMNS: dict[str, Column] = {
    "rank": Column("#", lambda row: row.rank),
    "model": Column("model", lambda row: row.result.title, align="left"),
    "target": Column("target", lambda row: row.result.target, align="left"),
    "machine": Column("machine", lambda row: row.result.machine, align="left"),
    "weights": Column("weights", _weights, align="left"),
    "licence": Column("licence of the weights", lambda row: row.result.weights.licence, align="left"),
    "backend": Column("backend", lambda row: f"{row.result.backend} ({row.result.device})", align="left"),
    "batch": Column("batch", lambda row: row.batch or None, otherwise=_no_speed),
    "precision": Column("precision asked", lambda row: row.result.precision, align="left"),
    "computed_in": Column("computed in", _computed_in, align="left"),
    **FIGURES,
    "difference": Interval("AP against another protocol", lambda row: row.difference.difference if row.difference else None, signed),
    "ceiling": Column("ceiling: AP of perfect targets", lambda row: row.highest, figure),
    "of_ceiling": Column("AP / ceiling", _of_ceiling, percent),
    WHY: Column("accuracy", lambda row: None, otherwise=_no_accuracy),
    "network": _speed(
        "images/s, network alone, one call after another", lambda latency: None if latency.stages else _images_per_second(latency)
    ),
    "throughput": _speed("images/s, network alone, best of several streams", _best),
    "whole": _speed(
        "images/s, pipeline from decoded images to poses, one call after another",
        lambda latency: _images_per_second(latency) if latency.stages else None,
    ),
    "end_to_end": Column(
        "images/s, whole way from files to poses", _whole_way(lambda way: way.images_per_second), number, otherwise=_no_whole_way
    ),
    "kept": Column("whole way / network alone on the same tensors", _whole_way(lambda way: way.share), percent, otherwise=_no_whole_way),
    "share": _speed("share of the roof", lambda latency: latency.claim.share if latency.claim else None, percent),
    "p50": _speed("p50 of a call, ms", lambda latency: latency.timing.median_ms),
    "p90": _speed("p90 of a call, ms", lambda latency: latency.timing.p90_ms),
    "p99": _speed("p99 of a call, ms", lambda latency: latency.timing.p99_ms),
    "memory": _speed("peak memory", lambda latency: latency.peak_memory_bytes or None, megabytes),
    "size": Column("size", lambda row: row.result.size_bytes, megabytes),
    "parity": Column("parity", _parity, align="left", otherwise=_no_parity),
    "published": Column("published", lambda row: published_text(row.result.published) or None, align="left"),
    "note": Column("note", lambda row: row.result.note or None, align="left"),
}


def pick(names: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the columns to show: `names` in their order, or all. Raises UsageError for one that does not exist."""
    from difflib import get_close_matches

    chosen = tuple(names) or tuple(COLUMNS)
    for name in chosen:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, 1)
            raise UsageError(f"there is no column {name!r}", f"did you mean {near[0]}?" if near else f"there are {', '.join(COLUMNS)}")
    return chosen
