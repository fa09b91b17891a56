"""Whether the machine was quiet enough for a timing to mean something.

Two witnesses: a fixed piece of work that is timed before, between windows and after (a clock that fell, a neighbour that
came or went), and, on Linux, the time that others spent on our cores meanwhile (a neighbour that was there
all along, and whom the fixed piece of work cannot see).
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

import numpy as np

from zoo.machine import affinity

STAT = Path("/proc/stat")
REPEATS = 15


def yardstick(threads: int = 1) -> float:
    """Milliseconds that a fixed NumPy workload takes on each of `threads` threads at once (median of 15)."""

    def work(_: int) -> float:
        values = np.linspace(0.0, 1.0, 1 << 15, dtype=np.float32)
        target = np.empty_like(values)
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter_ns()
            for _ in range(32):
                np.sqrt(values, out=target)
                np.multiply(target, values, out=target)
                np.exp(target, out=target)
            times.append((time.perf_counter_ns() - start) / 1e6)
        return median(times)

    if threads <= 1:
        return work(0)
    with ThreadPoolExecutor(threads) as pool:
        return median(pool.map(work, range(threads)))


class Neighbours:
    """How many cores' worth of time others took on the cores that this process may use, while it was entered: `with neighbours: ...`.

    Stolen time (the host's other guests) counts as others'. The kernel's ticks are 10 ms: under half a second in all says nothing."""

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._start: tuple[float, float, float] | None = None
        self._wall = self._others = 0.0

    def __enter__(self) -> Self:
        self._start = self._sample()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        now = self._sample()
        if now is not None and self._start is not None:
            wall, busy, own = (after - before for after, before in zip(now, self._start, strict=True))
            self._wall += wall
            self._others += busy - own

    def cores(self) -> float | None:
        """Cores' worth of others' work, never negative; None where /proc/stat does not tell."""
        return max(0.0, self._others) / self._wall if self._wall >= 0.5 else None

    def _sample(self) -> tuple[float, float, float] | None:
        """Wall seconds, busy seconds of our cores, and seconds of them that were ours."""
        ours: set[str] = {f"cpu{number}" for number in affinity()}
        ticks: list[int] = []
        try:
            lines = self._stat.read_text().splitlines()
        except OSError:
            return None
        own = os.times()
        for line in lines:
            name, *cells = line.split()
            if name in ours:
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(cell) for cell in cells[:8])
                ticks.append(user + nice + system + irq + softirq + steal)
        if not ticks:
            return None
        return time.monotonic(), sum(ticks) / os.sysconf("SC_CLK_TCK"), own.user + own.system
