"""The processes of a training on this machine, which begin and end together."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from zoo.context import Context
from zoo.errors import ZooError
from zoo.machine import default_threads
from zoo.measure.isolated import Child

#: Seconds that the first process has for its checkpoint when the run is stopped
GRACE = 20.0
#: Seconds. When one dies, another may be the first to tell of its broken connection
PATIENCE = 10.0


def together(function: Callable[..., None], job: Any, count: int, context: Context) -> None:
    """`function(job, context=...)` in `count` processes, which know of one another by the variables that torchrun sets.

    What one raises is raised here, StepFailed where one dies, Cancelled where the context is cancelled; the others are ended then.
    All of them end with this process, however it goes."""
    variables = _variables(count)
    with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
        # the others are ended when the first is done: asked to stop as well, they would break what it is about with them
        contexts = [context, *[replace(context, cancelled=threading.Event())] * (count - 1)]
        children = [
            stack.enter_context(Child(function, (job,), mine, environment=one, grace=GRACE))
            for mine, one in zip(contexts, variables, strict=True)
        ]
        listening = [pool.submit(child.listen) for child in children]
        wait(listening, return_when=FIRST_EXCEPTION)
        if raised := _raised(listening):
            if not any(isinstance(error, ZooError) for error in raised):
                wait(listening, timeout=PATIENCE)
                raised = _raised(listening)
            raise next((error for error in raised if isinstance(error, ZooError)), raised[0])


def _raised(listening: list[Future[Any]]) -> list[BaseException]:
    return [error for future in listening if future.done() and (error := future.exception())]


def _variables(count: int) -> list[dict[str, str]]:
    """What each process finds in its environment."""
    if count == 1:
        return [{}]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = {
        "WORLD_SIZE": f"{count}",
        "LOCAL_WORLD_SIZE": f"{count}",
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": f"{port}",
    }
    if "OMP_NUM_THREADS" not in os.environ:
        shared["OMP_NUM_THREADS"] = f"{max(1, default_threads() // count)}"  # each would take all cores
    return [{**shared, "RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} for rank in range(count)]
