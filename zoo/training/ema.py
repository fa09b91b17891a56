"""A running mean of the weights, which often does better than the last of them (Polyak and Juditsky, 1992)."""

from __future__ import annotations

import copy
from typing import Any


class Ema:
    """A second network, whose weights and statistics of normalisation are running means of the first one's.

    After step n (from 1 on) min(decay, (1 + n) / (10 + n)) of each mean is left, so that a random beginning is soon forgotten; that rise is
    TensorFlow's `ExponentialMovingAverage` with `num_updates`. Counters are the first network's own."""

    def __init__(self, network: Any, decay: float) -> None:
        import torch

        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        # these stay the networks' own memory: torch's optimisers and `load_state_dict` write into it
        self._means = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._lerp = torch._foreach_lerp_

    def update(self, step: int) -> None:
        """After step `step`, counted from 1."""
        kept, new = zip(*self._means, strict=True)
        self._lerp(kept, new, 1 - min(self.decay, (1 + step) / (10 + step)))
        for mean, value in self._others:
            mean.copy_(value)
