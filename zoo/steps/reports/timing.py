"""How fast a network is alone, and how fast files become poses."""

from __future__ import annotations

from typing import Literal

from zoo.machine import Machine
from zoo.measure.claim import Verdict
from zoo.measure.latency import Timing
from zoo.measure.tally import Asked
from zoo.measure.throughput import Throughput
from zoo.record import Choice, Record
from zoo.steps.reports.base import refuse_infinite


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
        refuse_infinite(self, "end to end")
