"""The one loop over images: reading, preparing, networks and decoding overlap, and results come in order.

`flow` hands each item to one of several threads, which does everything for it from the file to the poses. While one thread
waits for the network, another reads or decodes. `settled` chooses how the cores are shared out between calls of the network and
the rest, on the first of the items themselves, so nothing that is measured is thrown away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from zoo.context import Context
from zoo.errors import Cancelled
from zoo.faults import naming
from zoo.large import give_back
from zoo.record import Record

T = TypeVar("T")
M = TypeVar("M", bound="Closing")
R = TypeVar("R")

#: how often a thread that waits looks whether the run was stopped, seconds
GLANCE = 0.2
#: after so long a wait for one item its name is told, seconds
SLOW = 5.0
#: how long a run that was stopped waits for the items that its threads are at, seconds
PATIENCE = 2.0


class Closing(Protocol):
    """What is closed after use."""

    def close(self) -> None:
        """Give back what it holds."""


class Layout(Record, frozen=True, kw_only=True):
    """How the cores are shared out."""

    streams: int
    """Calls of the network at once, which share its threads."""
    workers: int
    """Threads that read, prepare, call the network and decode, an image each at a time."""

    def __str__(self) -> str:
        calls = "1 call" if self.streams == 1 else f"{self.streams} calls"
        return f"{calls} of the network at once, {self.workers} {'worker' if self.workers == 1 else 'workers'}"


def layouts(threads: int) -> tuple[Layout, ...]:
    """The ways to share out `threads` cores that are worth a try: every call on all of them while other workers do the rest, a
    call on each of them, and for many cores calls on a few each."""
    if threads == 1:
        return (Layout(streams=1, workers=1),)
    streams = dict.fromkeys([threads, *(count for count in (threads // 4, threads // 2) if count > 1), 1])
    return tuple(Layout(streams=count, workers=max(2, count)) for count in streams)


class _Line(Generic[T, R]):
    """What the threads of a `flow` share. `changed` guards all of it."""

    def __init__(
        self, items: Iterable[T], work: Callable[[T], R], room: int, named: Callable[[T], str] | None, coming: Callable[[], str]
    ) -> None:
        self.source, self.work, self.room, self.named, self.coming = iter(items), work, room, named, coming
        self.asking, self.changed = threading.Lock(), threading.Condition()
        self.under_way: dict[int, T] = {}
        self.done: dict[int, R | _Raised] = {}
        self.taken = self.given = 0
        self.total: int | None = None
        self.stopped = False

    def serve(self) -> None:
        """A thread: take items and work on them until there are no more."""
        while (found := self._next()) is not None:
            number, item = found
            # whatever is raised is told where the results are taken, in its turn
            try:
                self._put(number, self.work(item))
            except Exception as error:
                self._put(number, _Raised(naming(error, self.named(item)) if self.named else error))
            except BaseException as error:
                self._put(number, _Raised(error))
            del item, found

    def _next(self) -> tuple[int, T] | None:
        # one thread at a time: an iterator cannot be asked by two, and the numbers are the items' order
        with self.asking:
            with self.changed:
                self.changed.wait_for(lambda: self.stopped or self.total is not None or self.taken - self.given < self.room)
                if self.stopped or self.total is not None:
                    return None
            try:
                item = next(self.source)
            except BaseException as error:
                with self.changed:
                    ended = isinstance(error, StopIteration)
                    self.total = self.taken + (not ended)
                    if not ended:
                        self.done[self.taken] = _Raised(error)
                    self.changed.notify_all()
                return None
            with self.changed:
                self.taken += 1
                self.under_way[self.taken - 1] = item
                return self.taken - 1, item

    def _put(self, number: int, result: R | _Raised) -> None:
        with self.changed:
            del self.under_way[number]
            self.done[number] = result
            self.changed.notify_all()

    def results(self, context: Context) -> Generator[R, None, None]:
        """The results in order."""
        while True:
            asked = time.monotonic()
            with self.changed:
                # with a timeout: whoever cancels the context does not know of this condition
                while self.given not in self.done and self.total != self.given:
                    if context.cancelled.is_set():
                        raise Cancelled("stopped")
                    self.changed.wait(GLANCE)
                    if self.named and (waited := time.monotonic() - asked) > SLOW and self.given not in self.done:
                        item = self.under_way.get(self.given)
                        context.report(f"waiting for {self.coming() if item is None else self.named(item)}", waited, unit="s")
                if self.given not in self.done:
                    return
                result = self.done.pop(self.given)
            if isinstance(result, _Raised):
                raise result.error
            # room is made when the consumer comes back: what it holds is in memory too
            yield result
            del result
            with self.changed:
                self.given += 1
                self.changed.notify_all()

    def stop(self) -> None:
        """No thread takes another item."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


