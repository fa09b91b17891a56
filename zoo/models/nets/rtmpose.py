"""RTMPose. The attributes' names are the keys of the official checkpoints.

CSPNeXt: Lyu et al., "RTMDet: An Empirical Study of Designing Real-Time Object Detectors", 2022. The gated attention unit and its
ScaleNorm: Hua et al., "Transformer Quality in Linear Time", 2022.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

#: (channels out, blocks) of the stages after the stem, at full width and depth; each halves the size
STAGES = ((128, 3), (256, 6), (512, 6), (1024, 3))
STRIDE = 32
#: of the gated attention unit: of its tokens, of its gate and values, of its queries and keys
HIDDEN, EXPANDED, SHARED = 256, 512, 128
#: bins for each pixel of the input
SPLIT = 2


def conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (at stride 1), BatchNorm and SiLU."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            bn=nn.BatchNorm2d(outputs),
            activate=nn.SiLU(),
        )
    )


def separable(channels: int, kernel: int) -> nn.Sequential:
    """Depthwise and pointwise, each with BatchNorm and SiLU."""
    return nn.Sequential(
        OrderedDict(depthwise_conv=conv(channels, channels, kernel, groups=channels), pointwise_conv=conv(channels, channels, 1))
    )


class Block(nn.Module):
    """A 3x3 convolution and a separable 5x5 one, added to their input where `residual`."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 3)
        self.conv2 = separable(channels, 5)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.residual else y


class ChannelAttention(nn.Module):
    """Each channel weighed by a hard sigmoid of what all of them hold on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardsigmoid(self.fc(functional.adaptive_avg_pool2d(x, 1)))


class CspLayer(nn.Module):
    """Half of the channels through the blocks, half past them, weighed and joined (cross stage partial)."""

    def __init__(self, channels: int, blocks: int, residual: bool) -> None:
        super().__init__()
        half = channels // 2
        self.main_conv = conv(channels, half, 1)
        self.short_conv = conv(channels, half, 1)
        self.final_conv = conv(2 * half, channels, 1)
        self.blocks = nn.Sequential(*(Block(half, residual) for _ in range(blocks)))
        self.attention = ChannelAttention(2 * half)

    def forward(self, x: Tensor) -> Tensor:
        return self.final_conv(self.attention(torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), 1)))


class SpatialPyramidPooling(nn.Module):
    """Maxima over windows of 5, 9 and 13 cells, beside what they are taken from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv(channels, half, 1)
        self.conv2 = conv(4 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(torch.cat((x, *(functional.max_pool2d(x, window, 1, window // 2) for window in (5, 9, 13))), 1))


class CspNext(nn.Module):
    """(N, 3, H, W) -> (N, channels, H / 32, W / 32): the last stage."""

    def __init__(self, depth: float, width: float) -> None:
        super().__init__()
        channels = int(64 * width)
        self.stem = nn.Sequential(
            conv(3, channels // 2, 3, stride=2), conv(channels // 2, channels // 2, 3), conv(channels // 2, channels, 3)
        )
        for index, (full, count) in enumerate(STAGES, 1):
            inputs, channels = channels, int(full * width)
            last = index == len(STAGES)
            pooling = [SpatialPyramidPooling(channels)] if last else []
            layer = CspLayer(channels, max(round(count * depth), 1), residual=not last)
            self.add_module(f"stage{index}", nn.Sequential(conv(inputs, channels, 3, stride=2), *pooling, layer))
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = image
        for part in self.children():
            x = part(x)
        return x


class ScaleNorm(nn.Module):
    """Each token divided by the root of its mean square, times one learned factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = channels**-0.5
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        # scaled before and not after the norm: in float16 the sum of squares would end at a root mean square of 16
        norm = torch.linalg.norm(x * self.scale, dim=2, keepdim=True)
        return x / norm.clamp(min=1e-5) * self.g


class Scale(nn.Module):
    """Each channel times a learned factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class GatedAttention(nn.Module):
    """Attention among the keypoints' tokens by squared ReLU instead of softmax, gated: (N, K, 256) -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.ln = ScaleNorm(HIDDEN)
        self.uv = nn.Linear(HIDDEN, 2 * EXPANDED + SHARED, bias=False)
        self.gamma = nn.Parameter(torch.rand(2, SHARED))
        self.beta = nn.Parameter(torch.rand(2, SHARED))
        self.o = nn.Linear(EXPANDED, HIDDEN, bias=False)
        self.res_scale = Scale(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        gate, values, shared = functional.silu(self.uv(self.ln(x))).split((EXPANDED, EXPANDED, SHARED), dim=2)
        queries, keys = (shared * self.gamma[index] + self.beta[index] for index in range(2))
        weights = functional.relu(queries @ keys.transpose(1, 2) / SHARED**0.5).square()
        return self.res_scale(x) + self.o(gate * (weights @ values))


class RtmccHead(nn.Module):
    """A map for each keypoint, its cells as a token, attention among the tokens, and two classifications of each."""

    def __init__(self, inputs: int, size: tuple[int, int], keypoints: int) -> None:
        super().__init__()
        height, width = size
        cells = (height // STRIDE) * (width // STRIDE)
        self.tokens = keypoints, cells
        self.final_layer = nn.Conv2d(inputs, keypoints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = GatedAttention()
        self.cls_x = nn.Linear(HIDDEN, SPLIT * width, bias=False)
        self.cls_y = nn.Linear(HIDDEN, SPLIT * height, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        # by numbers, and not `flatten`: the exported graph then holds no arithmetic of shapes
        tokens = self.gau(self.mlp(self.final_layer(features).reshape(-1, *self.tokens)))
        return self.cls_x(tokens), self.cls_y(tokens)


class RtmPoseNet(nn.Module):
    """(N, 3, H, W) -> (N, K, 2 W) for x, (N, K, 2 H) for y; H and W are those of `size`."""

    def __init__(self, depth: float, width: float, size: tuple[int, int], keypoints: int) -> None:
        super().__init__()
        self.size = size
        self.backbone = CspNext(depth, width)
        self.head = RtmccHead(self.backbone.channels, size, keypoints)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(image.shape[2:]) != self.size:
            height, width = self.size
            raise ValueError(f"the network takes {height}x{width} alone, not {tuple(image.shape[2:])}")
        outputs: tuple[Tensor, Tensor] = self.head(self.backbone(image))
        return outputs
