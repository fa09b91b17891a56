"""Lightweight OpenPose. The attributes' names are the keys of the official checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: (channels out, stride, dilation) of the depthwise-separable blocks of MobileNetV1, up to conv5_5
BACKBONE = ((64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 2, 1), (256, 1, 1), (512, 1, 1), (512, 1, 2), *((512, 1, 1),) * 4)


def conv(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, norm: bool = False, bias: bool = True,
         activation: type[nn.Module] | None = nn.ReLU) -> nn.Sequential:  # fmt: skip
    """A convolution that keeps the size (at stride 1), and what follows it."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=bias)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def separable(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise, each with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def separable_elu(channels: int, bias: bool) -> nn.Sequential:
    """Depthwise 3x3 and pointwise, each with ELU and without BatchNorm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 1, 1, 1, channels, bias=bias), nn.ELU(), nn.Conv2d(channels, channels, 1, bias=bias), nn.ELU()
    )


class Cpm(nn.Module):
    """Backbone features to the `channels` that all stages share."""

    def __init__(self, inputs: int, channels: int, reduce: bool) -> None:
        super().__init__()
        self.align = conv(inputs, channels, 1, activation=nn.ELU if reduce else nn.ReLU)
        self.reduce = conv(channels, channels, 1, activation=nn.ELU) if reduce else nn.Identity()
        self.trunk = nn.Sequential(*(separable_elu(channels, reduce) for _ in range(3)))
        self.conv = conv(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        aligned = self.align(features)
        result: Tensor = self.conv(aligned + self.trunk(self.reduce(aligned)))
        return result


class RefinementBlock(nn.Module):
    """1x1, then two 3x3 (the second dilated) beside an identity."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.initial = conv(inputs, channels, 1)
        self.trunk = nn.Sequential(conv(channels, channels, norm=True), conv(channels, channels, dilation=2, norm=True))

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        result: Tensor = x + self.trunk(x)
        return result


class Stage(nn.Module):
    """A trunk and its two heads; gives (heatmaps, PAFs)."""

    def __init__(self, trunk: nn.Sequential, channels: int, width: int, num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = nn.Sequential(conv(channels, width, 1), conv(width, num_heatmaps, 1, activation=None))
        self.pafs = nn.Sequential(conv(channels, width, 1), conv(width, num_pafs, 1, activation=None))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class LightweightOpenPoseNet(nn.Module):
    """(N, 3, H, W) -> heatmaps and PAFs of each stage in turn, (N, C, ceil(H / 8), ceil(W / 8)). Any H and W."""

    def __init__(self, refinement_stages: int, reduce: bool, channels: int, num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()
        blocks, width = [conv(3, 32, stride=2, norm=True, bias=False)], 32
        for outputs, stride, dilation in BACKBONE:
            blocks.append(separable(width, outputs, stride, dilation))
            width = outputs
        self.model = nn.Sequential(*blocks)
        self.cpm = Cpm(width, channels, reduce)
        trunk = nn.Sequential(*(conv(channels, channels) for _ in range(3)))
        self.initial_stage = Stage(trunk, channels, 512, num_heatmaps, num_pafs)
        joined = channels + num_heatmaps + num_pafs
        self.refinement_stages = nn.ModuleList(
            Stage(
                nn.Sequential(*(RefinementBlock(joined if block == 0 else channels, channels) for block in range(5))),
                channels, channels, num_heatmaps, num_pafs,
            )
            for _ in range(refinement_stages)
        )  # fmt: skip

    def stages(self, data: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(heatmaps, PAFs) of each stage in turn, which are what `forward` gives."""
        features = self.cpm(self.model(data))
        found: list[tuple[Tensor, Tensor]] = [self.initial_stage(features)]
        for stage in self.refinement_stages:
            found.append(stage(torch.cat([features, *found[-1]], dim=1)))
        return found

    def forward(self, data: Tensor) -> tuple[Tensor, ...]:
        return tuple(maps for stage in self.stages(data) for maps in stage)
