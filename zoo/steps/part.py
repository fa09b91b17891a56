"""`Part`: how one network is used in a protocol."""

from __future__ import annotations

from pathlib import Path

from zoo.backends import Backend
from zoo.context import Context
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import Decoder
from zoo.pose.preprocess import Fit, Order
from zoo.record import Record
from zoo.steps.bundle import preprocess


class Part(Record, frozen=True, kw_only=True):
    """One network: what runs it, how its images are brought to size, how its outputs are decoded."""

    backend: Backend
    fit: Fit
    order: Order
    scales: tuple[float, ...] = (1.0,)
    decode: Decoder

    def open(self, folder: Path, context: Context, *, name: str = "", batch: int = 1) -> Estimator:
        """Open the compiled model in `folder`; mean, deviation and colour are those that travel with it."""
        ready = preprocess(folder).with_fit(self.fit, self.order)
        return Estimator(self.backend.open(folder, threads=context.threads), ready, self.decode, self.scales, batch, name)
