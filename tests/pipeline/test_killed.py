"""kill -9, ^C, a full disk, two processes at once: no artifact is ever half-made, and the next run carries on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspaces import STOPPING, Small

import zoo
from zoo.engine.store import Store

pytest.importorskip("torch")

HELPERS = Path(__file__).parents[1] / "unit"
ZOO = "from zoo.cli import main; main()"
TARGET = ("  onnxruntime-fp32:\n", "  onnxruntime-int8: {parity: {snr: 15, reason: eight bits are few}}\n")
ACTIONS = 10  # fetch, export, edit, parity; int8, compile, parity, accuracy, end_to_end, latency


def environment() -> dict[str, str]:
    paths = [str(Path(zoo.__file__).parents[1]), str(HELPERS)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def make(root: Path) -> Small:
    small = Small.make(root)
    small.recipe(TARGET)
    small.images()
    small.weights()
    return small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return make(tmp_path / "workspace")


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Small:
    small = make(tmp_path_factory.mktemp("built") / "workspace")
    assert call(small, "build", "tiny").returncode == 0
    return small


@pytest.fixture
def built(_built: Small, tmp_path: Path) -> Iterator[Small]:
    shutil.copytree(_built.root, tmp_path / "workspace", copy_function=shutil.copy2)
    yield Small(tmp_path / "workspace")


def call(small: Small, *words: str, limit: int = -1) -> "subprocess.CompletedProcess[str]":
    """`zoo WORDS` in a process of its own, of which no file may grow over `limit` bytes (-1: any)."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {ZOO}"
    command = [sys.executable, "-c", limited, *words]
    return subprocess.run(command, cwd=small.root, env=environment(), capture_output=True, text=True, timeout=120, check=False)


def start(small: Small, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ZOO, *words]
    shutil.rmtree(small.root / ".zoo/logs", ignore_errors=True)
    return subprocess.Popen(command, cwd=small.root, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def sound(small: Small) -> None:
    """Nothing in the store is half-made, and nothing of a run is left beside it."""
    store = Store(small.root / ".zoo")
    assert list(store.verify()) == []
    assert [path.name for path in store.actions.glob("*") if path.suffix != ".json" or path.name.startswith(".")] == []
    store.sweep()
    assert list(store.working.glob("*")) == []


def waiting_for(small: Small, process: "subprocess.Popen[str]", action: str) -> None:
    """Until the run is at `action`: the one before it stands in the log."""
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"it ended before {action}: {process.communicate()[1]}")
        if any(action in path.read_text() for path in (small.root / ".zoo/logs").glob("*.log")):
            return
        time.sleep(0.05)
    raise AssertionError(f"it never came to {action}")


def test_a_run_that_is_killed_at_every_step_carries_on_and_leaves_nothing_half_made(small: Small) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "killing", str(small.root)], env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr
    *kills, end = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert end == {"done": 0}, ran.stderr
    assert [(kill["step"], kill["moment"]) for kill in kills[: 2 * ACTIONS]] == [
        (step, moment) for step in range(1, ACTIONS + 1) for moment in ("unpublished", "unrecorded")
    ]
    assert {kill["status"] for kill in kills} == {-signal.SIGKILL} and not any(kill["faults"] for kill in kills)
    # every run knew what the killed ones had finished, so each came one action further
    assert [kill["known"] for kill in kills if kill["moment"] == "unrecorded"] == list(range(ACTIONS))
    sound(small)
    (row,) = [json.loads(path.read_text()) for path in (small.root / "results").rglob("*.json")]
    assert row["accuracy"][0]["images"] == 3 and row["latency"]["type"] == "latency"


def test_kill_minus_nine_from_outside_leaves_a_store_that_the_next_run_uses(small: Small) -> None:
    process = start(small, "build", "tiny")
    waiting_for(small, process, "tiny/export")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = call(small, "build", "tiny", "--verbose")
    assert again.returncode == 0 and re.search(r"known +tiny/export", again.stderr)
    sound(small)


