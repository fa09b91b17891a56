"""The one loop over images: order, bounds, failures and endings."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import stream
from zoo.context import Context, Progress
from zoo.errors import Bug, Cancelled, StepFailed
from zoo.stream import Layout, Settled, flow, layouts, streamed


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(root=tmp_path, cache=tmp_path)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("zoo-stream")]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5), st.integers(0, 3))
def test_results_come_in_order_whatever_the_workers_and_the_times(times: list[int], workers: int, ahead: int) -> None:
    def work(pair: tuple[int, int]) -> int:
        time.sleep(pair[1] / 2000)
        return pair[0]

    context = Context(root=Path(), cache=Path())
    assert list(flow(enumerate(times), work, workers=workers, ahead=ahead, context=context)) == list(range(len(times)))
    assert not threads()


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_items_are_taken_than_workers_and_what_may_wait(context: Context, workers: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    with closing(flow(items(), lambda item: item, workers=workers, ahead=2, context=context)) as results:
        for number in results:
            time.sleep(0.002)
            assert len(taken) - number <= workers + 2


def test_workers_overlap(context: Context) -> None:
    together = threading.Barrier(3, timeout=10)
    assert list(flow(range(9), lambda item: item * bool(together.wait() + 1), workers=3, context=context)) == list(range(9))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_item_raises_comes_after_the_results_before_it_and_ends_the_threads(context: Context, workers: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise RuntimeError("image 3")
        time.sleep(0.01 * (item == 2))
        return item

    found = []
    with pytest.raises(RuntimeError, match="image 3"):
        for result in flow(range(9), work, workers=workers, context=context):
            found.append(result)
    assert found == [0, 1, 2]
    assert not threads()


def test_a_worker_that_dies_of_what_is_no_exception_is_told(context: Context) -> None:
    def work(item: int) -> int:
        if item == 1:
            raise SystemExit("died")
        return item

    with pytest.raises(SystemExit, match="died"):
        list(flow(range(4), work, workers=2, context=context))
    assert not threads()


def calling(item: int) -> str:
    return f"{item}.jpg"


@pytest.mark.parametrize("layouts", [[Layout(streams=1, workers=2)], [Layout(streams=2, workers=2), Layout(streams=1, workers=2)]])
@pytest.mark.parametrize("bad", [0, 30])
def test_an_error_names_the_item_that_it_was_raised_for(context: Context, bad: int, layouts: list[Layout]) -> None:
    def raising(error: Exception) -> Callable[[int], int]:
        def work(item: int) -> int:
            time.sleep(0.001)
            if item == bad:
                raise error
            return item

        return work

    def run(error: Exception) -> None:
        list(streamed(range(60), lambda _: raising(error), layouts, context=context, seconds=0.01, named=calling))

    with pytest.raises(StepFailed, match=rf"^{bad}\.jpg: no people\n  look$"):
        run(StepFailed("no people", "look"))
    with pytest.raises(StepFailed, match=rf"^image in/{bad}\.jpg is empty$"):  # it says so itself
        run(StepFailed(f"image in/{bad}.jpg is empty"))
    with pytest.raises(Bug) as caught:
        run(IndexError("out of range"))
    *above, last = caught.value.message.splitlines()
    assert last.startswith(f"{bad}.jpg: a bug: IndexError: out of range (test_stream.py:") and above[0].startswith("Traceback")
    assert not threads()


def test_a_long_wait_is_told_with_the_name_of_what_is_waited_for(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SLOW", 0.1)
    monkeypatch.setattr(stream, "GLANCE", 0.05)

    def items() -> Iterator[int]:
        yield from range(3)
        time.sleep(0.9)
        yield 3

    def work(item: int) -> int:
        time.sleep(0.4 * (item == 1))
        return item

    news: list[Progress] = []
    heard = Context(root=Path(), cache=Path(), listener=news.append)
    assert list(flow(items(), work, workers=2, context=heard, named=calling, coming=lambda: "the camera")) == [0, 1, 2, 3]
    assert [*dict.fromkeys(one.what for one in news)][:2] == ["waiting for 1.jpg", "waiting for the camera"]
    assert all(0.1 < one.done < 5 and one.unit == "s" for one in news)
    news.clear()
    assert list(flow(range(20), lambda item: item, workers=2, context=heard, named=calling)) == list(range(20)) and not news


def test_a_run_that_is_stopped_does_not_wait_for_an_item_that_never_ends(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PATIENCE", 0.3)
    free = threading.Event()
    threading.Timer(0.1, context.cancelled.set).start()
    started = time.perf_counter()
    with pytest.raises(Cancelled):
        list(flow(range(9), lambda item: free.wait(20), workers=2, context=context, named=calling))
    assert time.perf_counter() - started < 5
    assert len(threads()) == 2
    free.set()
    for thread in threading.enumerate():
        if thread.name.startswith("zoo-stream"):
            thread.join(5)
    assert not threads()


def test_what_the_items_raise_comes_after_the_results_before_it(context: Context) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk went away")

    found = []
    with pytest.raises(OSError, match="the disk went away"):
        for result in flow(items(), lambda item: item, workers=2, context=context):
            found.append(result)
    assert found == [0, 1, 2]


def test_one_slow_item_holds_up_only_what_may_wait(context: Context) -> None:
    slow, done = threading.Event(), []

    def work(item: int) -> int:
        if item == 0:
            slow.wait(10)
        done.append(item)
        return item

    with closing(flow(range(20), work, workers=2, ahead=3, context=context)) as results:
        threading.Timer(0.2, slow.set).start()
        assert next(results) == 0
        assert set(done) == {0, 1, 2, 3, 4}
        assert list(results) == list(range(1, 20))


def test_closing_early_ends_the_threads(context: Context) -> None:
    results = flow(range(1000), lambda item: item, workers=3, context=context)
    assert next(results) == 0
    results.close()
    assert not threads()


def test_a_cancelled_context_ends_it(context: Context) -> None:
    def work(item: int) -> int:
        if item == 5:
            context.cancelled.set()
            time.sleep(0.05)
        return item

    with pytest.raises(Cancelled):
        list(flow(iter(int, 1), lambda _: work(5), workers=2, context=context))
    assert not threads()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_running_stream_at_once(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(
        "import time\nfrom pathlib import Path\nfrom zoo.context import Context\nfrom zoo.stream import flow\n"
        "context = Context(root=Path(), cache=Path())\n"
        "for n in flow(iter(int, 1), lambda _: time.sleep(0.01), workers=2, context=context):\n    print('.', flush=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert child.wait(60) != 0
    child.stdout.close()


def test_a_live_source_gives_the_newest_and_what_was_between_is_dropped(context: Context) -> None:
    started = time.perf_counter()

    def camera() -> Iterator[float]:
        while time.perf_counter() - started < 0.5:
            yield time.perf_counter()

    def work(frame: float) -> float:
        time.sleep(0.05)
        return time.perf_counter() - frame

    ages = list(flow(camera(), work, workers=1, ahead=0, context=context))
    assert 3 < len(ages) < 12
    assert max(ages[1:]) < 0.2


def test_layouts_use_every_core_and_one_core_leaves_no_choice() -> None:
    assert layouts(1) == (Layout(streams=1, workers=1),)
    assert [(one.streams, one.workers) for one in layouts(2)] == [(2, 2), (1, 2)]
    assert [one.streams for one in layouts(16)] == [16, 4, 8, 1]


def test_the_fastest_layout_is_chosen_on_the_items_themselves_and_each_is_worked_on_once(context: Context) -> None:
    opened: list[Layout] = []

    def serving(layout: Layout):  # type: ignore[no-untyped-def]
        opened.append(layout)
        return lambda item: (time.sleep(0.001 if layout.streams == 2 else 0.02), item)[1]

    settled: list[Settled] = []
    results = streamed(range(600), serving, layouts(2), context=context, seconds=0.1, told=settled.append)
    assert list(results) == list(range(600))
    assert settled[0].layout == Layout(streams=2, workers=2)
    assert dict(settled[0].tried)[Layout(streams=2, workers=2)] > dict(settled[0].tried)[Layout(streams=1, workers=2)]
    assert [one.streams for one in opened] == [2, 1, 2]


@given(st.integers(0, 7))
@settings(deadline=None)
def test_a_handful_of_items_is_enough(count: int) -> None:
    context = Context(root=Path(), cache=Path())
    results = streamed(range(count), lambda _: lambda item: item, layouts(2), context=context, seconds=0.001)
    assert list(results) == list(range(count))
