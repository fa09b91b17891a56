"""How long one call of a network takes, and how many images a second that is.

Images are counted in the tensors that were really bound. The inputs are real images and change from
call to call; outputs that do not change with them are refused: a runtime that returns an old buffer is
the fastest of all. A noisy machine is noticed and said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.errors import StepFailed
from zoo.measure.energy import Meter
from zoo.measure.windows import WINDOW, Feeds, Taken, interval, take
from zoo.record import Record

DRIFT = 1.10
"""The slowest yardstick against the fastest, of those before, between and after the windows, above which they are noisy."""
SPREAD = 1.30
"""p90 / p50, of calls with equal shapes, above which they are noisy."""
CROWD = 0.10
"""Others' work, in parts of the cores that we may use, above which the runs are noisy."""


class Network(Protocol):
    """What is timed: a runner, seen from here."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Input name -> its specification, with a `shape` whose free dimensions are not positive integers."""

    def __call__(self, feeds: Feeds, /) -> Mapping[str, NDArray[Any]]:
        """One execution."""


class Timing(Record, frozen=True, kw_only=True):
    """The distribution of the times of one call."""

    runs: int
    batch: int
    """Images in one call, as bound."""
    images: int
    """Images in all timed calls."""
    seconds: float
    """The sum of all timed calls; what lies between them (progress, choosing a feed) is not the network's."""
    median_ms: float
    median_low_ms: float | None = None
    median_high_ms: float | None = None
    """The 95 % interval of the median (`zoo.measure.windows.interval`); None of fewer than six calls."""
    windows: int = 0
    """In which the calls were made; 0 of those that were made in one go."""
    p90_ms: float
    p99_ms: float
    mean_ms: float
    images_per_second: float
    """images / seconds."""
    warmup_runs: int
    yardstick_before_ms: float
    yardstick_after_ms: float
    yardstick_between_ms: tuple[float, ...] = ()
    """Between windows, in their order."""
    spread: float
    """p90 / p50 of calls with equal shapes."""
    others_cores: float | None
    """Cores' worth of others' work meanwhile; None where the platform does not tell."""
    joules_per_image: float | None = None
    """What `energy_of` spent; None where the machine does not tell."""
    energy_of: str = ""
    """What the energy is of: "CPU packages", "GPU board"."""
    noise: tuple[str, ...] = ()
    """Why these times are not to be trusted, in words; empty on a quiet machine."""

    @property
    def noisy(self) -> bool:
        """Whether the machine did something else meanwhile."""
        return bool(self.noise)


def measure(
    runner: Network,
    feeds: Sequence[Feeds],
    *,
    context: Context,
    seconds: float = 2.0,
    runs: int = 50,
    warmup: float = 5.0,
    meter: Meter | None = None,
) -> Timing:
    """Time `runner` on `feeds` in turn, for at least `seconds` and at least `runs` calls and until the median is known closely
    enough, within bounds (`zoo.measure.windows.take`).

    Each feed maps input names to tensors (B, ...), B the same in all; two of them must differ. Calls are first made
    untimed until their times are stable, for at most `warmup` seconds (three calls at least).

    Raises StepFailed where the batch is not what the network is made for, and where outputs ignore the input."""
    batch = bound_batch(runner, feeds)
    check_alive(runner, feeds, batch)
    return timed(runner, feeds, batch=batch, context=context, seconds=seconds, runs=runs, warmup=warmup, meter=meter)


def timed(
    call: Callable[[Feeds], object],
    feeds: Sequence[Feeds],
    *,
    batch: int,
    context: Context,
    seconds: float,
    runs: int,
    warmup: float = 5.0,
    warm: Callable[[], object] = lambda: None,
    meter: Meter | None = None,
) -> Timing:
    """Time any `call` of `batch` images on `feeds` in turn, as `measure` does; `warm` is told when warming up is over."""
    context.report("warming up")
    warmups = warm_up(call, feeds, warmup, context)
    warm()
    taken = take(call, feeds, context=context, seconds=seconds, runs=runs, meter=meter)
    shapes = [_shapes(feeds[run % len(feeds)]) for run in range(len(taken.times))]
    return summarise(taken, shapes, batch=batch, warmup_runs=warmups, energy_of=meter.what if meter else "")


