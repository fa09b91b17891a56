"""Every failure that a user can meet, and the exit code that it ends in.

| code | meaning |
|---|---|
| 0 | done |
| 1 | findings: `verify`, `fsck` or a staleness check found a difference |
| 2 | RecipeError, wrong usage, or LicenceRefused |
| 3 | MissingTool: something has to be installed |
| 4 | StepFailed: a step could not run; the rest of the plan went on |
| 5 | GateFailed: a measured figure is under what the recipe promises |
| 70 | a bug |
| 130 | ^C |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ZooError(Exception):
    """The root: `message` says what is wrong, `hint` says what to do about it."""

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class Findings(ZooError):
    """A check that looks for faults has found some."""

    exit_code = 1


class UsageError(ZooError):
    """A command line that cannot be followed."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One fault of a document: where it stands, the path of the key, what is wrong."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        return where + (f"{self.path}: {self.message}" if self.path else self.message)


class RecipeError(ZooError):
    """A document that cannot be accepted; carries all its problems at once."""

    exit_code = 2

    def __init__(self, problems: list[Problem], hint: str = "") -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), hint)


class LicenceRefused(ZooError):
    """Weights, or what is made from them, whose terms forbid what is wanted: the message names the chain."""

    exit_code = 2


class MissingTool(ZooError):
    """Something that is optional is needed now: the hint says what to install."""

    exit_code = 3


class StepFailed(ZooError):
    """A step could not do its work."""

    exit_code = 4


class WeightsUnreachable(StepFailed):
    """No source of a recipe's weights could be reached."""


class NotTrained(StepFailed):
    """Weights that `zoo train` makes have not been made."""


class HashMismatch(StepFailed):
    """A file's bytes are not those that were declared or pinned."""


class GateFailed(ZooError):
    """A measured figure is under what the recipe promises."""

    exit_code = 5


class Bug(ZooError):
    """Something that no one foresaw: `message` holds the traceback."""

    exit_code = 70


class Cancelled(ZooError):
    """The user pressed ^C."""

    exit_code = 130