def test_control_c_while_a_model_is_timed_stops_at_once_and_leaves_no_trace(built: Small) -> None:
    before = sorted(path.name for path in (built.root / ".zoo/objects").iterdir())
    process = start(built, "bench", "tiny")
    waiting_for(built, process, "onnxruntime-int8/parity")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    stopped = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "stopp" in said and "Traceback" not in said
    assert time.monotonic() - stopped < 10
    assert list((built.root / ".zoo/working").iterdir()) == [], "a working folder is left"
    assert sorted(path.name for path in (built.root / ".zoo/objects").iterdir()) == before
    sound(built)


def test_two_processes_at_once_both_succeed(small: Small) -> None:
    both = [start(small, "build", "tiny") for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    sound(small)
    known = call(small, "build", "tiny")
    assert known.returncode == 0 and "made" not in known.stderr


@pytest.mark.parametrize(("limit", "step"), [(4_000_000, "fetch"), (400_000, "fetch")])
def test_a_full_disk_is_a_clear_error_and_the_next_run_carries_on(small: Small, limit: int, step: str) -> None:
    full = call(small, "build", "tiny", limit=limit)
    assert full.returncode == 4
    assert re.search(rf"failed +tiny/{step}\n.*(File too large|No space)", full.stderr), full.stderr
    assert "Traceback" not in full.stderr
    sound(small)
    assert not (small.root / ".zoo/objects").exists() or not list((small.root / ".zoo/objects").iterdir())


@pytest.mark.parametrize("step", ["export", "onnxruntime-int8/int8", "onnxruntime-int8/compile"])
def test_a_disk_that_fills_up_at_a_step_is_a_clear_error_and_the_next_run_carries_on(built: Small, step: str) -> None:
    # the step and what comes after it are forgotten, so that it is what writes first
    order = ["fetch", "export", "edit", "onnxruntime-int8/int8", "onnxruntime-int8/compile", "parity", "onnxruntime-int8/parity"]
    for path in (built.root / ".zoo/actions").glob("*.json"):
        done = json.loads(path.read_text())
        if order.index(done["id"].removeprefix("tiny/")) >= order.index(step):
            path.unlink()
            shutil.rmtree(built.root / ".zoo/objects" / done["artifact"], ignore_errors=True)
    full = call(built, "build", "tiny", limit=1_000_000)
    assert full.returncode == 4
    assert re.search(rf"failed +tiny/{step}\n +\S.*\n.*disk full", full.stderr), full.stderr
    assert "Traceback" not in full.stderr
    sound(built)
    assert call(built, "build", "tiny").returncode == 0
    sound(built)


def test_a_disk_on_which_nothing_fits_ends_in_4_and_not_in_a_bug(built: Small) -> None:
    full = call(built, "build", "tiny", limit=0)
    assert full.returncode == 4 and "disk full" in full.stderr and "Traceback" not in full.stderr
    sound(built)


@pytest.mark.parametrize(("name", "status"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130)])
def test_an_evaluation_that_is_stopped_goes_on_with_the_images_that_are_left(built: Small, name: str, status: int) -> None:
    def evaluate(most: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", STOPPING.format(most=most, signal=name), "eval", "tiny"]
        return subprocess.run(command, cwd=built.root, env=environment(), capture_output=True, text=True, timeout=120, check=False)

    def images(said: "subprocess.CompletedProcess[str]") -> set[str]:
        return set(re.findall(r"^image (\d+)$", said.stderr, re.MULTILINE))

    stopped = evaluate(2)
    assert stopped.returncode == status, stopped.stderr
    ended = evaluate(-1)
    assert ended.returncode == 0, ended.stderr
    # what is found already when ^C comes is still written down
    assert len(images(stopped)) >= 2 and not images(stopped) & images(ended)
    assert len(images(stopped) | images(ended)) == 3
    (row,) = [json.loads(path.read_text()) for path in (built.root / "results").rglob("*.json")]
    assert row["accuracy"][0]["images"] == 3
    assert not any((built.root / ".zoo/partial").iterdir())
    whole = call(built, "eval", "tiny", "--again")
    assert whole.returncode == 0
    (again,) = [json.loads(path.read_text()) for path in (built.root / "results").rglob("*.json")]
    assert again["accuracy"][0]["figures"] == row["accuracy"][0]["figures"]
    sound(built)
