"""`Step`: one kind of work, as a record."""

from __future__ import annotations

from collections.abc import Mapping
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

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Read the artifacts in `given` (role -> folder), write the new one into the empty folder `out`."""
        raise TypeError(f"{type(self).__name__} does not say how it runs")

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
