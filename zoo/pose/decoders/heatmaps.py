"""Keypoints from a heatmap each, one person a crop: SimplePose, HRNet and others that look at a person by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.crops import Found, PersonSkeleton, highest, input_size, people, placed
from zoo.pose.decoders.outputs import take
from zoo.pose.decoders.refine import dark, quarter
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.record import Choice


class HeatmapsDecoder(Choice, frozen=True, kw_only=True, tag="heatmap_peaks"):
    """One person a crop: each keypoint lies where its map is greatest, the first of equals, and a little beside (`refine`).

    The score is the value there; where it is not positive the keypoint is absent. Cells become pixels of the input in the
    proportion of the sizes, cell 0 at pixel 0. Source: Xiao et al., "Simple Baselines", 2018; GluonCV and mmpose's MSRA heatmaps.
    """

    heatmaps: Annotated[str, Meta(description="output (N, K, h, w): a map for each keypoint; what follows is not read")]
    refine: Annotated[
        Literal["none", "quarter", "dark"],
        Meta(description="quarter: a quarter cell towards the higher neighbour; dark: to the maximum of the gaussian around it"),
    ] = "quarter"
    kernel: Annotated[int, Meta(description="of the gaussian that smooths maps for `dark`, in cells; odd", ge=3, le=51)] = 11
    shift: Annotated[bool, Meta(description="maps of the mirrored crop are moved one cell to the right in a flip test")] = False
    skeleton: Annotated[PersonSkeleton, Meta(description="what the K keypoints are called")] = "coco_17"

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: {self.kernel} is even, a kernel has a middle")

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        return {"heatmaps": len(SKELETONS[self.skeleton].keypoints)}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Outputs of one crop, (1, K, h, w) -> its person in image pixels, or none where no keypoint was found.

        The person's score is the mean of the found keypoints'. Raises StepFailed as `decode_crops` does.
        """
        return people(self.decode_crops(outputs, [affine]))

    def decode_crops(self, outputs: Mapping[str, NDArray[Any]], affines: Sequence[Affine]) -> Found:
        """Outputs (N, K, h, w) of N >= 1 crops and their affines -> keypoints (N, K, 2) in image pixels, nan where absent, and
        scores (N, K), 0 where absent.

        Raises StepFailed when the output is missing or of another shape, and when the crops are not of one size.
        """
        size = input_size(affines)
        maps = take(outputs, self.heatmaps, len(affines), len(SKELETONS[self.skeleton].keypoints), "height", "width")
        height, width = maps.shape[2:]
        planes = maps.reshape(-1, height, width)
        at, scores = highest(planes.reshape(-1, height * width))
        cells = np.stack([at % width, at // width], axis=1)
        if self.refine == "dark":
            points = dark(planes, cells, self.kernel)
        else:
            points = quarter(planes, cells) if self.refine == "quarter" else cells.astype(np.float64)
        points *= np.array(size) / (width, height)
        shape = len(affines), -1
        return placed(points.reshape(*shape, 2), scores.reshape(shape), affines)

    def unmirrored(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs (N, K, h, w) of mirrored crops -> what they say of the crops: left and right joints swapped, x reversed.

        With `shift` all is one cell farther right, the first column staying: a network whose stride is s sees the mirrored crop
        s - 1 pixels displaced. Raises StepFailed when the output is missing or of another shape.
        """
        swaps = SKELETONS[self.skeleton].swaps
        maps = np.ascontiguousarray(take(outputs, self.heatmaps, None, len(swaps), "height", "width")[:, swaps, :, ::-1])
        if self.shift:
            maps[..., 1:] = maps[..., :-1].copy()
        return {self.heatmaps: maps}

    def encode(
        self, points: NDArray[np.floating], visible: NDArray[Any], size: tuple[int, int], sigma: float, stride: int = 4
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What a network is trained to give: points (N, K, 2) in pixels of an input of `size` (width, height), `visible` (N, K)
        -> maps (N, K, height // stride, width // stride), weights (N, K).

        Gaussians of height 1 and of `sigma` cells: centred on the nearest cell and cut 3 sigma from it along each axis, or for
        `dark` centred on the point itself, over the whole map. Of what is less visible than .5, and of what lies more than 3 sigma
        outside, map and weight are 0. Source: mmpose's MSRA heatmaps, biased and unbiased.
        """
        cells = np.array(size) // stride
        centres = np.asarray(points, np.float64) * cells / size
        nearest = np.floor(centres + 0.5)
        inside = ((nearest - 3 * sigma < cells) & (nearest + 3 * sigma + 1 >= 0)).all(axis=-1)
        weights = np.where(inside & (np.asarray(visible) >= 0.5), visible, 0).astype(np.float32)
        across, down = (
            self._profile((centres if self.refine == "dark" else nearest)[..., axis], int(count), sigma) for axis, count in enumerate(cells)
        )
        maps = down[..., :, None] * across[..., None, :] * (weights > 0)[..., None, None]
        return maps.astype(np.float32), weights

    def _profile(self, centres: NDArray[np.float64], count: int, sigma: float) -> NDArray[np.float64]:
        """(N, K) -> (N, K, count): the gaussians along one axis."""
        away = np.arange(count) - centres[..., None]
        reach = np.inf if self.refine == "dark" else 3 * sigma
        return np.exp(-(away**2) / (2 * sigma**2)) * (abs(away) <= reach)