class _Raised:
    """What was raised instead of a result."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def flow(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    workers: int,
    context: Context,
    ahead: int = 2,
    named: Callable[[T], str] | None = None,
    coming: Callable[[], str] = lambda: "the input",
) -> Generator[R, None, None]:
    """`work(item)` of each item, in the order of the items, made by `workers` threads.

    An item is taken when a thread is free for it and at most `ahead` results wait for whoever consumes them: what is in memory
    does not grow with the number of items, and of a camera the frame is taken that is the newest then (`ahead=0`: none waits).

    What `work` raises is raised here when its item's turn has come, after all results before it; so is what `items` raise.
    `named(item)` is how errors call an item, and the news of a wait for it that is longer than `SLOW`; `coming()`, how that calls
    what `items` has not given yet.
    Cancelled where the context is. However it ends, the threads have ended with it: each finishes the item that it is at. But where
    the context is cancelled, a thread that does not come back within `PATIENCE` is left to itself: nothing keeps a run that was stopped.
    """
    line = _Line(items, work, workers + ahead, named, coming)
    threads = [threading.Thread(target=line.serve, name=f"zoo-stream-{number}", daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from line.results(context)
    finally:
        line.stop()
        _ended(threads, context)


def _ended(threads: Sequence[threading.Thread], context: Context) -> None:
    """Wait for the threads; of a run that is stopped, or has been, no longer than `PATIENCE`."""
    stopped: float | None = None
    for thread in threads:
        while thread.is_alive():
            if context.cancelled.is_set():
                stopped = stopped or time.monotonic()
                if time.monotonic() - stopped > PATIENCE:
                    return
            thread.join(GLANCE)


class Reopened(Generic[M]):
    """A model that is opened anew for each layout, one at a time: a context manager; call it with a layout."""

    def __init__(self, opening: Callable[[Layout], M]) -> None:
        self._opening = opening
        self._layout: Layout | None = None
        self._model: M | None = None

    def __call__(self, layout: Layout) -> M:
        """The model for `layout`; the one before is closed."""
        if self._model is None or layout != self._layout:
            self.close()
            self._model, self._layout = self._opening(layout), layout
        return self._model

    def close(self) -> None:
        """Close what is open."""
        model, self._model = self._model, None
        if model is not None:
            model.close()
            del model
            # whatever comes next has its room: another layout of the same model, or judging what was found
            give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Settled(Record, frozen=True, kw_only=True):
    """What a short measurement chose."""

    layout: Layout
    tried: tuple[tuple[Layout, float], ...] = ()
    """Each layout with its images a second; nothing where there was no choice, or not enough to measure on."""

    def __str__(self) -> str:
        others = "; ".join(f"{layout}: {rate:.1f} images/s" for layout, rate in self.tried)
        return f"{self.layout}" + (f" (measured: {others})" if others else "")


def streamed(
    items: Sequence[T] | Iterator[T],
    serving: Callable[[Layout], Callable[[T], R]],
    tried: Sequence[Layout],
    *,
    context: Context,
    seconds: float = 1.0,
    told: Callable[[Settled], None] = lambda _: None,
    weight: Callable[[T], int] = lambda _: 1,
    named: Callable[[T], str] | None = None,
) -> Generator[R, None, None]:
    """The results of all `items` in order: each of the layouts `tried` works on the first of them for about `seconds`, the
    fastest on the rest. `told` hears which that is, before the rest begins.

    `serving(layout)` opens what works in a layout and gives the work; it is asked once more for the layout that was chosen.
    `weight`: how many images an item is. `named`: see `flow`."""
    source, rates = iter(items), []
    for layout in tried if len(tried) > 1 else ():
        work = serving(layout)
        # the first calls are slower: memory is laid out, kernels are chosen
        with closing(flow(islice(source, layout.workers), work, workers=1, context=context, named=named)) as results:
            yield from results
        done, started = 0, 0.0

        def timely(source: Iterator[T] = source, least: int = layout.workers) -> Iterator[T]:
            nonlocal done, started
            started = time.perf_counter()
            for item in source:
                done += weight(item)
                yield item
                if done >= least and time.perf_counter() - started > seconds:
                    return

        with closing(flow(timely(), work, workers=layout.workers, context=context, named=named)) as results:
            yield from results
        if done:
            rates.append((layout, done / (time.perf_counter() - started)))
    chosen = max(rates, key=lambda pair: pair[1])[0] if rates else tried[0]
    told(Settled(layout=chosen, tried=tuple(rates)))
    with closing(flow(source, serving(chosen), workers=chosen.workers, context=context, named=named)) as results:
        yield from results