def bound_batch(runner: Network, feeds: Sequence[Feeds]) -> int:
    """The images in one call: the first dimension of every tensor of every feed.

    Raises StepFailed where they disagree, or where the network has a fixed batch of another size."""
    if not feeds:
        raise StepFailed("there is nothing to time the network on", "give it at least two images")
    sizes = {tensor.shape[0] if tensor.ndim else 0 for feed in feeds for tensor in feed.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise StepFailed(f"the inputs hold {_list(sizes)} images a call", "every tensor must hold the same number of images")
    batch = int(sizes.pop())
    for name, specification in runner.inputs.items():
        fixed = specification.shape[0] if specification.shape else None
        if isinstance(fixed, int) and fixed > 0 and fixed != batch:
            raise StepFailed(
                f"{name} is fixed at {fixed} images a call and was given {batch}", "time it at the batch that it was built for"
            )
    return batch


def check_alive(runner: Network, feeds: Sequence[Feeds], batch: int) -> None:
    """Refuse a network whose outputs do not hold `batch` images, or do not depend on the input (StepFailed)."""
    first = feeds[0]
    other = next((feed for feed in feeds[1:] if not _equal(first, feed)), None)
    if other is None:
        raise StepFailed(
            "all inputs are equal, so nobody could tell a network that works from one that does not", "give two different images"
        )
    # copied: a runner may hand out the same buffer again
    one = {name: np.array(value) for name, value in runner(first).items()}
    two = {name: np.array(value) for name, value in runner(other).items()}
    held = {value.shape[0] if value.ndim else 0 for value in one.values()}
    if batch not in held:
        raise StepFailed(f"the outputs hold {_list(held)} images where {batch} were given", "the network was built for another batch")
    if _equal(one, two):
        raise StepFailed("outputs do not change with the input", "the runtime returns old buffers, or the graph is cut off from its input")


def summarise(taken: Taken, shapes: Sequence[Any], *, batch: int, warmup_runs: int, energy_of: str = "") -> Timing:
    """The figures of what was taken (`shapes` of each call says which are alike)."""
    milliseconds = np.asarray(taken.times, dtype=np.float64) / 1e6
    p50, p90, p99 = (float(value) for value in np.percentile(milliseconds, (50, 90, 99)))
    low, high = interval(milliseconds.tolist()) or (None, None)
    total = float(milliseconds.sum()) / 1e3
    images = batch * len(taken.times)
    spread = _spread(milliseconds, shapes)
    before, *between, after = taken.yardsticks
    return Timing(
        runs=len(taken.times),
        batch=batch,
        images=images,
        seconds=total,
        median_ms=p50,
        median_low_ms=low,
        median_high_ms=high,
        windows=taken.windows,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=float(milliseconds.mean()),
        images_per_second=images / total,
        warmup_runs=warmup_runs,
        yardstick_before_ms=before,
        yardstick_after_ms=after,
        yardstick_between_ms=tuple(between),
        spread=spread,
        others_cores=taken.others,
        joules_per_image=None if taken.joules is None else taken.joules / images,
        energy_of="" if taken.joules is None else energy_of,
        noise=noise(taken.yardsticks, spread, taken.others),
    )


def noise(yardsticks: Sequence[float], spread: float, others: float | None) -> tuple[str, ...]:
    """What was wrong with the machine while it measured, in words; `yardsticks` (ms) are before, any between, and after."""
    from zoo.machine import cores

    found = []
    if max(yardsticks) / min(yardsticks) > DRIFT:
        before, *between, after = yardsticks
        meanwhile = f", {min(between):.2f} to {max(between):.2f} ms between windows" if between else ""
        found.append(f"a fixed piece of work took {before:.2f} ms before{meanwhile} and {after:.2f} ms after")
    if spread > SPREAD:
        found.append(f"p90 is {spread:.2f} times p50")
    if others is not None and others > CROWD * cores():
        found.append(f"others used {others:.2f} of {cores()} cores")
    return tuple(found)


def _spread(milliseconds: NDArray[np.float64], shapes: Sequence[Any]) -> float:
    """p90 / p50 after each time is divided by the median of its own shape: images of other sizes are not noise.

    A shape that came less than five times has no median to speak of and is left out."""
    ratios: list[float] = []
    for shape in set(shapes):
        same = milliseconds[[other == shape for other in shapes]]
        if len(same) >= 5:
            ratios.extend(same / np.median(same))
    return float(np.percentile(ratios, 90) / np.median(ratios)) if ratios else 1.0


def warm_up(call: Callable[[Feeds], object], feeds: Sequence[Feeds], limit: float, context: Context) -> int:
    """Call until the median of five calls is within 5 % of that of the five before, for a window's time at least (a clock takes
    that long to rise) and `limit` seconds at most; the number of calls."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < limit:
        context.report("warming up", len(times))
        began = time.perf_counter()
        call(feeds[len(times) % len(feeds)])
        times.append(time.perf_counter() - began)
        stable = len(times) >= 10 and math.isclose(median(times[-5:]), median(times[-10:-5]), rel_tol=0.05)
        if stable and time.perf_counter() - start >= WINDOW:
            break
    return len(times)


def _shapes(feed: Feeds) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted((name, tensor.shape) for name, tensor in feed.items()))


def _equal(one: Mapping[str, NDArray[Any]], two: Mapping[str, NDArray[Any]]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def _list(sizes: set[int]) -> str:
    return ", ".join(str(size) for size in sorted(sizes)) or "no"
