"""A timing is held against the machine's roof before it becomes a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from zoo.backends import Backend
from zoo.backends.folder import read_model, read_record
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.measure.claim import Verdict, joined, judge
from zoo.measure.count import count
from zoo.measure.roof import find
from zoo.steps import reports


def guard(latency: reports.Latency, given: Mapping[str, Path], backend: Backend, context: Context) -> reports.Latency | reports.Failure:
    """The report with its share of the roof, or why it cannot be true. Reads `compiled` and `model`, the ONNX file that it was made from.

    Each setting of its throughput is judged by itself, and one that cannot be true gives way to the reason: the roof is that of all
    threads, however they are shared out. Above the roof the roof is measured again before anything is refused: the first time a
    neighbour may have been there. A graph whose sizes nobody can tell without running it is not judged."""
    precision = read_record(given["compiled"]).precision
    shapes = latency.shapes if len(latency.shapes) > 1 else {"": next(iter(latency.shapes.values()))}
    try:
        cost = count(read_model(given["model"]), shapes)
    except StepFailed:
        return latency
    if not cost.flops:
        return latency

    def verdicts(again: bool) -> list[Verdict]:
        roof, known, bound = find(backend, precision, context, again=again), latency.computed_in, latency.shapes
        return [
            judge(cost, way.images_per_second, batch=way.batch, roof=roof, precision=precision, computed_in=known, bound=bound)
            for way in latency.settings
        ]

    alone, *several = verdicts(again=False)
    if any(one.share > 1 for one in (alone, *several)):
        alone, *several = verdicts(again=True)
    if alone.refused:
        return reports.Failure(word="refused", message="; ".join((*alone.refused, *alone.notes)), batch=latency.timing.batch)
    judged = list(zip(latency.throughput, several, strict=True))
    return msgspec.structs.replace(
        latency,
        claim=alone,
        throughput=tuple(setting for setting, verdict in judged if not verdict.refused),
        refused=tuple(f"{setting.way}: {'; '.join(verdict.refused)}" for setting, verdict in judged if verdict.refused),
    )


def guard_whole(
    latency: reports.Latency, given: Mapping[str, Path], backends: Mapping[str, Backend], context: Context
) -> reports.Latency | reports.Failure:
    """The same of a pipeline, by the calls of its networks that were counted while it was timed (`Latency.asked`). Reads `compiled`
    and, for each role, `ROLE model`. Not judged where no network was called, or one cannot be counted."""
    models = {role: read_model(given[f"{role} model"]) for role in dict.fromkeys(one.role for one in latency.asked)}
    precisions = {role: read_record(given["compiled"] / role).precision for role in models}
    try:
        counted = [(one, count(models[one.role], {"": one.shape})) for one in latency.asked]
    except StepFailed:
        return latency
    if not counted or not all(cost.flops for _, cost in counted):
        return latency

    def verdict(again: bool) -> Verdict:
        roofs = {role: find(backends[role], precisions[role], context, again=again) for role in models}
        parts = []
        for one, cost in counted:
            inputs, precision = one.shape[0], precisions[one.role]
            alone = judge(cost, 0.0, batch=inputs, roof=roofs[one.role], precision=precision, computed_in=one.computed_in)
            parts.append((one.calls * inputs, alone))
        return joined(parts, latency.timing.images_per_second)

    found = verdict(again=False)
    if found.share > 1:
        found = verdict(again=True)
    if found.refused:
        return reports.Failure(word="refused", message="; ".join((*found.refused, *found.notes)), batch=latency.timing.batch)
    return msgspec.structs.replace(latency, claim=found)
