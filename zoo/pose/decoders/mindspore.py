"""The protocol of MindSpore's OpenPose (https://gitee.com/mindspore/models, official/cv/OpenPose, eval.py)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.assemble import Assembled, share
from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import LimbScoring, connect
from zoo.pose.decoders.fields import ResampledField
from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS, OPENPOSE_18_LIMBS
from zoo.pose.decoders.maps import Maps, check_covers, pick_body
from zoo.pose.decoders.peaks import FourNeighbours
from zoo.pose.decoders.resample import Resampled, smoothing
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.record import Choice

#: It puts limbs together in the order of their channels.
LIMBS = tuple(sorted(OPENPOSE_18_LIMBS, key=lambda limb: limb.channel))


class MindSporeDecoder(Choice, frozen=True, kw_only=True, tag="mindspore"):
    """18 heatmaps and 38 part affinity channels -> people, as MindSpore's OpenPose does it.

    The network gets the image with its short side at 368 (the fit `short_side`), BGR / 255 - 0.5. Then:

    1. Maps are made as large as the input, bilinear.
    2. Heatmaps are smoothed by a gaussian of `sigma` pixels, cut at 4 deviations, the map mirrored at its borders. A candidate is above
       `threshold` and strictly above its four neighbours; outside of the map is 0. Its score is the smoothed value. A plateau has none.
    3. A limb between two candidates is read at 10 points, both ends included, nearest pixel. Its score is the mean projection of the
       field on its direction, plus min(w / length - 1, 0) with w the width of the map: 9 projections at least are above 0.05, the score
       is above 0. Limbs of a kind are taken from the best down, each candidate once.
    4. Limbs are put together by `assemble.share`, in the order of the channels.
    5. A person needs `min_keypoints`, counted as limbs are put together, and `min_score` for each of them. What it is ranked by is the
       sum of the scores of its keypoints and limbs.
    6. Coordinates are parts of the input's size, times the image's, rounded to whole pixels.

    Where three people own the ends of a limb the original stops with an IndexError; here such a limb is passed over, as its last branch
    means to. Candidates beyond `candidates.MOST` of a kind are left out.
    """

    skeleton: ClassVar[str] = "openpose_18"

    heatmaps: Annotated[str, Meta(description="Output with the heatmaps: 18 keypoints first, what follows (background) is not read.")]
    pafs: Annotated[str, Meta(description="Output with the 38 part affinity channels.")]
    upsample: Annotated[int, Meta(description="The maps are made so many times larger, bilinear: the network's stride.", ge=1, le=16)] = 8
    sigma: Annotated[float, Meta(description="Standard deviation of the smoothing, in pixels of the input.", gt=0, le=25)] = 2.5
    threshold: Annotated[float, Meta(description="A candidate's smoothed value is above this.", ge=0)] = 0.05
    limbs: Annotated[LimbScoring, Meta(description="How a limb between two keypoints is scored.")] = LimbScoring(
        average="all", prior="width"
    )
    min_keypoints: Annotated[int, Meta(description="A person has at least so many keypoints.", ge=0)] = 3
    min_score: Annotated[float, Meta(description="A person's score per keypoint is at least this.", ge=0)] = 0.2
    whole_pixels: Annotated[bool, Meta(description="Round image coordinates to whole pixels.")] = True

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        return {"heatmaps": KEYPOINTS, "pafs": FIELDS}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """outputs (1, C, h, w) each -> people in image pixels. Maps that hold nothing, or NaN, give nobody.

        Raises StepFailed when an output is missing, or its shape does not fit the input.
        """
        heatmaps, pafs = pick_body(outputs, self.heatmaps, self.pafs)
        check_covers(heatmaps, affine, self.upsample)
        candidates, people = self.find(heatmaps, pafs)
        x, y, across, down = affine.content
        points = (candidates.points - (x, y)) * (affine.image[0] / across, affine.image[1] / down)
        return people.poses(np.rint(points) if self.whole_pixels else points, candidates.scores, people.scores)

    def find(self, heatmaps: Maps, pafs: Maps) -> tuple[Candidates, Assembled]:
        """heatmaps (h, w, 18), pafs (h, w, 38) -> all candidates and the people made of them, in pixels of the input."""
        candidates = FourNeighbours(threshold=self.threshold, distance=0).find(self._smoothed(heatmaps))
        field = ResampledField([Resampled.enlarged(pafs, self.upsample, "linear")])
        people = share(candidates, connect(candidates, LIMBS, partial(self.limbs.score, field=field)), KEYPOINTS)
        return candidates, people.where((people.counts >= self.min_keypoints) & (people.scores / people.counts >= self.min_score))

    def _smoothed(self, heatmaps: Maps) -> Maps:
        """(h, w, K) -> (upsample h, upsample w, K). Enlarging and smoothing are linear along each axis: a matrix an axis does both."""
        large = Resampled.enlarged(heatmaps, self.upsample, "linear")
        with np.errstate(invalid="ignore", over="ignore"):
            planes = smoothing(large.rows, self.sigma) @ large.maps @ smoothing(large.columns, self.sigma).T
            # computed in float64: two pixels that are equal but for the order in which they were summed are equal in float32
            return planes.astype(np.float32).transpose(1, 2, 0)
