"""What is wrong with other zoos' files, and with ours among them: `audit(paths) -> Report`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.interop.audit import tensors
from zoo.interop.audit.calibrating import calibration
from zoo.interop.audit.compiled import compiled
from zoo.interop.audit.files import RECIPE, File, collect
from zoo.interop.audit.finding import Finding, finding
from zoo.interop.audit.pairs import Pair, pairs
from zoo.interop.audit.references import references
from zoo.interop.cursor import Cursor, printable
from zoo.interop.foreign import KEYS
from zoo.interop.foreign.keys import unknown
from zoo.pose.vdsp_keys import faults
from zoo.record import Record

__all__ = ["Finding", "Judged", "Report", "audit"]


class Judged(Record, frozen=True, kw_only=True):
    """Two files that were held against each other."""

    one: str
    other: str
    why: str


class Report(Record, frozen=True, kw_only=True):
    """All that an audit found."""

    findings: tuple[Finding, ...]
    pairs: tuple[Judged, ...]
    files: dict[str, int]
    """Kind -> how many."""
    passed_over: int
    """Files of trees that are of no known kind."""


def audit(paths: Sequence[Path]) -> Report:
    """Judge files and trees. Raises UsageError for a path that does not exist, and nothing for whatever files hold."""
    found = collect(paths)
    together = pairs(found.files)
    findings = {*found.findings, *(one for file in found.files for one in _alone(file)), *calibration(found.files)}
    for pair in together:
        findings |= set(_together(pair))
    return Report(
        findings=tuple(sorted(findings)),
        pairs=tuple(Judged(one=printable(str(pair.one.path)), other=printable(str(pair.other.path)), why=pair.why) for pair in together),
        files=dict(sorted(Counter(file.kind for file in found.files).items())),
        passed_over=found.passed_over,
    )


def _together(pair: Pair) -> Iterator[Finding]:
    return tensors.together(pair.one, pair.other) if pair.one.kind == "vamc" else tensors.measured(pair.one, pair.other)


def _alone(file: File) -> Iterator[Finding]:
    if file.kind == RECIPE:
        return
    yield from _vdsp(file) if file.kind == "vdsp" else _keys(file)
    yield from tensors.alone(file)
    yield from references(file)
    yield from compiled(file)


def _keys(file: File) -> Iterator[Finding]:
    for one in unknown(Cursor(file.document), KEYS[file.kind]):
        yield finding(one.at.key_place if one.kind == "key" else one.at.place, one.kind, one.message, one.hint)


def _vdsp(file: File) -> Iterator[Finding]:
    for fault in faults(file.document.data):
        if not fault.form:
            continue  # a good one, which only this zoo cannot follow
        at = Cursor(file.document).at(*fault.path)
        text, _, hint = printable(fault.message).partition("; ")
        message = f"{at.name}: {text}" if fault.path else text
        if fault.key:
            yield finding(at.key_place, "key", message, hint)
        else:
            yield finding(at.place, "malformed" if text.startswith("missing") else "value", message, hint)
