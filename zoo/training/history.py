"""What is remembered of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.record import Record


class Epoch(Record, frozen=True, kw_only=True):
    """One epoch, or the part of it after which training was stopped."""

    epoch: int
    """From 1 on."""
    step: int
    """Steps since the beginning of training, at its end."""
    loss: float
    """Mean over its steps, all stages together."""
    stages: tuple[tuple[float, float], ...]
    """Likewise of each stage: heatmaps, PAFs."""
    rate: float
    """The learning rate of its last step, without multipliers."""
    images_per_second: float
    waiting: float
    """What part of the time was spent waiting for examples."""
    validation: dict[str, float] = {}


@dataclass
class Running:
    """What has been added up of the epoch that is under way."""

    steps: int = 0
    losses: list[list[float]] = field(default_factory=list)
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    rate: float = 0.0

    def add(self, losses: Sequence[Sequence[float]], *, images: int, seconds: float, waited: float, rate: float) -> None:
        """One step more; `losses`: heatmaps, PAFs of each stage."""
        before = self.losses or [[0.0, 0.0]] * len(losses)
        self.losses = [[a + b for a, b in zip(*both, strict=True)] for both in zip(before, losses, strict=True)]
        self.steps += 1
        self.images += images
        self.seconds += seconds
        self.waited += waited
        self.rate = rate

    @property
    def loss(self) -> float:
        """Its mean."""
        return sum(map(sum, self.losses)) / max(1, self.steps)

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else 0.0

    def told(self, epoch: int, step: int, validation: dict[str, float]) -> Epoch:
        """What is remembered of it."""
        return Epoch(
            epoch=epoch,
            step=step,
            loss=self.loss,
            stages=tuple((heatmaps / self.steps, pafs / self.steps) for heatmaps, pafs in self.losses),
            rate=self.rate,
            images_per_second=self.speed,
            waiting=self.waited / self.seconds if self.seconds else 0.0,
            validation=validation,
        )
