"""A function run in a fresh Python process, so that its peak memory is its own and no other model's.

The child gets its arguments through its standard input, and after them a byte for each turn that it is given; it answers in
frames on its standard output. It watches that input: when the parent is gone, however it went, the input ends and the child with it.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Generic, Self, TypeVar

from zoo import errors
from zoo.context import Context, Progress
from zoo.errors import Cancelled, StepFailed, ZooError
from zoo.machine import peak_memory

T = TypeVar("T")

COMMAND = "from zoo.measure.isolated import serve; serve()"
#: What a child that waits for its turn is told: whether it may go on after others or after nobody. And that it is to stop.
OTHERS, ALONE, STOP = b"o", b"a", b"s"


@dataclass(frozen=True)
class Isolated(Generic[T]):
    """What a child gave back."""

    value: T
    peak_memory: int
    """The child's peak resident memory in bytes; 0 where the platform does not tell."""


def run_isolated(
    function: Callable[..., T], *arguments: Any, context: Context, environment: Mapping[str, str] = MappingProxyType({})
) -> Isolated[T]:
    """`function(*arguments, context=...)` in a child process; `function` stands at the top of an importable module.

    `environment` is added to the child's: for what libraries read once, when they are loaded.

    Arguments and result are pickled (paths, strings, numbers, records, arrays). The child's context reports to this
    one. Errors of this project come back as they were; another exception comes back as its built-in class, or as
    RuntimeError, with the child's traceback as a note. StepFailed where the child dies. Whatever ends this call ends
    the child: an exception, a cancelled context, the death of this process."""
    with Child(function, arguments, context, environment=environment) as child:
        done = child.listen()
    assert done is not None  # one that shares with nobody has no turns
    return done


class Child(Generic[T]):
    """A function in a process of its own, as `run_isolated` has it; with `turns`, one that waits at each `context.turn()` until
    it is told to go on. Where the context is cancelled its own is as well, and it has `grace` seconds to leave things in order.
    A context manager, whose end is that of the process."""

    def __init__(
        self,
        function: Callable[..., T],
        arguments: Sequence[Any],
        context: Context,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        turns: bool = False,
        grace: float = 0.0,
    ) -> None:
        module, name = function.__module__, function.__qualname__
        if module == "__main__" or not name.isidentifier():
            raise TypeError(f"{module}.{name} cannot be found by a child process: put the function at the top of a module")
        own = ("listener", "cancelled", "turn")
        shared = {field.name: getattr(context, field.name) for field in fields(context) if field.name not in own}
        # plain dicts: a view such as os.environ cannot be pickled
        shared = {key: dict(value) if isinstance(value, Mapping) else value for key, value in shared.items()}
        order = pickle.dumps((module, name, tuple(arguments), shared, turns))
        self.peak_memory = 0
        """In bytes, when it was last heard of; 0 where the platform does not tell."""
        self._name, self._context = f"{module}.{name}", context
        self._frames: queue.SimpleQueue[tuple[str, Any, int] | None] = queue.SimpleQueue()
        self._order = len(order).to_bytes(8, "little") + order
        self._environment = environment
        self._grace = grace

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._complaints = stack.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,  # so that what the child starts can be ended with it
                env={**os.environ, **self._environment, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)},
            )
            stack.callback(self._close)
            threading.Thread(target=self._read, daemon=True).start()
            self._tell(self._order)
            self._order = b""  # arguments may be large
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if it has not ended."""
        self._stack.close()

    def _close(self) -> None:
        self._end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was buffered had nobody left to read it
                    pipe.close()

    def listen(self) -> Isolated[T] | None:
        """Pass its news on until it waits for its turn (None), or is done. Raises what it raised."""
        end: float | None = None
        while True:
            if self._context.cancelled.is_set():
                if end is None:
                    end = time.monotonic() + self._grace
                    self._tell(STOP)
                if time.monotonic() >= end:
                    raise Cancelled("stopped")
            try:
                frame = self._frames.get(timeout=0.2)  # so that a cancelled context is noticed between the child's frames
            except queue.Empty:
                continue
            if frame is None:
                raise self._death()
            kind, value, peak = frame
            if kind == "news":
                self._context.listener(value)
                continue
            self.peak_memory = peak
            if kind == "turn":
                return None
            if kind == "error":
                raise value
            return Isolated(value, peak)

    def go_on(self, *, others: bool) -> None:
        """It has its turn; `others`: whether somebody else had one since its last."""
        self._tell(OTHERS if others else ALONE)

    def _tell(self, words: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError):  # it is dead: `listen` will say so
            stdin.write(words)
            stdin.flush()

    def _read(self) -> None:
        """In a thread: the child's frames as they come, and None when there will be no more."""
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                self._frames.put(pickle.load(stdout))
        self._frames.put(None)

    def _end(self) -> None:
        """End the process, and with it what its libraries may have forked: that would hold its pipes open."""
        if sys.platform == "win32":
            self._process.kill()
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _death(self) -> StepFailed:
        """How it died without an answer, and its last words."""
        with suppress(subprocess.TimeoutExpired):  # its own end, not ours, is what is told
            self._process.wait(5)
        self._end()
        status = self._process.wait()
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().splitlines()[-3:]
        return StepFailed(f"the process of {self._name} {_death(status)}", "; ".join(last) or "is there enough memory?")


def serve() -> None:
    """The child: read the order, run it, answer. Called by `COMMAND` alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches the parent too, and it ends this process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a native library prints must not stand between the frames
    lock = threading.Lock()

    def send(kind: str, value: Any, peak: int = 0) -> None:
        frame = pickle.dumps((kind, value, peak))  # whole before any of it is written
        with lock:
            answers.write(frame)
            answers.flush()

    orders = sys.stdin.buffer
    # a process that is forked from this one closes its standard input, and would wait for the thread that reads the orders
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    order = orders.read(int.from_bytes(orders.read(8), "little"))
    given: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    cancelled = threading.Event()
    threading.Thread(target=_obey, args=(orders, given, cancelled), daemon=True).start()
    try:
        module, name, arguments, shared, turns = pickle.loads(order)

        def listen(news: Progress) -> None:
            send("news", news)

        def turn() -> bool:
            if not turns:
                return False
            send("turn", None, peak_memory())
            return given.get() == OTHERS

        context = Context(**shared, listener=listen, cancelled=cancelled, turn=turn)
        send("value", getattr(importlib.import_module(module), name)(*arguments, context=context), peak_memory())
    except BaseException as error:
        send("error", _portable(error))
    # the answer is out: leave without the destructors of runtimes, which may hang or crash
    os._exit(0)


def _obey(orders: IO[bytes], given: queue.SimpleQueue[bytes], cancelled: threading.Event) -> None:
    """Take turns as they are given; stop when asked; die with the parent."""
    while word := orders.read(1):
        if word == STOP:
            cancelled.set()
        else:
            given.put(word)
    os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """An exception that the parent can unpickle, saying the same."""
    known = getattr(errors, type(error).__name__, None)
    if isinstance(error, ZooError) and known is type(error) and type(error) is not errors.RecipeError:
        # without what it was raised from: that may not be picklable
        return type(error)(error.message, error.hint)
    told = "".join(traceback.format_exception(error))
    name = type(error).__name__
    simple = type(error) in (ValueError, TypeError, RuntimeError, MemoryError, AssertionError)
    portable: BaseException = type(error)(str(error)) if simple else RuntimeError(f"{name}: {error}")
    portable.add_note(f"in the child process:\n{told}")
    return portable


def _death(status: int) -> str:
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with status {status} and no answer"
