"""What is compared is timed in turns, and what happens to one happens to no other."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zoo.context import Context, Progress
from zoo.errors import Cancelled, StepFailed
from zoo.measure import interleaved
from zoo.measure.interleaved import Task, interleave
from zoo.measure.isolated import Isolated

WORK = """
import os, signal, time
from zoo.errors import StepFailed

def note(path, word):
    with open(path, "a") as file:
        file.write(word + " ")

def turns(path, name, windows, *, context, dies=99, raises=99, ballast=0):
    held = b"x" * ballast
    note(path, f"{name}:open")
    told = []
    for window in range(windows):
        told.append(context.turn())
        note(path, f"{name}{window}")
        if window == dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if window == raises:
            raise StepFailed("refused", "for a reason")
        time.sleep(0.02)
        note(path, f"{name}{window}.")
    return os.getpid(), told

def dying(path, name, windows, *, context):
    return turns(path, name, windows, context=context, dies=1)

def raising(path, name, windows, *, context):
    return turns(path, name, windows, context=context, raises=1)

def refused(path, name, windows, *, context):
    raise StepFailed("outputs do not change with the input")

def large(path, name, windows, *, context):
    return turns(path, name, windows, context=context, ballast=200 << 20)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that a child process can import as well."""
    (tmp_path / "turning_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    yield importlib.import_module("turning_work")
    del sys.modules["turning_work"]


class Line:
    """Runs functions of the module in turns, named a, b, c ..., and keeps what they noted."""

    def __init__(self, path: Path, context: Context) -> None:
        self.path, self.context = path, context

    def __call__(self, *functions: Any, windows: Sequence[int] = ()) -> list[interleaved.Taken[Any]]:
        self.path.write_text("")
        counts = windows or [3] * len(functions)
        return interleave(
            [
                Task(function, lambda name=name, count=count: (str(self.path), name, count), self.context)  # type: ignore[misc]
                for function, name, count in zip(functions, "abcdefgh", counts, strict=False)
            ]
        )

    @property
    def noted(self) -> list[str]:
        return self.path.read_text().split()

    @property
    def order(self) -> str:
        """The windows in the order in which they began: `a0 b0 a1 b1`."""
        return " ".join(word for word in self.noted if not word.endswith((".", ":open")))


@pytest.fixture
def line(tmp_path: Path, context: Context) -> Line:
    return Line(tmp_path / "noted", context)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_each_has_a_window_in_turn_after_all_are_open_and_only_one_runs_at_a_time(work: ModuleType, line: Line) -> None:
    found = line(work.turns, work.turns, work.turns)
    assert line.noted[:3] == ["a:open", "b:open", "c:open"]
    assert line.order == "a0 b0 c0 a1 b1 c1 a2 b2 c2"
    # a window ends before another one begins
    assert line.noted[3:] == [word for name in line.order.split() for word in (name, f"{name}.")]
    assert [taken.beside for taken in found] == [(1, 2), (0, 2), (0, 1)]
    pids = {taken.outcome.value[0] for taken in found if isinstance(taken.outcome, Isolated)}
    assert len(pids) == 3 and all(gone(pid) for pid in pids)


def test_one_that_needs_more_windows_goes_on_alone_and_is_told_so(work: ModuleType, line: Line) -> None:
    found = line(work.turns, work.turns, windows=(1, 4))
    assert line.order == "a0 b0 b1 b2 b3"
    told = [taken.outcome.value[1] for taken in found if isinstance(taken.outcome, Isolated)]
    # b was opened after a, a ran before b's first window, and nobody after that
    assert told == [[True], [True, False, False, False]]


def test_one_alone_has_nobody_beside_it(work: ModuleType, line: Line) -> None:
    (taken,) = line(work.turns)
    assert isinstance(taken.outcome, Isolated) and taken.outcome.value[1] == [False] * 3 and taken.beside == ()
    assert taken.outcome.peak_memory > 1 << 20


@pytest.mark.parametrize(("wrong", "said"), [("dying", "was ended by SIGKILL"), ("raising", "refused")])
def test_one_that_dies_or_is_refused_ends_only_its_own(work: ModuleType, line: Line, wrong: str, said: str) -> None:
    one, two, three = line(work.turns, getattr(work, wrong), work.turns)
    assert isinstance(two.outcome, StepFailed) and said in two.outcome.message
    assert isinstance(one.outcome, Isolated) and isinstance(three.outcome, Isolated)
    assert line.order == "a0 b0 c0 a1 b1 c1 a2 c2"


def test_one_that_never_comes_to_its_first_turn_was_beside_nobody(work: ModuleType, line: Line, context: Context) -> None:
    one, two, three = line(work.turns, work.refused, work.turns)
    assert isinstance(two.outcome, StepFailed) and "do not change" in two.outcome.message
    assert (one.beside, two.beside, three.beside) == ((2,), (), (0,))

    def unprepared() -> tuple[Any, ...]:
        raise StepFailed("no such image")

    (failed,) = interleave([Task(work.turns, unprepared, context)])
    assert isinstance(failed.outcome, StepFailed) and failed.outcome.message == "no such image"


def test_more_than_may_be_open_at_once_take_turns_in_companies_of_one_size(
    work: ModuleType, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interleaved, "TOGETHER", 3)
    found = line(*[work.turns] * 4, windows=[1] * 4)
    assert line.order == "a0 b0 c0 d0" and line.noted.index("c:open") > line.noted.index("b0.")
    assert [taken.beside for taken in found] == [(1,), (0,), (3,), (2,)]


def test_no_more_are_open_than_the_memory_holds(work: ModuleType, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleaved, "memory", lambda: 1100 << 20)  # for two that hold 200 MiB and the interpreter each, not three
    found = line(*[work.large] * 3, windows=[1] * 3)
    assert [taken.beside for taken in found] == [(1,), (0,), ()]
    monkeypatch.setattr(interleaved, "memory", lambda: None)
    assert [len(taken.beside) for taken in line(*[work.large] * 3, windows=[1] * 3)] == [2, 2, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cancelled_run_ends_all_of_them(work: ModuleType, line: Line, context: Context) -> None:
    stopped, heard = threading.Event(), list[Progress]()
    line.context = replace(context, cancelled=stopped, listener=heard.append)
    threading.Timer(1.0, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        line(work.turns, work.turns, windows=(10_000, 10_000))
    assert time.monotonic() - began < 10
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "zoo.measure.isolated" in Path(f"/proc/{pid}/cmdline").read_text()]
