"""`Result`: everything that is known of one recipe on one target of one machine; one committed JSON file each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from zoo.errors import ZooError
from zoo.machine import Machine
from zoo.record import Record
from zoo.steps.reports import Accuracy, Ceiling, Difference, EndToEnd, Failure, Latency, Parity, Published, pretty

FORMAT = 1


class Weights(Record, frozen=True, kw_only=True):
    """The weights that a row was measured with."""

    title: str
    """Where they come from, in words."""
    licence: str
    substitute: str = ""
    """What stands in for the official weights ("dequantised from Intel's INT8"); empty: these are they."""
    rehearsal: bool = False
    """Seeded: everything may be measured with them but accuracy."""
    sha256s: dict[str, str] = {}


class Result(Record, frozen=True, kw_only=True):
    """One cell of recipes x targets x machines: what was asked, what was done, what was found."""

    format: Literal[1] = 1
    machine: str
    """The machine's name in zoo.yaml: its folder."""
    description: Machine
    recipe: str
    title: str
    task: str
    weights: Weights
    target: str
    backend: str
    device: str
    precision: str
    """What was asked for; `computed_in` is what the runtime did."""
    computed_in: str = ""
    note: str = ""
    """What must be said with every figure: "built with TensorRT-RTX, not run", "reduced range: no VNNI"."""
    parity: Parity | Failure | None = None
    accuracy: tuple[Accuracy | Failure, ...] = ()
    differences: tuple[Difference, ...] = ()
    """Between accuracies of its own protocols."""
    ceilings: tuple[Ceiling, ...] = ()
    """Of a recipe that says how it is trained: what perfect targets would give in its protocols."""
    latency: Latency | Failure | None = None
    batches: tuple[Latency | Failure, ...] = ()
    """The same at further batches."""
    end_to_end: tuple[EndToEnd | Failure, ...] = ()
    """The whole way from files to poses, one for each way in which the protocols make poses of images."""
    size_bytes: int | None = None
    """Of the compiled model's files."""
    key: str
    """The key of the action that made it: how the store finds it again."""
    definition: str
    """A sha256 of recipe, lock and code that can be computed again without running anything."""
    published: tuple[Published, ...] = ()
    versions: dict[str, str] = {}

    @property
    def name(self) -> str:
        """`recipe/target`: the key of its definition."""
        return f"{self.recipe}/{self.target}"


def path_of(result: Result) -> Path:
    """Where it lies inside the folder of results."""
    return Path(result.machine, result.recipe, f"{result.target}.json")


def encode(result: Result) -> bytes:
    """The bytes of its file: indented, keys sorted, the same for the same result."""
    return pretty(result)


def decode(data: bytes, name: str) -> Result:
    """The result in `data`; `name` is the file, for the error (ZooError) that says what is wrong and where."""
    hint = "measure the row again (zoo eval), or restore the file from version control"
    try:
        plain = msgspec.json.decode(data)
        version = plain.get("format") if isinstance(plain, dict) else None
        if version != FORMAT:
            raise ZooError(f"{name}: this is no result of format {FORMAT} (it says {version!r})", hint)
        return msgspec.convert(plain, type=Result)
    except msgspec.DecodeError as error:  # ValidationError is one, too
        raise ZooError(f"{name}: {error}", hint) from error


def load(folder: Path) -> list[Result]:
    """All results below `folder` (`<machine>/<recipe>/<target>.json`), in the order of their paths; [] without the folder.

    Raises ZooError naming every file that is not a result or does not lie where its content says."""
    found, faults = [], []
    for path in sorted(folder.glob("*/*/*.json")):
        place = path.relative_to(folder)
        try:
            result = decode(path.read_bytes(), place.as_posix())
        except ZooError as error:
            faults.append(error.message)
            continue
        if path_of(result) != place:
            faults.append(f"{place.as_posix()}: its content belongs in {path_of(result).as_posix()}")
        found.append(result)
    if faults:
        raise ZooError("\n".join(faults), "measure these rows again (zoo eval), or restore the files from version control")
    return found
