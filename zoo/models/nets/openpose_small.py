"""A small OpenPose: plain 3x3 convolutions with BatchNorm, which train from nothing and run fast everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (at stride 1), BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Block(nn.Module):
    """Two convolutions beside an identity (He et al., "Deep Residual Learning for Image Recognition", 2016)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = conv(channels, channels, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Stage(nn.Module):
    """Residual blocks and two heads; gives (heatmaps, PAFs)."""

    def __init__(self, inputs: int, channels: int, dilations: Sequence[int], num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(conv(inputs, channels, kernel=1), *(Block(channels, dilation) for dilation in dilations))
        self.heatmaps = nn.Sequential(conv(channels, channels, kernel=1), nn.Conv2d(channels, num_heatmaps, 1))
        self.pafs = nn.Sequential(conv(channels, channels, kernel=1), nn.Conv2d(channels, num_pafs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class OpenPoseSmallNet(nn.Module):
    """(N, 3, H, W) -> PAFs, heatmaps of the last stage, (N, C, ceil(H / 8), ceil(W / 8)). Any H and W."""

    def __init__(self, width: int, stages: int, dilations: Sequence[int], num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()
        channels = 4 * width
        self.features = nn.Sequential(
            conv(3, width, stride=2),
            conv(width, 2 * width, stride=2),
            Block(2 * width, 1),
            conv(2 * width, channels, stride=2),
            Block(channels, 1),
        )
        joined = channels + num_heatmaps + num_pafs
        self.refined = nn.ModuleList(
            Stage(joined if stage else channels, channels, dilations, num_heatmaps, num_pafs) for stage in range(stages)
        )

    def stages(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(heatmaps, PAFs) of each stage in turn."""
        features = x = self.features(image)
        found: list[tuple[Tensor, Tensor]] = []
        for stage in self.refined:
            found.append(stage(x))
            x = torch.cat([features, *found[-1]], dim=1)
        return found

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        heatmaps, pafs = self.stages(image)[-1]
        return pafs, heatmaps
