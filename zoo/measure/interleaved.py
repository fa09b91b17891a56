"""What is compared is timed in turns: each in a process of its own, all of them warmed up, a window of one after a window of another.

A machine drifts: it warms up and its clock falls, a neighbour comes and stays. What is timed one after the other meets another machine
each time; what takes turns meets the same. Only one process runs at a time, the others wait (`Context.turn`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from zoo.context import Context
from zoo.errors import Cancelled
from zoo.machine import memory
from zoo.measure.isolated import Child, Isolated

T = TypeVar("T")

TOGETHER = 8
"""Processes that are open at once, at most."""
ROOM = 0.5
"""The part of the memory that they may have together."""


@dataclass(frozen=True)
class Task(Generic[T]):
    """A function that takes turns with others."""

    function: Callable[..., T]
    """It stands at the top of an importable module."""
    prepare: Callable[[], Sequence[Any]]
    """Makes its arguments, when its process is about to begin: so those of all need not be in memory at once."""
    context: Context


@dataclass(frozen=True)
class Taken(Generic[T]):
    """What came of it."""

    outcome: Isolated[T] | Exception
    """What it gave back, or raised: that ends no other one."""
    beside: tuple[int, ...] = ()
    """The places, among all tasks, of those with which it took turns."""


def interleave(tasks: Sequence[Task[T]]) -> list[Taken[T]]:
    """Run `tasks`, as many at once as there is room for, and in companies of about one size where there are more.

    Each is begun and runs until it asks for its first turn, then the next; once all wait, each has one turn after the other until it
    is done. Raises Cancelled where a context was cancelled; then all processes are ended."""
    found: dict[int, Taken[T]] = {}
    left = deque(range(len(tasks)))
    while left:
        most = math.ceil(len(left) / math.ceil(len(left) / TOGETHER))
        with ExitStack() as stack:
            company: dict[int, Child[T]] = {}
            while left and len(company) < most and _room(company.values()):
                last = left.popleft()
                try:
                    child = stack.enter_context(Child(tasks[last].function, tasks[last].prepare(), tasks[last].context, turns=True))
                except Cancelled:
                    raise
                except Exception as error:  # of this one alone
                    found[last] = Taken(error)
                    continue
                outcome = _outcome(child)
                if outcome is None:
                    company[last] = child
                else:
                    found[last] = Taken(outcome)
            waiting = deque(company)
            while waiting:
                one = waiting.popleft()
                company[one].go_on(others=last != one)
                last = one
                outcome = _outcome(company[one])
                if outcome is None:
                    waiting.append(one)
                else:
                    found[one] = Taken(outcome, tuple(other for other in company if other != one))
    return [found[place] for place in range(len(tasks))]


def _outcome(child: Child[T]) -> Isolated[T] | Exception | None:
    """What a child gave back or raised, its process ended; None where it waits for its next turn."""
    try:
        found = child.listen()
    except Cancelled:
        raise
    except Exception as error:  # whatever it is, it is told by the one that it happened to
        child.close()
        return error
    if found:
        child.close()
    return found


def _room(children: Iterable[Child[Any]]) -> bool:
    """Whether there is memory for one more that is as large as the largest of `children`."""
    sizes, limit = [child.peak_memory for child in children], memory()
    return not sizes or limit is None or sum(sizes) + max(sizes) <= ROOM * limit
