"""Keypoints from two vectors each, one along x and one along y (Li et al., "SimCC", 2022), as RTMPose gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.decoders.crops import Found, PersonSkeleton, highest, input_size, people, placed
from zoo.pose.decoders.outputs import take
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.record import Choice


class SimccDecoder(Choice, frozen=True, kw_only=True, tag="simcc"):
    """One person a crop: each keypoint lies where its two vectors are greatest, the first of equals, divided by `split`.

    The score is the lesser of the two maxima, as mmpose has it, or their mean, as some tools around RTMPose do. Where it is
    not positive the keypoint is absent; mmpose puts it at -1 bin.
    """

    x: Annotated[str, Meta(description="output (N, K, split * width of the input): where along x each keypoint is")]
    y: Annotated[str, Meta(description="output (N, K, split * height of the input): where along y")]
    split: Annotated[float, Meta(description="bins of a vector to a pixel of the input", ge=1, le=16)] = 2.0
    score: Annotated[Literal["min", "mean"], Meta(description="of the two maxima: a keypoint's score")] = "min"
    skeleton: Annotated[PersonSkeleton, Meta(description="what the K keypoints are called")] = "coco_17"

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        count = len(SKELETONS[self.skeleton].keypoints)
        return {"x": count, "y": count}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Outputs of one crop, (1, K, bins) -> its person in image pixels, or none where no keypoint was found.

        The person's score is the mean of the found keypoints'. Raises StepFailed as `decode_crops` does.
        """
        return people(self.decode_crops(outputs, [affine]))

    def decode_crops(self, outputs: Mapping[str, NDArray[Any]], affines: Sequence[Affine]) -> Found:
        """Outputs (N, K, bins) of N >= 1 crops and their affines -> keypoints (N, K, 2) in image pixels, nan where absent, and
        scores (N, K), 0 where absent.

        Raises StepFailed when an output is missing or does not fit the crops, and when these are not of one size.
        """
        maxima = []
        for name, pixels in zip((self.x, self.y), input_size(affines), strict=True):
            vectors = take(outputs, name, len(affines), len(SKELETONS[self.skeleton].keypoints), "bins")
            bins = vectors.shape[2]
            if bins != int(pixels * self.split):
                what = f"the output {name!r} has {bins} bins for {pixels} pixels of the input, {self.split:g} a pixel are declared"
                raise StepFailed(what, "`split` of the decoder and the size of the input are the network's")
            maxima.append(highest(vectors.reshape(-1, bins)))
        (x, across), (y, down) = maxima
        with np.errstate(invalid="ignore", over="ignore"):  # infinities of opposite signs are no number, and absent
            scores = np.minimum(across, down) if self.score == "min" else (across + down) / 2
        shape = len(affines), -1
        return placed(np.stack([x, y], axis=-1).reshape(*shape, 2) / self.split, scores.reshape(shape), affines)

    def unmirrored(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs (N, K, bins) of mirrored crops -> what they say of the crops: left and right joints swapped, x reversed.

        Raises StepFailed when an output is missing or of another shape.
        """
        swaps = SKELETONS[self.skeleton].swaps
        x, y = (take(outputs, name, None, len(swaps), "bins")[:, swaps] for name in (self.x, self.y))
        return {self.x: np.ascontiguousarray(x[..., ::-1]), self.y: y}

    def encode(
        self, points: NDArray[np.floating], visible: NDArray[Any], size: tuple[int, int], sigma: tuple[float, float]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What a network is trained to give: points (N, K, 2) in pixels of an input of `size` (width, height), `visible` (N, K)
        -> x (N, K, split * width), y (N, K, split * height), weights (N, K).

        Gaussians of height 1 over the whole vector, of `sigma` bins along x and y, centred on whole bins (halves to the even
        one). Of what is less visible than .5, and of what lies more than 3 sigma outside, vectors and weight are 0.
        Source: mmpose's SimCC label with gaussian smoothing, not normalised.
        """
        centres = np.round(np.asarray(points, np.float64) * self.split)
        bins = np.array([int(pixels * self.split) for pixels in size])
        reach = 3 * np.array(sigma)
        inside = ((centres - reach < bins) & (centres + reach + 1 >= 0)).all(axis=-1)
        weights = np.where(inside & (np.asarray(visible) >= 0.5), visible, 0).astype(np.float32)
        x, y = (
            np.exp(-((np.arange(count) - centres[..., axis, None]) ** 2) / (2 * sigma[axis] ** 2)) * (weights > 0)[..., None]
            for axis, count in enumerate(bins)
        )
        return x.astype(np.float32), y.astype(np.float32), weights
