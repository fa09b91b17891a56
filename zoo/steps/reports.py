"""What measuring steps write: Parity, Accuracy, Difference, Latency, EndToEnd, and Failure where a cell could not be measured.

Each is one JSON file and holds what its figures depend on. JSON knows neither nan nor infinity, so a
figure that does not exist is None, and a report that is given one of those refuses to be made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from zoo.files import write_bytes
from zoo.machine import Machine
from zoo.measure.claim import Verdict
from zoo.measure.latency import Timing
from zoo.measure.tally import Asked
from zoo.measure.throughput import Throughput
from zoo.record import Choice, Record, canonical, fingerprint

#: An artifact that is a report holds it under this name.
NAME = "report.json"


class Published(Record, frozen=True, kw_only=True):
    """A figure that others state, with what it was measured in."""

    metric: Annotated[str, Meta(description="what was measured: AP, AP50, AR, images/s ...", min_length=1)]
    value: Annotated[float, Meta(description="the figure; AP and its kin from 0 to 1")]
    protocol: Annotated[str, Meta(description="images, boxes, scales, flip: in words", min_length=1)]
    source: Annotated[str, Meta(description="where it stands", min_length=1)]


class Failure(Choice, frozen=True, kw_only=True, tag="failure"):
    """A cell that could not be measured."""

    word: Annotated[str, Meta(min_length=1)]
    """Why, in a word or two, for the cell: "unreachable", "no GPU", "not run"."""
    message: str
    """Why, in a sentence, for below the table; empty where the row's note says it."""
    dataset: str = ""
    """Of an accuracy: the name of the dataset that it would have been measured on."""
    fingerprint: str = ""
    """Of an accuracy: that of its protocol, where it is known."""
    batch: int = 0
    """Of a latency: the images a call that it would have been timed at, where it is known."""
    protocols: tuple[str, ...] = ()
    """Of an end-to-end rate: the names of those whose way of making poses it would have been."""


class Comparison(Record, frozen=True, kw_only=True):
    """One output of `candidate` against the same of `reference`, over all images of a parity check."""

    reference: str
    candidate: str
    output: str
    largest: float
    """The largest absolute difference."""
    scale: float
    """The largest absolute value of the reference."""
    snr_db: float | None
    """10 log10(power of the reference / power of the difference); None where there is no difference."""
    image: str
    """The image with the largest difference."""
    where: tuple[int, ...]
    """Its index in the output."""
    expected: float
    found: float
    measure: Literal["relative", "snr"]
    """What the gate asks for: largest / scale <= limit, or snr_db >= limit."""
    limit: float
    reason: str = ""
    """Why this gate is looser than the default."""

    def __post_init__(self) -> None:
        _refuse_infinite(self, "comparison")

    @property
    def relative(self) -> float:
        """The largest difference in parts of the reference's scale (0 for two outputs of zeros)."""
        if not self.largest:
            return 0.0
        return self.largest / self.scale if self.scale else math.inf

    @property
    def passed(self) -> bool:
        """Whether the difference is within the gate."""
        if self.measure == "relative":
            return self.relative <= self.limit
        return self.snr_db is None or self.snr_db >= self.limit

    @property
    def margin(self) -> float:
        """How far the figure is inside the gate: under 1 is a failure; only good for finding the worst."""
        if self.measure == "relative":
            return self.limit / self.relative if self.relative else math.inf
        # decibels are a logarithm already: 10 dB under the limit is as bad as ten times the limit's noise power
        return math.inf if self.snr_db is None else 10 ** ((self.snr_db - self.limit) / 20)

    @property
    def figure(self) -> str:
        """The gate's figure in words: `1.2e-06 of scale`, `45.1 dB`, `equal`."""
        if not self.largest:
            return "equal"
        if self.measure == "relative" or self.snr_db is None:
            return f"{self.relative:.1e} of scale" if self.scale else "not zero where zero was due"
        return f"{self.snr_db:.1f} dB"

    def __str__(self) -> str:
        sign = "at most" if self.measure == "relative" else "at least"
        limit = f"{self.limit:.0e} of scale" if self.measure == "relative" else f"{self.limit:g} dB"
        place = f"{self.output}{list(self.where)} of {self.image}"
        verdict = "" if self.passed else "FAILED: "
        return (
            f"{verdict}{self.reference} -> {self.candidate}: {self.figure} ({sign} {limit}); "
            f"farthest apart at {place}: {self.found:.6g} for {self.expected:.6g}"
        )


