"""One hand from heatmaps of its keypoints (Simon et al., "Hand Keypoint Detection in Single Images", 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.maps import Maps, check_one_image, mean, over_image, pick
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import HAND_KEYPOINTS
from zoo.record import Choice


class HandPeaksDecoder(Choice, frozen=True, kw_only=True, tag="hand_peaks"):
    """21 heatmaps -> one hand, by pytorch-openpose's protocol:

    1. each view's maps are enlarged, freed of their padding and resized to the image (bicubic, twice); views are averaged;
    2. per keypoint, a gaussian smooths the map, and what exceeds `threshold` falls into 8-connected regions;
    3. the region whose unsmoothed values have the greatest sum holds the keypoint, where its unsmoothed map is greatest
       (the first row, then the first column of equals).

    A keypoint's score is the unsmoothed value there, the hand's score the mean over the keypoints found. The "image" is
    what the network saw, so mostly a crop around a hand.
    """

    skeleton: ClassVar[str] = "hand_21"

    heatmaps: Annotated[str, Meta(description="Output with the heatmaps: 21 keypoints first, what follows (background) is not read.")]
    upsample: Annotated[int, Meta(description="The maps are made so many times larger, bicubic: the network's stride.", ge=1, le=16)] = 8
    sigma: Annotated[float, Meta(description="Of the gaussian, in pixels of the image; it is cut at 4 sigma.", gt=0, le=100)] = 3
    threshold: Annotated[float, Meta(description="What the smoothed map has to exceed.", ge=0)] = 0.05

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        return {"heatmaps": HAND_KEYPOINTS}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """outputs (1, C, h, w) -> one hand in image pixels, or none where no keypoint was found.

        Maps of NaN or infinity hold no keypoint. Raises StepFailed when the output is missing or does not fit the input.
        """
        return self.decode_views([View(outputs, affine)])

    def decode_views(self, views: Sequence[View]) -> Poses:
        """The same from runs on one image at several scales, their maps averaged over the image.

        Raises StepFailed as `decode` does, and where the views are not of one image size, or there are none.
        """
        check_one_image(views)
        picked = [pick(view.outputs, self.heatmaps, HAND_KEYPOINTS) for view in views]
        keypoints, scores = np.full((1, HAND_KEYPOINTS, 2), np.nan), np.zeros((1, HAND_KEYPOINTS))
        # infinities of opposite signs meet; what is NaN exceeds nothing
        with np.errstate(invalid="ignore", over="ignore"):
            for kind in range(HAND_KEYPOINTS):
                # one keypoint's map after another: smaller, so quicker than all at once
                found = self._peak(
                    mean(over_image(maps[..., kind], view.affine, self.upsample) for maps, view in zip(picked, views, strict=True))
                )
                if found is not None and np.isfinite(found[2]):
                    keypoints[0, kind], scores[0, kind] = found[:2], found[2]
        present = ~np.isnan(keypoints[0, :, 0])
        if not present.any():
            return Poses.of(keypoints[:0], scores[:0], np.zeros(0))
        return Poses.of(keypoints, scores, np.array([scores[0, present].mean()]))

    def _peak(self, plane: Maps) -> tuple[int, int, float] | None:
        """(H, W) -> x, y and the value there; steps 2 and 3."""
        import cv2

        strong = plane > self.threshold
        rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
        if not rows.size:
            return None
        reach = int(4 * self.sigma + 0.5)
        # A smoothed value is a mean of those within reach, so it exceeds the threshold only within reach of one that does,
        # and is right there if as much again is known; elsewhere nothing has to be smoothed.
        top, left = max(0, rows[0] - 2 * reach), max(0, columns[0] - 2 * reach)
        window = np.ascontiguousarray(plane[top : rows[-1] + 2 * reach + 1, left : columns[-1] + 2 * reach + 1])
        size = 2 * reach + 1
        smoothed = cv2.GaussianBlur(window, (size, size), self.sigma, borderType=cv2.BORDER_REFLECT)
        _, labels = cv2.connectedComponents((smoothed > self.threshold).astype(np.uint8), connectivity=8)
        sums = np.bincount(labels.ravel(), weights=window.ravel())[1:]
        if not sums.size:
            return None
        y, x = divmod(int(np.where(labels == sums.argmax() + 1, window, -np.inf).argmax()), window.shape[1])
        return left + x, top + y, float(window[y, x])
