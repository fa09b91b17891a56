"""`Step`: one kind of work, as a record."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from zoo.context import Context
from zoo.record import Choice


class Step(Choice, frozen=True, kw_only=True):
    """Work whose fields say everything about it that is not an input.

    The fields enter the cache key as they stand, so whatever changes the outcome must be one of them,
    an input (`given`), a tool's version (`tools`) or a fact of the machine (`facts`).
    """

    exclusive: ClassVar[bool] = False
    """Measures time, so runs alone whatever `--jobs` says."""
    measures: ClassVar[bool] = False
    """Finds the figures that `eval` and `bench` are asked for: `--again` runs it once more, and not what has to be there before."""

    precious: ClassVar[bool] = False
    """May have taken days: made anew only by the command that is for it, whatever `--again` says elsewhere, and never collected."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Read the artifacts in `given` (role -> folder), write the new one into the empty folder `out`."""
        raise TypeError(f"{type(self).__name__} does not say how it runs")

    def company(self, reads: Mapping[str, str]) -> Hashable:
        """What a step has in common with others of its kind that had better be run with it, in one pass: those of equal companies
        are. `reads`: role -> the action that it reads. None: it is run by itself."""
        return None

    @classmethod
    def run_together(cls, runs: Sequence[Run]) -> list[Exception | None]:
        """Run the steps of one company; what each raised. A failure of one is no failure of the others."""
        raised: list[Exception | None] = []
        for one in runs:
            try:
                one.step.run(one.given, one.out, one.context)
            except Exception as error:  # told to the engine, which knows what becomes of it
                raised.append(error)
            else:
                raised.append(None)
        return raised

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ()

    def facts(self, context: Context) -> Mapping[str, Any]:
        """What the machine and its files add to the key: the ISA, a dataset's digest, the lock's entries."""
        return {}

    def locked(self, lock: Mapping[str, str]) -> Mapping[str, str]:
        """What the lock pins for this step: file name -> sha256."""
        return {}

    def verdict(self, artifact: Path) -> str:
        """What the finished artifact fails to keep of the recipe's promises; "" if it keeps them all."""
        return ""


@dataclass(frozen=True)
class Run:
    """A step about to be run, with what `Step.run` is given."""

    step: Step
    given: Mapping[str, Path]
    out: Path
    context: Context
