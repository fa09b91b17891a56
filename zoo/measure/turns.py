"""Ways of doing the same work, timed in turns: A B A B ..., so that whatever the machine does meanwhile meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from zoo.context import Context
from zoo.measure.quiet import Neighbours, yardstick

Way = TypeVar("Way")
ROUNDS = 3
"""In which every way has its turn, at least."""


@dataclass
class Turns(Generic[Way]):
    """What came of it."""

    rates: dict[Way, list[float]]
    """What each turn of a way gave, in the order of the rounds."""
    yardsticks: list[float] = field(default_factory=list)
    """Milliseconds: before the first round, between rounds, after the last."""
    others: float | None = None
    """Cores' worth of others' work in the rounds; None where the platform does not tell."""


def in_turns(ways: Mapping[Way, Callable[[], float]], *, seconds: float, most: float, context: Context) -> Turns[Way]:
    """Give each of `ways`, which does its work once and tells a rate, a turn in every round: ROUNDS rounds at least and until
    `seconds` are over; but no other one is begun that would end after `most` seconds."""
    taken = Turns[Way]({way: [] for way in ways}, [yardstick(context.threads)])
    neighbours, rounds = Neighbours(), 0
    started = time.perf_counter()
    while True:
        context.report("taking turns", rounds, max(ROUNDS, rounds + 1), "rounds")
        with neighbours:
            for way, turn in ways.items():
                taken.rates[way].append(turn())
        taken.yardsticks.append(yardstick(context.threads))
        rounds += 1
        spent = time.perf_counter() - started
        if (rounds >= ROUNDS and spent >= seconds) or spent * (rounds + 1) / rounds > most:
            break
    taken.others = neighbours.cores()
    return taken
