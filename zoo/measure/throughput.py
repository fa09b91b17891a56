"""How many images a second a network gives when several calls are in flight at once.

Copies of the model (instances), each called by so many at once (streams), share the threads. Every setting is first asked for
answers that are known, all its streams at once: one that mixes them up, or gives an old one, is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.errors import StepFailed
from zoo.measure.energy import Meter
from zoo.measure.latency import Network, bound_batch, check_alive, noise
from zoo.measure.quiet import Neighbours, yardstick
from zoo.measure.windows import CALLS, WINDOW, Feeds
from zoo.record import Record

Outputs = Mapping[str, NDArray[Any]]
#: (threads, streams) -> an opened model
Opened = Callable[[int, int], AbstractContextManager[Network]]


class Setting(Record, frozen=True, kw_only=True):
    """How a network is called."""

    instances: int = 1
    """Copies of the model."""
    streams: int = 1
    """Calls in flight at once, of each copy."""


class Throughput(Record, frozen=True, kw_only=True):
    """What a setting gave."""

    instances: int
    streams: int
    threads: int
    """In all."""
    batch: int
    """Images in one call, as bound."""
    images: int
    """In all the calls."""
    seconds: float
    """From the first call's start to the last one's end."""
    images_per_second: float
    """images / seconds."""
    median_ms: float
    """Of a call, among the others."""
    p90_ms: float
    p99_ms: float
    joules_per_image: float | None = None
    """None where the machine does not tell."""
    noise: tuple[str, ...] = ()
    """Why this is not to be trusted, in words; empty on a quiet machine."""

    @property
    def way(self) -> str:
        """How it was called, in words: `2 streams`, `2 instances of 3 streams`."""
        if self.instances == self.streams == 1:
            return "one call after another"
        if self.instances == 1:
            return f"{self.streams} streams"
        return f"{self.instances} instances" + (f" of {self.streams} streams" if self.streams > 1 else "")


def settings(threads: int, instances: Sequence[int], streams: Sequence[int], *, gpu: bool) -> list[Setting]:
    """Every one of `instances` with every one of `streams`. Without `streams` they are swept: 1, 2, 4 ... up to `threads` in all,
    and as many as there are; on a GPU, whose calls take turns, 1.

    The setting of one instance and one stream is left out: the latency says it."""
    found = []
    for copies in instances:
        most = 1 if gpu else max(1, threads // copies)
        swept = sorted({2**power for power in range(most.bit_length())} | {most})
        found += [Setting(instances=copies, streams=each) for each in streams or swept]
    return [setting for setting in dict.fromkeys(found) if setting != Setting()]


def measure_throughput(
    opened: Opened, setting: Setting, feeds: Sequence[Feeds], *, context: Context, seconds: float = 1.0, meter: Meter | None = None
) -> Throughput:
    """Call `setting.instances` models, each from `setting.streams` threads, on `feeds` in turn for at least `seconds`, and CALLS times
    each at least. The threads of `context` are shared out among the instances. Others have their turn before (`context.turn`).

    Raises StepFailed where outputs do not depend on the input, or answer what another call asked."""
    callers = setting.instances * setting.streams
    meter, neighbours, stop = meter or Meter(), Neighbours(), threading.Event()
    name = f"{setting.instances} x {setting.streams} streams"
    context.turn()
    with ExitStack() as stack:
        share = max(1, context.threads // setting.instances)
        runners = [stack.enter_context(opened(share, setting.streams)) for _ in range(setting.instances)]
        batch = bound_batch(runners[0], feeds)
        for runner in runners:
            context.report(f"checking {name}")
            check_alive(runner, feeds, batch)
        known = [_copied(runners[0](feed)) for feed in feeds]
        pool = stack.enter_context(ThreadPoolExecutor(callers))

        def ask(caller: int) -> None:
            """Each caller begins with another feed, so that different ones are in flight together."""
            for place in range(len(feeds)):
                asked = (caller + place) % len(feeds)
                answer = _copied(runners[caller % len(runners)](feeds[asked]))
                apart = [_distance(answer, one) for one in known]
                if apart[asked] > min(apart):
                    raise StepFailed(
                        f"with {name} a call was given another call's answer", "the backend's calls are not safe to make at once"
                    )

        def run(caller: int, limit: float, least: int) -> list[int]:
            """Nanoseconds of each call."""
            times: list[int] = []
            end = time.perf_counter() + limit
            while not stop.is_set() and (len(times) < least or time.perf_counter() < end):
                start = time.perf_counter_ns()
                runners[caller % len(runners)](feeds[(caller + len(times)) % len(feeds)])
                times.append(time.perf_counter_ns() - start)
            return times

        def all_at_once(work: Callable[..., list[int] | None], *given: Any) -> list[list[int] | None]:
            futures = [pool.submit(work, caller, *given) for caller in range(callers)]
            try:
                while wait(futures, timeout=0.25).not_done:
                    context.report(f"timing {name}")
            except BaseException:
                stop.set()  # the pool is left only when every caller is done
                raise
            return [future.result() for future in futures]

        all_at_once(ask)
        all_at_once(run, WINDOW, 1)
        before = yardstick(context.threads)
        with neighbours, meter:
            start = time.perf_counter()
            times = [spent for caller in all_at_once(run, seconds, CALLS) for spent in caller or ()]
            total = time.perf_counter() - start
        after = yardstick(context.threads)
    p50, p90, p99 = (float(value) / 1e6 for value in np.percentile(times, (50, 90, 99)))
    images, joules = batch * len(times), meter.joules()
    return Throughput(
        instances=setting.instances,
        streams=setting.streams,
        threads=context.threads,
        batch=batch,
        images=images,
        seconds=total,
        images_per_second=images / total,
        median_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        joules_per_image=None if joules is None else joules / images,
        noise=noise((before, after), 1.0, neighbours.cores()),
    )


def _copied(outputs: Outputs) -> Outputs:
    """A runner may write into what it handed out."""
    return {name: np.array(value) for name, value in outputs.items()}


def _distance(one: Outputs, other: Outputs) -> float:
    return sum(float(np.abs(one[name].astype(np.float64) - other[name]).sum()) for name in one)
