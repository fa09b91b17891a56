"""What a pipeline's networks were asked is counted, and one that answers always the same is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.errors import StepFailed
from zoo.measure.tally import Tally


class Network(Runner):
    """Doubles its input, or says always the same."""

    inputs = {"data": TensorSpec((None, 3), "float32")}
    outputs = {"out": TensorSpec((None, 3), "float32")}
    computed_in = "fp32"

    def __init__(self, stuck: bool = False) -> None:
        self.stuck = stuck

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"out": feeds["data"] * (0 if self.stuck else 2)}


def feed(value: float, batch: int = 1) -> dict[str, NDArray[Any]]:
    return {"data": np.full((batch, 3), value, np.float32)}


def test_calls_are_counted_by_shape_from_when_it_began() -> None:
    tally = Tally(Network())
    tally(feed(1))
    tally.begin()
    for value, batch in ((1, 1), (2, 1), (3, 4), (4, 1)):
        assert (tally(feed(value, batch))["out"] == 2 * value).all()
    assert [(one.role, one.shape, one.calls, one.computed_in) for one in tally.asked("body", 2)] == [
        ("body", (1, 3), 1.5, "fp32"),
        ("body", (4, 3), 0.5, "fp32"),
    ]


def test_answers_that_never_change_are_refused() -> None:
    stuck = Tally(Network(stuck=True))
    stuck(feed(1))
    stuck.begin()  # of one image nobody can tell
    stuck(feed(1))
    stuck.begin()
    stuck(feed(2, batch=2))
    stuck.begin()  # nor of outputs of other shapes
    stuck(feed(2))
    with pytest.raises(StepFailed, match="outputs do not change with the input"):
        stuck.begin()


def test_answers_that_changed_once_are_believed() -> None:
    tally = Tally(Network())
    for value in (1, 1, 2):
        tally(feed(value))
    tally.begin()


def test_a_call_that_the_network_does_not_take_is_told_as_the_network_tells_it() -> None:
    with pytest.raises(StepFailed, match="the input 'data' is"):
        Tally(Network())({"data": np.zeros((1, 4), np.float32)})