class Parity(Choice, frozen=True, kw_only=True, tag="parity"):
    """How far each stage of the conversion is from the one before it, on real images."""

    format: Literal[1] = 1
    comparisons: Annotated[tuple[Comparison, ...], Meta(min_length=1)]
    """In the order of the stages; the last stage is the target."""
    images: int
    machine: Machine
    computed_in: str
    digests: dict[str, str] = {}
    """Name -> digest of what was read: the artifacts and the images."""

    @property
    def passed(self) -> bool:
        """Whether every comparison is within its gate."""
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def worst(self) -> Comparison:
        """The comparison that says most: the worst of those that failed, or else of the last stage."""
        last = self.comparisons[-1].candidate
        failed = [comparison for comparison in self.comparisons if not comparison.passed]
        candidates = failed or [comparison for comparison in self.comparisons if comparison.candidate == last]
        return min(candidates, key=lambda comparison: comparison.margin)


def of_part(role: str, parity: Parity) -> Parity:
    """A parity of one network of several: outputs and what was read are told by its role, for names are unique in one alone."""
    return msgspec.structs.replace(
        parity,
        comparisons=tuple(msgspec.structs.replace(one, output=f"{role} {one.output}") for one in parity.comparisons),
        digests={f"{role}/{name}": digest for name, digest in parity.digests.items()},
    )


def chain(parities: Sequence[Parity]) -> Parity:
    """The reports of consecutive stretches as one: the comparisons of all, the target of the last."""
    return msgspec.structs.replace(
        parities[-1],
        comparisons=tuple(comparison for parity in parities for comparison in parity.comparisons),
        images=min(parity.images for parity in parities),
        digests={key: value for parity in parities for key, value in parity.digests.items()},
    )


class Data(Record, frozen=True, kw_only=True):
    """A dataset as it was evaluated."""

    name: str
    title: str
    digest: str
    """Of the images and labels that were used."""
    subset: str = "all"
    """Which of its images, in words."""
    demonstration: bool = False
    """Too small to compare models with: its table says so."""


class Shortfall(Record, frozen=True, kw_only=True):
    """A figure under what the recipe promises."""

    metric: str
    value: float
    least: float


class Accuracy(Choice, frozen=True, kw_only=True, tag="accuracy"):
    """What one evaluation found, and everything that its figures mean."""

    format: Literal[1] = 1
    figures: dict[str, float | None]
    """The metric's own; None where the dataset has nothing of that kind (pycocotools says -1)."""
    ranked_by: str = "AP"
    """The one of them by which rows are ranked, the greatest first."""
    title: str
    """The protocol in words."""
    protocol: dict[str, Any]
    """Everything that would make the figures others: subset, boxes, flip, scales, fit, decoder, evaluator."""
    fingerprint: str = ""
    """The sha256 of the protocol; filled in when the report is made, refused when it is another's."""
    dataset: Data
    images: int
    """Evaluated; those that were skipped are not among them."""
    skipped: tuple[str, ...] = ()
    """Bad images that `--skip-bad-images` passed over."""
    detections: int
    end_to_end_images_per_second: float | None = None
    """Reading, preparing, network and decoding, overlapped; None where other work ran beside it."""
    layout: str = ""
    """How the cores were shared out between calls of the network and the rest, and what else was tried."""
    shortfalls: tuple[Shortfall, ...] = ()
    machine: Machine
    computed_in: str
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        _refuse_infinite(self, "accuracy")
        right = fingerprint(self.protocol)
        if self.fingerprint not in ("", right):
            raise ValueError(f"the fingerprint {self.fingerprint[:12]} is not that of the protocol ({right[:12]})")
        # as plain data, so that a report equals itself read back
        msgspec.structs.force_setattr(self, "protocol", msgspec.json.decode(canonical(self.protocol)))
        msgspec.structs.force_setattr(self, "fingerprint", right)


class Difference(Choice, frozen=True, kw_only=True, tag="difference"):
    """How far a protocol's figure is from another's on the same images, by a paired bootstrap over these images."""

    format: Literal[1] = 1
    figure: str = "AP"
    protocol: str
    """The name of the one, and ..."""
    fingerprint: str
    """... its sha256, as its accuracy has it."""
    against: str
    """The name of the other, and ..."""
    against_title: str
    """... what it is in words."""
    dataset: Data
    difference: float
    """The figure of the one less that of the other."""
    standard_error: float
    low: float
    """From here ..."""
    high: float
    """... to there reach 95 % of the differences of images that were drawn with replacement, the same for both."""
    samples: int
    """How often they were drawn."""
    seed: int
    images: int
    """That both were judged on."""
    apart: int = 0
    """That only one was judged on: they are left out."""
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        _refuse_infinite(self, "difference")


class Stage(Record, frozen=True, kw_only=True):
    """A stretch of the way from an image to poses."""

    name: str
    median_ms: float
    """Of a call."""


