"""How far what was found in one protocol is from what was found in another, on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from zoo.context import Context
from zoo.errors import StepFailed
from zoo.metrics.bootstrap import paired
from zoo.metrics.matching import NAME, Matches
from zoo.steps import reports
from zoo.steps.step import Step


class Compare(Step, frozen=True, kw_only=True, tag="difference"):
    """Hold one accuracy against another, by a paired bootstrap over the images that both were judged on."""

    samples: int = 1000
    """How often images are drawn."""
    seed: int = 0

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("numpy",)

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `one` and `other`, artifacts of `MeasureAccuracy`; writes report.json.

        Where one of them holds why there is no accuracy, that is the report. Raises StepFailed where they have no image in common."""
        one, other = (reports.read(given[role]) for role in ("one", "other"))
        for found in (one, other):
            if isinstance(found, reports.Failure):
                reports.write(found, out)
                return
        if not isinstance(one, reports.Accuracy) or not isinstance(other, reports.Accuracy):
            raise StepFailed("only accuracies are held against each other")
        first, second = (Matches.load(given[role] / NAME) for role in ("one", "other"))
        apart = paired(first, second, self.seed, self.samples)
        report = reports.Difference(
            **msgspec.structs.asdict(apart),
            protocol=one.protocol["name"],
            fingerprint=one.fingerprint,
            against=other.protocol["name"],
            against_title=other.title,
            dataset=one.dataset,
            apart=len(first.ids) + len(second.ids) - 2 * apart.images,
            digests={role: given[role].name for role in ("one", "other")},
        )
        reports.write(report, out)
