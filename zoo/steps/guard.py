"""A timing is held against the machine's roof before it becomes a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from zoo.backends import Backend
from zoo.backends.folder import read_model, read_record
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.measure.claim import Verdict, judge
from zoo.measure.count import count
from zoo.measure.roof import find
from zoo.steps import reports


def guard(latency: reports.Latency, given: Mapping[str, Path], backend: Backend, context: Context) -> reports.Latency | reports.Failure:
    """The report with its share of the roof, or why it cannot be true. Reads `compiled` and `model`, the ONNX file that it was made from.

    Above the roof the roof is measured again before anything is refused: the first time a neighbour may have been there. A graph
    whose sizes nobody can tell without running it is not judged."""
    precision = read_record(given["compiled"]).precision
    shapes = latency.shapes if len(latency.shapes) > 1 else {"": next(iter(latency.shapes.values()))}
    try:
        cost = count(read_model(given["model"]), shapes)
    except StepFailed:
        return latency
    if not cost.flops:
        return latency

    def verdict(again: bool) -> Verdict:
        return judge(
            cost,
            latency.timing.images_per_second,
            batch=latency.timing.batch,
            roof=find(backend, precision, context, again=again),
            precision=precision,
            computed_in=latency.computed_in,
            bound=latency.shapes,
        )

    found = verdict(again=False)
    if found.share > 1:
        found = verdict(again=True)
    if found.refused:
        return reports.Failure(word="refused", message="; ".join((*found.refused, *found.notes)), batch=latency.timing.batch)
    return msgspec.structs.replace(latency, claim=found)
