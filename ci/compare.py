"""Hold new results against committed ones: `python ci/compare.py NEW OLD`, two folders of results.

Each accuracy of NEW must be one that some machine of OLD has for the same recipe, target and protocol, within what
another processor may change: 0.005 of AP, 0.03 for int8 (which rounds otherwise without VNNI).
"""

import sys
from pathlib import Path

from zoo.board.results import Result, load
from zoo.steps.reports import Accuracy, Failure

TOLERANCE = 0.005
TOLERANCE_INT8 = 0.03


def compare(new: list[Result], old: list[Result]) -> list[str]:
    """A line for each accuracy of `new`; those that are off begin with FAILED."""
    lines = []
    for result in new:
        for report in result.accuracy:
            name = f"{result.name} on {report.dataset if isinstance(report, Failure) else report.dataset.name}"
            if isinstance(report, Failure):
                lines.append(f"FAILED {name}: {report.word}: {report.message}")
                continue
            value = report.figures["AP"]
            known = [figure for other in old if other.name == result.name for figure in published(other, report)]
            tolerance = TOLERANCE_INT8 if result.precision == "int8" else TOLERANCE
            if value is None or not known:
                lines.append(f"FAILED {name}: " + ("no AP" if value is None else "no committed result to compare with"))
                continue
            nearest = min(known, key=lambda figure: abs(figure - value))
            off = abs(nearest - value) > tolerance
            lines.append(f"{'FAILED ' if off else ''}{name}: AP {value:.4f}, committed {nearest:.4f}, tolerance {tolerance:g}")
    return lines or ["FAILED: nothing was measured"]


def published(result: Result, like: Accuracy) -> list[float]:
    """The AP that `result` has in the protocol and on the dataset of `like`."""
    same = [one for one in result.accuracy if isinstance(one, Accuracy) and one.fingerprint == like.fingerprint]
    return [figure for one in same if one.dataset.digest == like.dataset.digest and (figure := one.figures["AP"]) is not None]


if __name__ == "__main__":
    found = compare(load(Path(sys.argv[1])), load(Path(sys.argv[2])))
    print("\n".join(found))
    sys.exit(any(line.startswith("FAILED") for line in found))
