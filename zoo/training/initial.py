"""The weights that training begins with: what is found elsewhere under other names, and what begins at random."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import StepFailed
from zoo.models.base import Architecture
from zoo.models.state import named
from zoo.training.train import Initial

#: a counter of batches that no weight depends on; files that came by way of other frameworks have none
COUNTER = re.compile(r"(.+\.)?num_batches_tracked")


def initial_state(model: Architecture, initial: Initial, found: Mapping[str, Any]) -> dict[str, Any]:
    """Key of the network -> array or tensor of `found`, which is a file's state dict; what is not in it begins at random.

    Keys are renamed by the first of `initial.names` that matches them whole, and left out where none does; without names they stand as they
    are. Raises StepFailed with the keys where one that is not `fresh` is missing or of another shape, where two become one, and where one
    is not of the network, unless the architecture says that it may be left out."""
    wanted = {key: tuple(value.shape) for key, value in model.module().state_dict().items()}
    state: dict[str, Any] = {}
    twice, unknown = [], []
    ignorable = "" if initial.names else model.ignorable(found)
    for key, value in found.items():
        name = _renamed(key, initial.names)
        if name is None or (ignorable and name not in wanted and re.fullmatch(ignorable, name)):
            continue
        if name not in wanted:
            unknown.append(key if name == key else f"{name} (from {key})")
        elif name in state:
            twice.append(f"{name} (from {key})")
        else:
            state[name] = value
    fresh = {key for key in wanted if any(re.fullmatch(pattern, key) for pattern in initial.fresh)}
    misshapen = {key for key, value in state.items() if tuple(value.shape) != wanted[key]}
    faults = {
        "missing": [key for key in wanted if key not in state and key not in fresh and not COUNTER.fullmatch(key)],
        "of no use to the network": unknown,
        "there twice": twice,
        "of another shape": [f"{key} {tuple(state[key].shape)} instead of {wanted[key]}" for key in wanted if key in misshapen - fresh],
    }
    if any(faults.values()):
        raise StepFailed(
            "the weights to begin with: " + "; ".join(named(kind, keys) for kind, keys in faults.items() if keys),
            "`names` of `initial` says what a key is called here, `fresh` which may begin at random",
        )
    return {key: value for key, value in state.items() if key not in misshapen}


def _renamed(key: str, names: Mapping[str, str]) -> str | None:
    """What a key of the file is called in the network; None: nothing."""
    if not names:
        return key
    for pattern, replacement in names.items():
        if match := re.fullmatch(pattern, key):
            try:
                return match.expand(replacement)
            except re.error as error:
                raise StepFailed(f"names of `initial`: {replacement!r} cannot be made of {pattern!r}: {error}") from error
    return None
