"""How far the maps of all stages are from what they ought to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from zoo.errors import StepFailed

Loss = Literal["sum", "mean"]


def stage_losses(stages: Sequence[tuple[Any, Any]], heatmaps: Any, pafs: Any, mask: Any, loss: Loss) -> Any:
    """Squared errors of each stage's heatmaps and PAFs where the mask counts: a tensor (stages, 2), whose sum is what is minimised.

    `stages`: (N, 19, h, w) and (N, 38, h, w) a stage; `heatmaps` and `pafs` like them, `mask` (N, h, w) in 0..1. All in fp32, whatever
    the network computed in. sum: over cells and channels, half of it, a mean over examples; an error counts as it is times the mask
    (Lightweight OpenPose). mean: over examples, channels and cells, ignored ones included (MindSpore's OpenPose).
    Both are means over examples, so those of equal parts of a batch have that of the batch as their mean.
    Raises StepFailed where the maps have another shape than the targets."""
    import torch

    mask = mask[:, None]

    def one(said: Any, wanted: Any) -> Any:
        if said.shape != wanted.shape:
            raise StepFailed(
                f"maps are of {tuple(said.shape[1:])} and targets of {tuple(wanted.shape[1:])}: channels, rows, columns",
                "`targets.stride` of `train:` is the architecture's, `size` a multiple of it, and there are 19 heatmaps and 38 PAFs",
            )
        error = said.float() - wanted
        return (error * mask).square().sum() / (2 * len(said)) if loss == "sum" else (error.square() * mask).mean()

    return torch.stack([torch.stack([one(said[0], heatmaps), one(said[1], pafs)]) for said in stages])
