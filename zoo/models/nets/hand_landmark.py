"""MediaPipe's hand landmark network: EfficientNet-B0 without squeeze-and-excitation, BatchNorm folded into the convolutions.

TensorFlow Lite's SAME padding puts the odd row and column at the end, so a convolution of stride 2 on an even size is padded
more at the right and bottom. All sizes on the way, 224 to 7, are even where a convolution halves them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: height and width of the input: landmarks are in its pixels
SIZE = 224
STEM = 24
#: (channels inside, kernel, stride, channels out) of the inverted residual blocks; the last one is not projected
BLOCKS = (
    (24, 3, 1, 16),
    (64, 3, 2, 24),
    (144, 3, 1, 24),
    (144, 5, 2, 40),
    (240, 5, 1, 40),
    (240, 3, 2, 80),
    *((480, 3, 1, 80),) * 2,
    (480, 5, 1, 112),
    *((672, 5, 1, 112),) * 2,
    (672, 5, 2, 192),
    *((1152, 5, 1, 192),) * 3,
    (1152, 3, 1, None),
)


class Same(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding of an even size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups)
        before = (kernel - stride) // 2
        after = kernel - stride - before
        self.missing = (before, after, before, after) if stride == 2 else ()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, self.missing) if self.missing else x)


class InvertedResidual(nn.Module):
    """Expand by a pointwise convolution, filter each channel by itself, project without activation; added to its input where
    both are alike."""

    def __init__(self, inputs: int, hidden: int, kernel: int, stride: int, outputs: int | None) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, hidden, 1) if hidden != inputs else None
        self.depthwise = Same(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1) if outputs is not None else None
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = functional.relu6(self.depthwise(y))
        if self.project is not None:
            y = self.project(y)
        return x + y if self.residual else y


class HandLandmarkNet(nn.Module):
    """(N, 3, 224, 224) -> landmarks (N, 3 K), presence (N, 1), handedness (N, 1), world landmarks (N, 3 K)."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        channels = STEM
        self.stem = Same(3, channels, 3, 2)
        blocks = []
        for hidden, kernel, stride, outputs in BLOCKS:
            blocks.append(InvertedResidual(channels, hidden, kernel, stride, outputs))
            channels = outputs or hidden
        self.blocks = nn.ModuleList(blocks)
        widths = {"landmarks": 3 * keypoints, "presence": 1, "handedness": 1, "world_landmarks": 3 * keypoints}
        self.heads = nn.ModuleDict({name: nn.Linear(channels, width) for name, width in widths.items()})

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if tuple(image.shape[2:]) != (SIZE, SIZE):
            raise ValueError(f"the network takes {SIZE}x{SIZE} alone, not {tuple(image.shape[2:])}")
        x = functional.relu6(self.stem(image))
        for block in self.blocks:
            x = block(x)
        x = x.mean(dim=(2, 3))
        landmarks, presence, handedness, world = (head(x) for head in self.heads.values())
        return landmarks, torch.sigmoid(presence), torch.sigmoid(handedness), world
