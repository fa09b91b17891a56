"""What measuring steps write: Parity, Accuracy, Difference, Ceiling, Latency, EndToEnd, and Failure where a cell could not be measured.

Each is one JSON file and holds what its figures depend on. JSON knows neither nan nor infinity, so a
figure that does not exist is None, and a report that is given one of those refuses to be made.
"""

from pathlib import Path

import msgspec

from zoo.files import write_bytes
from zoo.steps.reports.accuracy import Accuracy, Ceiling, Data, Difference, Shortfall
from zoo.steps.reports.base import Failure, Published, pretty
from zoo.steps.reports.parity import Comparison, Parity, chain, of_part
from zoo.steps.reports.timing import EndToEnd, Latency, Stage, Tried

__all__ = [
    "NAME",
    "Accuracy",
    "Ceiling",
    "Comparison",
    "Data",
    "Difference",
    "EndToEnd",
    "Failure",
    "Latency",
    "Parity",
    "Published",
    "Report",
    "Shortfall",
    "Stage",
    "Tried",
    "chain",
    "of_part",
    "pretty",
    "read",
    "write",
]

#: An artifact that is a report holds it under this name.
NAME = "report.json"


Report = Parity | Accuracy | Difference | Ceiling | Latency | EndToEnd | Failure


def write(report: Report, folder: Path) -> None:
    """Write report.json into `folder`, for people to read as well."""
    write_bytes(folder / NAME, pretty(report))


def read(folder: Path) -> Report:
    """The report of an artifact. Raises msgspec.ValidationError where it is not one."""
    report: Report = msgspec.json.decode((folder / NAME).read_bytes(), type=Report)
    return report
