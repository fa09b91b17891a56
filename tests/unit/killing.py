"""A `zoo eval` that is killed at every moment that could leave something half-made.

Runs in a process of its own (`python -m killing WORKSPACE`), which forks one for every run, so that what is heavy is
imported once. Prints one JSON line for each killed run: what it was killed at, and what fsck finds afterwards.
"""

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from zoo.cli import run
from zoo.engine import network
from zoo.engine.store import Store
from zoo.steps import end_to_end
from zoo.steps.end_to_end import MeasureEndToEnd

WORDS = ["eval", "tiny"]


def killed(function: Callable[..., Any], nth: int) -> Callable[..., Any]:
    """`function`, but its nth call ends the process as `kill -9` does."""
    calls = 0

    def instead(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return instead


def forked(prepare: Callable[[], None], words: list[str]) -> int:
    """`zoo WORDS` in a process of its own; the exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        prepare()
        os._exit(run(words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(workspace: Path) -> None:
    """Kill the run at every action: with the work done but not published, and published but not recorded."""
    import onnxruntime  # noqa: F401
    import polygraphy.comparator  # noqa: F401
    import torch  # noqa: F401

    # nobody reads this timing, and turns of a few milliseconds show nothing
    vars(end_to_end)["IMPOSSIBLE"] = math.inf
    vars(network)["MeasureEndToEnd"] = partial(MeasureEndToEnd, seconds=0.01)
    os.chdir(workspace)
    store = Store(workspace / ".zoo")
    publish, record = Store.publish, Store.record
    step = 0
    while step < 50:
        step += 1

        def unpublished(nth: int = min(step, 2)) -> None:
            # of all but the first run the first action is the one that was not recorded before
            Store.publish = killed(publish, nth)  # type: ignore[method-assign]

        def unrecorded() -> None:
            Store.record = killed(record, 1)  # type: ignore[method-assign]

        for moment, prepare in (("unpublished", unpublished), ("unrecorded", unrecorded)):
            before = len(store.records())
            status = forked(prepare, WORDS)
            if status >= 0:
                print(json.dumps({"done": status}), flush=True)
                return
            faults = [f"{path.name}: {fault}" for path, fault in store.verify()]
            told = {"step": step, "moment": moment, "status": status, "before": before, "known": len(store.records()), "faults": faults}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
