"""Timed calls in windows, until the median is known closely enough or time is up.

Between two windows the machine is looked at (`zoo.measure.quiet`), so that a disturbance in the middle is seen as well. Where
several are compared, each has one window after the other (`zoo.measure.interleaved`), so that a slow drift meets all alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.measure.energy import Meter
from zoo.measure.quiet import Neighbours, yardstick

Feeds = Mapping[str, NDArray[Any]]

WINDOW = 0.25
"""Seconds of calls in a window, at least ..."""
CALLS = 3
"""... and so many calls, of a network however slow."""
CLOSE = 0.02
"""The interval of the median, in parts of it, under which it is known closely enough."""
LONG = 6.0
"""Seconds of calls after which time is up: neither so close a median nor so many calls are waited for ..."""
FEWEST = 10
"""... once there are these."""


@dataclass
class Taken:
    """What came of it."""

    times: list[int] = field(default_factory=list)
    """Nanoseconds of each call."""
    windows: int = 0
    yardsticks: list[float] = field(default_factory=list)
    """Milliseconds: before the first window, between windows, after the last."""
    others: float | None = None
    """Cores' worth of others' work in the windows; None where the platform does not tell."""
    joules: float | None = None
    """Spent in the windows; None where the machine does not tell."""


def take(
    call: Callable[[Feeds], object],
    feeds: Sequence[Feeds],
    *,
    context: Context,
    seconds: float,
    runs: int,
    meter: Meter | None = None,
) -> Taken:
    """Time `call` on `feeds` in turn: at least `seconds` of calls and `runs` of them, and until the 95 % interval of their median
    is under CLOSE of it. After LONG seconds of calls neither is waited for.

    Before each window others may have theirs (`context.turn`); then the caches hold what is theirs, and one call is made that
    does not count."""
    if context.turn():
        call(feeds[0])
    taken, total = Taken(yardsticks=[yardstick(context.threads)]), 0
    neighbours, meter = Neighbours(), meter or Meter()
    clock: Callable[[], int] = time.perf_counter_ns

    def up() -> bool:
        return total >= LONG * 1e9 and len(taken.times) >= min(runs, FEWEST)

    def enough() -> bool:
        return up() or (len(taken.times) >= runs and total >= seconds * 1e9 and close(taken.times))

    while not enough():
        if taken.windows and context.turn():
            call(feeds[len(taken.times) % len(feeds)])
        began, first = total, len(taken.times)
        with neighbours, meter:
            while not up() and (total - began < WINDOW * 1e9 or len(taken.times) - first < CALLS):
                feed = feeds[len(taken.times) % len(feeds)]
                start = clock()
                call(feed)
                spent = clock() - start
                taken.times.append(spent)
                total += spent
        taken.windows += 1
        taken.yardsticks.append(yardstick(context.threads))
        context.report("timing", min(total / 1e9, seconds), seconds, "seconds")
    taken.others, taken.joules = neighbours.cores(), meter.joules()
    return taken


def close(times: Sequence[int]) -> bool:
    """Whether the median of `times` is known to CLOSE of it."""
    found = interval(times)
    return found is not None and found[1] - found[0] < CLOSE * float(np.median(times))


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the median of `values`; None of fewer than six, which are too few for one.

    By order statistics (David and Nagaraja, Order Statistics, 7.1): of independent values, whatever their distribution, each
    is below the median with probability 1/2, so the count of those below is binomial."""
    if len(values) < 6:
        return None
    ordered, rank = np.sort(np.asarray(values, dtype=np.float64)), _rank(len(values))
    return float(ordered[rank]), float(ordered[-1 - rank])


@cache
def _rank(count: int) -> int:
    """The greatest k for which at most k of `count` values are below the median with a probability of at most 2.5 %."""
    if count > 1000:  # the normal approximation is then right to a rank
        return math.floor(count / 2 - 0.5 - 1.959964 * math.sqrt(count) / 2)
    below, rank = 1, 0
    while 40 * (below := below + math.comb(count, rank + 1)) <= 1 << count:
        rank += 1
    return rank
