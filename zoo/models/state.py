"""Strict loading of a state dict: what is missing, unexpected or of another shape is named, nothing is left at random."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import StepFailed
from zoo.optional import require

SHOWN = 10


def load_state(module: Any, state: Mapping[str, Any], ignorable: str = "") -> tuple[str, ...]:
    """Copy `state` (key -> array or tensor) into `module`; returns the keys that were left out.

    `ignorable` is a regular expression; only keys that it matches whole may be left out. Raises StepFailed with the first ten
    keys of each kind of disagreement, before anything is copied.
    """
    torch = require("torch")
    wanted = module.state_dict()
    tensors = {key: torch.as_tensor(value) for key, value in state.items()}
    extra = tensors.keys() - wanted.keys()
    ignored = {key for key in extra if ignorable and re.fullmatch(ignorable, key)}
    faults = {
        "missing": [key for key in wanted if key not in tensors],
        "unexpected": [key for key in tensors if key in extra - ignored],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)} instead of {tuple(wanted[key].shape)}"
            for key in wanted
            if key in tensors and tensors[key].shape != wanted[key].shape
        ],
    }
    if any(faults.values()):
        raise StepFailed(
            "; ".join(named(kind, keys) for kind, keys in faults.items() if keys),
            "are these weights of this architecture, with these parameters?",
        )
    module.load_state_dict({key: tensors[key] for key in wanted})
    return tuple(key for key in tensors if key in ignored)


def named(kind: str, keys: list[str]) -> str:
    """How many keys are `kind`, and the first ten of them."""
    rest = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{len(keys)} keys {kind}: {', '.join(keys[:SHOWN])}{rest}"
