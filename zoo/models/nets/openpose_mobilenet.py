"""OpenPose on MobileNetV1, as tf-pose built it, BatchNorm folded into the convolutions.

TensorFlow's SAME padding puts the odd row and column at the end, so a 3x3 convolution of stride 2 on an even size is
padded at the right and bottom only. That holds at every level when H and W are multiples of 8; others are refused.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: (channels at full width, stride) of the separable blocks
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), *((512, 1),) * 6)
#: index of the blocks whose features are joined; the first, at stride 4, is pooled
TAPS = (2, 6, 10)


def same(x: Tensor, stride: int, kernel: int) -> Tensor:
    """TensorFlow's SAME padding of an even size."""
    before = (kernel - stride) // 2
    after = kernel - stride - before
    return functional.pad(x, (before, after, before, after)) if after > before else x


class Separable(nn.Module):
    """Depthwise without bias, pointwise with; nothing between them."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.depthwise = nn.Conv2d(inputs, inputs, kernel, stride, padding, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.stride, self.kernel = stride, kernel

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = same(x, self.stride, self.kernel)
        result: Tensor = self.relu(self.pointwise(self.depthwise(x)))
        return result


class Stage(nn.Module):
    """Two branches over the same input; gives (PAFs, heatmaps)."""

    def __init__(self, inputs: int, channels: int, width: int, num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()

        def branch(outputs: int) -> nn.Sequential:
            return nn.Sequential(
                Separable(inputs, channels),
                Separable(channels, channels),
                Separable(channels, channels),
                Separable(channels, width, kernel=1),
                Separable(width, outputs, kernel=1, relu=False),
            )

        self.pafs, self.heatmaps = branch(num_pafs), branch(num_heatmaps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.pafs(x), self.heatmaps(x)


class OpenPoseMobileNetNet(nn.Module):
    """(N, 3, H, W), H and W multiples of 8 -> heatmaps, PAFs (N, C, H / 8, W / 8)."""

    def __init__(self, width: float, head_width: float, stages: int, num_heatmaps: int, num_pafs: int) -> None:
        super().__init__()
        channels = int(32 * width)
        self.stem = nn.Conv2d(3, channels, 3, 2)
        blocks, widths = [], []
        for full, stride in BLOCKS:
            blocks.append(Separable(channels, int(full * width), stride=stride))
            channels = int(full * width)
            widths.append(channels)
        self.blocks = nn.ModuleList(blocks)
        features, narrow = sum(widths[tap] for tap in TAPS), int(128 * head_width)
        joined = features + num_heatmaps + num_pafs
        self.stages = nn.ModuleList(
            Stage(joined if stage else features, narrow, narrow if stage else int(512 * head_width), num_heatmaps, num_pafs)
            for stage in range(stages)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if not torch.jit.is_tracing() and (image.shape[2] % 8 or image.shape[3] % 8):
            raise ValueError(f"height and width must be multiples of 8, not {tuple(image.shape[2:])}")
        x = functional.relu(self.stem(same(image, 2, 3)))
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                taps.append(functional.max_pool2d(x, 2) if index == TAPS[0] else x)
        features = torch.cat(taps, dim=1)
        pafs, heatmaps = self.stages[0](features)
        for stage in list(self.stages)[1:]:
            pafs, heatmaps = stage(torch.cat([pafs, heatmaps, features], dim=1))
        return heatmaps, pafs
