"""The network alone, and the whole way there, in one layout: what the benchmarks of a stream hold against each other."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from zoo.context import Context
from zoo.pipelines.estimator import Estimator
from zoo.stream import Layout, flow


def rate(items: Sequence[Any], work: Callable[[Any], Any], workers: int, context: Context) -> float:
    """Items a second that `workers` threads finish."""
    started = time.perf_counter()
    for _ in flow(items, work, workers=workers, context=context):
        pass
    return len(items) / (time.perf_counter() - started)


def network_alone(model: Estimator, tensors: Sequence[Any], layout: Layout, context: Context) -> float:
    """Images a second of the network on inputs that are prepared, called from as many threads at once as the layout has streams."""
    (bound,) = model.runner.inputs
    return rate(tensors, lambda tensor: model.runner({bound: tensor}), layout.streams, context)
