"""Work in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest

from zoo.context import Context, Progress
from zoo.errors import Cancelled, MissingTool, StepFailed
from zoo.measure.isolated import run_isolated

WORK = """
import os, signal, sys, time
from zoo.errors import MissingTool

def where(number, *, context):
    print("a library talks")
    os.write(1, b"to file descriptor 1")
    return number * 2, os.getpid(), str(context.root), context.threads

def news(*, context):
    for item in context.track([1, 2], "counting", 2):
        pass

def missing(*, context):
    raise MissingTool("no openvino", "pip install openvino")

def wrong(*, context):
    raise ValueError("seven")

def strange(*, context):
    class Strange(Exception):
        pass
    raise Strange("local")

def unpicklable(*, context):
    return lambda: 0

def forks(*, context):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    return child

def dies(*, context):
    sys.stderr.write("terminate called\\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)

def small(*, context):
    return bytes(1 << 20)[:1]

def large(*, context):
    return len(b"x" * (150 << 20))

def sleeps(path, *, context):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that a child process can import as well."""
    (tmp_path / "isolated_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    yield importlib.import_module("isolated_work")
    del sys.modules["isolated_work"]


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process ends soon (a zombie has ended)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_the_result_comes_from_another_process_and_prints_do_not_spoil_it(work: ModuleType, context: Context) -> None:
    value, pid, root, threads = run_isolated(work.where, 21, context=replace(context, threads=3)).value
    assert value == 42
    assert pid != os.getpid()
    assert (root, threads) == (str(context.root), 3)


def test_progress_reaches_the_listener(work: ModuleType, context: Context) -> None:
    heard: list[Progress] = []
    run_isolated(work.news, context=replace(context, listener=heard.append, action="a/b"))
    assert [(news.action, news.done) for news in heard] == [("a/b", 0), ("a/b", 1), ("a/b", 2)]


def test_an_error_of_ours_comes_back_as_it_was(work: ModuleType, context: Context) -> None:
    with pytest.raises(MissingTool, match="no openvino") as caught:
        run_isolated(work.missing, context=context)
    assert caught.value.hint == "pip install openvino"


def test_a_builtin_exception_comes_back_with_the_traceback_of_the_child(work: ModuleType, context: Context) -> None:
    with pytest.raises(ValueError, match="seven") as caught:
        run_isolated(work.wrong, context=context)
    assert "isolated_work.py" in caught.value.__notes__[0]


@pytest.mark.parametrize(("name", "text"), [("strange", "Strange: local"), ("unpicklable", "pickle")])
def test_what_cannot_travel_is_told_in_words(work: ModuleType, context: Context, name: str, text: str) -> None:
    with pytest.raises(Exception, match=text):
        run_isolated(getattr(work, name), context=context)


def test_a_child_that_dies_says_how_and_its_last_words(work: ModuleType, context: Context) -> None:
    with pytest.raises(StepFailed, match="was ended by SIGKILL") as caught:
        run_isolated(work.dies, context=context)
    assert "terminate called" in caught.value.hint


def test_peak_memory_is_the_childs_and_not_the_parents(work: ModuleType, context: Context) -> None:
    ballast = b"x" * (300 << 20)
    small = run_isolated(work.small, context=context).peak_memory
    assert 0 < small < 150 << 20
    assert run_isolated(work.large, context=context).peak_memory > small + (140 << 20)
    del ballast


def test_a_cancelled_context_ends_the_child(work: ModuleType, context: Context, tmp_path: Path) -> None:
    stop, path = Event(), tmp_path / "pid"
    Thread(target=lambda: (until(lambda: path.exists() and path.read_text()), stop.set())).start()
    with pytest.raises(Cancelled):
        run_isolated(work.sleeps, path, context=replace(context, cancelled=stop))
    assert gone(int(path.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_parent_that_is_killed_takes_the_child_along(work: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    code = (
        "import isolated_work, pathlib; from zoo.context import Context; from zoo.measure.isolated import run_isolated; "
        f"here = pathlib.Path({str(tmp_path)!r}); run_isolated(isolated_work.sleeps, {str(path)!r}, context=Context(root=here, cache=here))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    child = int(until(lambda: path.exists() and path.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(child)


def test_a_function_that_a_child_cannot_find_is_refused(context: Context) -> None:
    def local(*, context: Context) -> None:
        return

    with pytest.raises(TypeError, match="top of a module"):
        run_isolated(local, context=context)


def test_what_a_library_forked_in_the_child_does_not_keep_the_parent(work: ModuleType, context: Context) -> None:
    started = time.monotonic()
    forked = run_isolated(work.forks, context=context).value
    assert time.monotonic() - started < 30
    while Path(f"/proc/{forked}/stat").exists() and " Z " not in Path(f"/proc/{forked}/stat").read_text():
        assert time.monotonic() - started < 30, "what the child forked lives on"
        time.sleep(0.05)


def test_importing_openvino_reports_nothing_to_anyone() -> None:
    pytest.importorskip("openvino")
    program = (
        "import sys; from zoo.optional import require; require('openvino'); import multiprocessing;"
        "assert not multiprocessing.active_children(); assert sys.modules['openvino_telemetry'] is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