class Latency(Choice, frozen=True, kw_only=True, tag="latency"):
    """How fast the network alone is: no reading, no preparing, no decoding. Of a pipeline (`stages`): the whole way but reading."""

    format: Literal[1] = 1
    timing: Timing
    stages: tuple[Stage, ...] = ()
    """Of a pipeline, in the order in which they run."""
    asked: tuple[Asked, ...] = ()
    """Of a pipeline: how often its networks were really called, by the shape of what they were shown."""
    throughput: tuple[Throughput, ...] = ()
    """Of a network: with several calls in flight, a setting each; `timing` is one call after another."""
    threads: int
    shapes: dict[str, tuple[int, ...]]
    """Input name -> shape of the bound tensor (the first feed's, where they differ)."""
    load_seconds: float | None = None
    """From the compiled files to a model that can be called, in a process that had opened none before."""
    peak_memory_bytes: int
    """Of a process that did nothing else."""
    size_bytes: int
    """Of the compiled model's files."""
    machine: Machine
    computed_in: str
    versions: dict[str, str] = {}
    digests: dict[str, str] = {}
    beside: tuple[str, ...] = ()
    """The targets with which it took turns, a window of one after a window of another, so that a drift of the machine met all alike."""
    claim: Verdict | None = None
    """The images a second held against the machine's roof, of a pipeline by the calls of its networks; None where nobody counted the
    operations."""
    refused: tuple[str, ...] = ()
    """Settings of the throughput that gave more than there can be, and why; `throughput` is without them."""

    @property
    def settings(self) -> tuple[Throughput, ...]:
        """Every way in which it was called: one call after another, then several at once."""
        one, timing = Throughput, self.timing
        single = one(
            instances=1,
            streams=1,
            threads=self.threads,
            **{name: getattr(timing, name) for name in one.__struct_fields__ if name not in ("instances", "streams", "threads")},
        )
        return (single, *self.throughput)

    def share(self, setting: Throughput) -> float | None:
        """The part of the machine's roof that a setting of this report reaches."""
        return setting.images_per_second / self.claim.ceiling if self.claim else None

    @property
    def best(self) -> Throughput:
        """The setting that gives the most images a second."""
        return max(self.settings, key=lambda setting: setting.images_per_second)


class Tried(Record, frozen=True, kw_only=True):
    """A way to share out the cores, and what a turn in it gave."""

    layout: str
    images_per_second: float
    network_images_per_second: float | None = None


class EndToEnd(Choice, frozen=True, kw_only=True, tag="end_to_end"):
    """How fast files become poses: reading, decoding, preparing, network and decoding of poses, overlapped; and what is left there of
    the speed of the network alone on the very same tensors, with which it took turns."""

    format: Literal[1] = 1
    protocols: tuple[str, ...]
    """The names of those in which images become poses this way."""
    dataset: str
    images_per_second: float
    """The median of the rounds, as are those that follow."""
    network_images_per_second: float | None = None
    """Whole images; None of a pipeline, which has no single network."""
    share: float | None = None
    """The one over the other."""
    layout: str
    """How the cores were shared out between calls of the network and the rest."""
    network_layout: str = ""
    """The same for the network alone."""
    tried: tuple[Tried, ...] = ()
    """What the two were chosen from; nothing where there was no choice."""
    rounds: tuple[float, ...]
    """Images a second of the whole way, in each."""
    network_rounds: tuple[float, ...] = ()
    images: int
    """Different ones, which came over and over."""
    seconds: float
    """Of all rounds."""
    threads: int
    yardsticks_ms: tuple[float, ...]
    """Before the first round, between rounds, after the last."""
    others_cores: float | None
    """Cores' worth of others' work meanwhile; None where the platform does not tell."""
    noise: tuple[str, ...] = ()
    """Why this is not to be trusted, in words; empty on a quiet machine."""
    machine: Machine
    computed_in: str
    versions: dict[str, str] = {}
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        _refuse_infinite(self, "end to end")


Report = Parity | Accuracy | Difference | Latency | EndToEnd | Failure


def write(report: Report, folder: Path) -> None:
    """Write report.json into `folder`, for people to read as well."""
    write_bytes(folder / NAME, pretty(report))


def read(folder: Path) -> Report:
    """The report of an artifact. Raises msgspec.ValidationError where it is not one."""
    report: Report = msgspec.json.decode((folder / NAME).read_bytes(), type=Report)
    return report


def pretty(value: Any) -> bytes:
    """Indented JSON with sorted keys and a newline at the end: the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _refuse_infinite(record: Record, what: str) -> None:
    """JSON would turn nan and infinity into null without a word."""
    for name, value in msgspec.structs.asdict(record).items():
        numbers: Mapping[str, Any] = value if isinstance(value, dict) and name == "figures" else {name: value}
        for key, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{what}: {key} is {number}, which is not a figure")
