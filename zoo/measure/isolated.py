"""A function run in a fresh Python process, so that its peak memory is its own and no other model's.

The child gets its arguments through its standard input and answers in frames on its standard output. It
watches that input: when the parent is gone, however it went, the input ends and the child with it.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Generic, TypeVar

from zoo import errors
from zoo.context import Context, Progress
from zoo.errors import Cancelled, StepFailed, ZooError
from zoo.machine import peak_memory

T = TypeVar("T")

COMMAND = "from zoo.measure.isolated import serve; serve()"


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
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or not name.isidentifier():
        raise TypeError(f"{module}.{name} cannot be found by a child process: put the function at the top of a module")
    shared = {field.name: getattr(context, field.name) for field in fields(context) if field.name not in ("listener", "cancelled")}
    # plain dicts: a view such as os.environ cannot be pickled
    shared = {key: dict(value) if isinstance(value, Mapping) else value for key, value in shared.items()}
    order = pickle.dumps((module, name, arguments, shared))
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # so that what the child starts can be ended with it
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)},
        )
        try:
            answer = _talk(child, order, context)
            if answer is None:
                with suppress(subprocess.TimeoutExpired):  # its own end, not ours, is what is told
                    child.wait(5)
        finally:
            _end(child)
            status = child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was buffered had nobody left to read it
                        pipe.close()
        if answer is None:
            complaints.seek(0)
            last = complaints.read().decode(errors="replace").strip().splitlines()[-3:]
            raise StepFailed(f"the process of {module}.{name} {_death(status)}", "; ".join(last) or "is there enough memory?")
    kind, value, peak = answer
    if kind == "error":
        raise value
    return Isolated(value, peak)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child, and with it what its libraries may have forked: that would hold its pipes open."""
    if sys.platform == "win32":
        child.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _talk(child: subprocess.Popen[bytes], order: bytes, context: Context) -> tuple[str, Any, int] | None:
    """Send the order, pass news on, return the last frame; None when the child died before it.

    A thread reads, so that a cancelled context is noticed between the child's frames."""
    stdin, stdout = child.stdin, child.stdout
    assert stdin is not None and stdout is not None
    try:
        stdin.write(len(order).to_bytes(8, "little") + order)
        stdin.flush()
    except OSError:  # it died at once: why stands in its complaints
        return None
    frames: list[tuple[str, Any, int]] = []
    arrived = threading.Condition()
    ended = False

    def read() -> None:
        nonlocal ended
        while True:
            try:
                frame = pickle.load(stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                break
            with arrived:
                frames.append(frame)
                arrived.notify()
        with arrived:
            ended = True
            arrived.notify()

    threading.Thread(target=read, daemon=True).start()
    while True:
        with arrived:
            arrived.wait_for(lambda: frames or ended, timeout=0.2)
            frame = frames.pop(0) if frames else None
            if frame is None and ended:
                return None
        if context.cancelled.is_set():
            raise Cancelled("stopped")
        if frame is not None:
            kind, value, _ = frame
            if kind != "news":
                return frame
            context.listener(value)


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
    order = orders.read(int.from_bytes(orders.read(8), "little"))
    threading.Thread(target=_die_with_parent, args=(orders,), daemon=True).start()
    try:
        module, name, arguments, shared = pickle.loads(order)

        def listen(news: Progress) -> None:
            send("news", news)

        context = Context(**shared, listener=listen)
        send("value", getattr(importlib.import_module(module), name)(*arguments, context=context), peak_memory())
    except BaseException as error:
        send("error", _portable(error))
    # the answer is out: leave without the destructors of runtimes, which may hang or crash
    os._exit(0)


def _die_with_parent(orders: IO[bytes]) -> None:
    orders.read()
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
