"""OpenPose's body and hand networks. The attributes' names are caffe's layer names, hence the keys of the official checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

#: a layer's name, channels out, kernel
Layer = tuple[str, int, int]

#: VGG19 up to conv4_2, which both networks begin with
VGG: tuple[Layer, ...] = tuple(
    (f"conv{block}_{layer}", channels, 3)
    for block, layers, channels in ((1, 2, 64), (2, 2, 128), (3, 4, 256), (4, 2, 512))
    for layer in range(1, layers + 1)
)
#: after these the grid is halved
POOLED = ("conv1_2", "conv2_2", "conv3_4")


class Chains(nn.Module):
    """Plain convolutions that keep the size, run in chains by name; a ReLU follows each, except where a stage gives its maps."""

    #: an odd last row or column is pooled by itself, and not left out
    ceil = False

    def chain(self, inputs: int, layers: Sequence[Layer]) -> tuple[str, ...]:
        """Enter the layers of one chain; returns their names."""
        for name, channels, kernel in layers:
            self.add_module(name, nn.Conv2d(inputs, channels, kernel, padding=kernel // 2))
            inputs = channels
        return tuple(name for name, _, _ in layers)

    def run(self, names: Sequence[str], x: Tensor, *, last_relu: bool = True) -> Tensor:
        """`x` through a chain."""
        for name in names:
            x = self.get_submodule(name)(x)
            if last_relu or name != names[-1]:
                x = functional.relu(x)
            if name in POOLED:
                x = functional.max_pool2d(x, 2, ceil_mode=self.ceil)
        return x


def refinement(stage: int, maps: int, suffix: str = "") -> list[Layer]:
    """The layers of a stage after the first: five 7x7, two 1x1."""
    shapes = [*((128, 7),) * 5, (128, 1), (maps, 1)]
    return [(f"Mconv{number}_stage{stage}{suffix}", *shape) for number, shape in enumerate(shapes, 1)]


class OpenPoseBodyNet(Chains):
    """(N, 3, H, W) -> PAFs, heatmaps of the last stage, (N, C, h, w). h and w are H / 8 and W / 8, halved three times: rounded up each
    time with `ceil`, or else down. Any H and W of 8 or more."""

    def __init__(self, stages: int, num_heatmaps: int, num_pafs: int, last_relu: bool, ceil: bool) -> None:
        super().__init__()
        self.last_relu, self.ceil = last_relu, ceil
        self.features = self.chain(3, [*VGG, ("conv4_3_CPM", 256, 3), ("conv4_4_CPM", 128, 3)])
        joined = 128 + num_pafs + num_heatmaps
        self.pafs, self.heatmaps = (
            [
                self.chain(128, [*((f"conv5_{number}_CPM_{branch}", 128, 3) for number in (1, 2, 3)),
                                 (f"conv5_4_CPM_{branch}", 512, 1), (f"conv5_5_CPM_{branch}", maps, 1)]),
                *(self.chain(joined, refinement(stage, maps, f"_{branch}")) for stage in range(2, stages + 1)),
            ]
            for branch, maps in (("L1", num_pafs), ("L2", num_heatmaps))
        )  # fmt: skip

    def stages(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(heatmaps, PAFs) of each stage in turn; the last are what `forward` gives."""
        features = x = self.run(self.features, image)
        last = len(self.pafs) - 1
        found: list[tuple[Tensor, Tensor]] = []
        for stage, (to_pafs, to_heatmaps) in enumerate(zip(self.pafs, self.heatmaps, strict=True)):
            pafs = self.run(to_pafs, x, last_relu=False)
            heatmaps = self.run(to_heatmaps, x, last_relu=self.last_relu and stage == last)
            found.append((heatmaps, pafs))
            if stage != last:
                x = torch.cat([pafs, heatmaps, features], dim=1)
        return found

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        heatmaps, pafs = self.stages(image)[-1]
        return pafs, heatmaps


class OpenPoseHandNet(Chains):
    """(N, 3, H, W) -> heatmaps of the last stage, (N, C, H // 8, W // 8). Any H and W of 8 or more."""

    def __init__(self, stages: int, num_heatmaps: int) -> None:
        super().__init__()
        deeper = [("conv4_3", 512, 3), ("conv4_4", 512, 3), ("conv5_1", 512, 3), ("conv5_2", 512, 3), ("conv5_3_CPM", 128, 3)]
        self.features = self.chain(3, [*VGG, *deeper])
        self.heatmaps = [
            self.chain(128, [("conv6_1_CPM", 512, 1), ("conv6_2_CPM", num_heatmaps, 1)]),
            *(self.chain(128 + num_heatmaps, refinement(stage, num_heatmaps)) for stage in range(2, stages + 1)),
        ]

    def forward(self, image: Tensor) -> Tensor:
        features = x = self.run(self.features, image)
        for names in self.heatmaps:
            heatmaps = self.run(names, x, last_relu=False)
            x = torch.cat([heatmaps, features], dim=1)
        return heatmaps
