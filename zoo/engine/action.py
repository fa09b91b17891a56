"""`Action`: a step applied to the artifacts of other actions, and the two keys that name it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from zoo.context import Context
from zoo.engine.code import Code
from zoo.machine import versions
from zoo.record import canonical
from zoo.steps.step import Step


@dataclass(frozen=True)
class Action:
    """A step and, by role, the actions whose artifacts it reads."""

    id: str
    step: Step
    reads: Mapping[str, str] = field(default_factory=dict)


def key(action: Action, inputs: Mapping[str, str], code: Code, context: Context) -> str:
    """The content key: equal keys give equal artifacts, on this machine.

    `inputs` are the digests of the artifacts that are read, by role.
    """
    step = action.step
    return _sha256(
        {
            "step": step,
            "code": code.digest(step),
            "tools": installed(step.tools()),
            "facts": step.facts(context),
            "inputs": inputs,
        }
    )


def installed(tools: Iterable[str]) -> Mapping[str, str]:
    """`versions` of `tools`, each looked up once a process: what has been imported stays as it is."""
    return {name: version for tool in sorted(set(tools)) for name, version in _version(tool).items()}


@cache
def _version(tool: str) -> Mapping[str, str]:
    return versions([tool])


def definitions(actions: Iterable[Action], lock: Mapping[str, str], code: Code) -> dict[str, str]:
    """For each action the digest of all that recipe, lock and code say about it and about what it reads.

    Unlike the content key it knows nothing of the machine and nothing has to run for it, so anyone can
    recompute it and see whether a published result still belongs to the recipe that stands there.
    """
    known: dict[str, str] = {}
    for action in actions:
        known[action.id] = _sha256(
            {
                "step": action.step,
                "code": code.digest(action.step),
                "lock": action.step.locked(lock),
                "reads": {role: known[source] for role, source in action.reads.items()},
            }
        )
    return known


def needed(actions: Sequence[Action], wanted: str) -> list[Action]:
    """Those of `actions`, each after what it reads, without which the action of the id `wanted` cannot be made."""
    ids = {wanted}
    for action in reversed(actions):
        if action.id in ids:
            ids.update(action.reads.values())
    return [action for action in actions if action.id in ids]


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
