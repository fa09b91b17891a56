"""Bottom-up poses from heatmaps and part affinity fields (Cao et al., "Realtime Multi-Person 2D Pose Estimation", 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.decoders.assemble import Assemble, Assembled, attach, join, merge
from zoo.pose.decoders.candidates import Candidates
from zoo.pose.decoders.connect import LimbScoring, Score, connect
from zoo.pose.decoders.fields import Field, ResampledField, WholeField
from zoo.pose.decoders.gaussian import Gaussian
from zoo.pose.decoders.lazy import Frame, SampledLimbs, compiled, find_peaks
from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS, OPENPOSE_18_LIMBS
from zoo.pose.decoders.maps import Maps, check_covers, check_one_image, enlarge, mean, over_image, pick_body, pixels_to_image, to_image
from zoo.pose.decoders.peaks import FourNeighbours, Peaks
from zoo.pose.decoders.resample import Resampled
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.record import Choice

ASSEMBLE: dict[str, Assemble] = {"attach": attach, "merge": merge, "join": join}


class PafDecoder(Choice, frozen=True, kw_only=True, tag="paf"):
    """18 heatmaps and 38 part affinity channels -> people, by the protocols that descend from OpenPose.

    The defaults are Lightweight OpenPose's evaluation (val.py). The others are these fields:

    * its demo, for one image (no tracking, no smoothing): `upsample: 4, over_image: false, offset: 0, whole_pixels: true,
      instance_score: pose`; scored on COCO, the demo's maps keep the evaluation's offset and score: the first two fields only
    * Open Model Zoo, the accuracy checker's `human_pose_estimation`: `limbs: {prior: half_height}` (what sets it apart is its
      preprocessing: 8-bit cubic to height 368, width truncated to a whole pixel, padded with black)
    * Open Model Zoo, Model API and `human_pose_estimation_openpose`: `upsample: 1, over_image: false, peaks: {type: max_pool},
      assemble: merge, min_score: 0, offset: 0`
    * pytorch-openpose's body: `peaks: {type: gaussian}, limbs: {average: all, prior: exact_half_height}, assemble: join,
      min_keypoints: 4, min_score: 0.4, offset: 0, instance_score: pose`

    Several views of an image (scales) are averaged: its maps, laid over the image. Lightweight OpenPose's val.py does so;
    pytorch-openpose means to, but adds its running mean to itself.

    With `resolution: lazy` the same thresholds hold and no map is made larger (lazy.py). It is a protocol of its own: peaks are those
    of the network's cells, so plateaus of INT8 maps keep theirs, and fields are read bilinear.
    """

    skeleton: ClassVar[str] = "openpose_18"

    heatmaps: Annotated[str, Meta(description="Output with the heatmaps: 18 keypoints first, what follows (background) is not read.")]
    pafs: Annotated[str, Meta(description="Output with the 38 part affinity channels.")]
    upsample: Annotated[int, Meta(description="The maps are made so many times larger, bicubic.", ge=1, le=16)] = 8
    over_image: Annotated[
        bool, Meta(description="Cut the padding off the enlarged maps and resize them to the image, bicubic: the keypoints are its pixels.")
    ] = True
    resolution: Annotated[
        Literal["full", "lazy"],
        Meta(
            description="full: the enlarged maps are made; lazy: they are computed only around maxima of the network's maps, and fields "
            "are read along possible limbs alone, bilinear. Other figures, many times faster, one scale."
        ),
    ] = "full"
    peaks: Annotated[Peaks, Meta(description="How maxima are found.")] = FourNeighbours()
    limbs: Annotated[LimbScoring, Meta(description="How a limb between two keypoints is scored.")] = LimbScoring()
    assemble: Annotated[
        Literal["attach", "merge", "join"],
        Meta(
            description="attach: limbs go to who has their start; merge: to who has either end, and two halves become one unless a "
            "keypoint differs; join: the same, and they become one only if they have no kind of keypoint in common."
        ),
    ] = "attach"
    min_keypoints: Annotated[int, Meta(description="A person has at least so many keypoints.", ge=0)] = 3
    min_score: Annotated[float, Meta(description="A person's score per keypoint is at least this.", ge=0)] = 0.2
    offset: Annotated[float, Meta(description="Added to x and y in the image: 0.5 where the protocol scores the middles of pixels.")] = 0.5
    whole_pixels: Annotated[bool, Meta(description="Truncate image coordinates to whole pixels.")] = False
    instance_score: Annotated[
        Literal["pose", "pose_by_keypoints"],
        Meta(description="pose: keypoint and limb scores summed; pose_by_keypoints: that times (keypoints - 1), COCO having no neck."),
    ] = "pose_by_keypoints"

    def __post_init__(self) -> None:
        if self.resolution == "lazy" and not isinstance(self.peaks, FourNeighbours):
            raise ValueError("resolution: lazy finds peaks in its own way, kept apart as four_neighbours says; name no other")

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        return {"heatmaps": KEYPOINTS, "pafs": FIELDS}

    def of_one_scale(self) -> tuple[str, str] | None:
        """Why maps of several scales cannot be averaged, and what would let them; None where they can."""
        if self.resolution == "lazy":
            return "maps of several scales have no common cells to be searched", "`resolution: full` averages them; or give one scale"
        if not self.over_image:
            return (
                "maps of several scales have no common size to be averaged at",
                "`over_image: true` lays them over the image; or give one scale",
            )
        return None

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """outputs (1, C, h, w) each -> people in image pixels. Maps that hold nothing, or NaN, give nobody.

        Raises StepFailed when an output is missing or its shape does not fit the input.
        """
        return self.decode_views([View(outputs, affine)])

    def decode_views(self, views: Sequence[View]) -> Poses:
        """As `decode`, from the mean of the maps of several views of one image.

        Raises StepFailed also when the views are not of one image, when there is none, or when several cannot be averaged
        because the maps are not laid over the image.
        """
        candidates, people, shape = self.find(views)
        if self.resolution == "lazy" and self.over_image:
            points = pixels_to_image(candidates.points, views[0].affine)
        else:
            points = candidates.points if self.over_image else to_image(candidates.points, shape, views[0].affine)
        points = points + self.offset
        if self.whole_pixels:
            points = np.trunc(points)
        ranks = people.scores * np.maximum(people.counts - 1, 0) if self.instance_score == "pose_by_keypoints" else people.scores
        return people.poses(points, candidates.scores, ranks)

    def find(self, views: Sequence[View]) -> tuple[Candidates, Assembled, tuple[int, int]]:
        """What `decode_views` decides before coordinates are converted: all candidates and the people made of them, both in
        pixels of the maps that were searched, and the (height, width) of these."""
        picked = self._picked(views)
        if self.resolution == "lazy" and isinstance(self.peaks, FourNeighbours):
            planes = [np.ascontiguousarray(maps.transpose(2, 0, 1)) for (maps,) in picked]
            return self._find_lazily(planes[0], planes[1], views[0].affine, self.peaks)
        if isinstance(self.peaks, Gaussian):  # it needs no map as large as the image
            heatmaps, pafs = ([self._resampled(maps, view.affine) for maps, view in zip(kind, views, strict=True)] for kind in picked)
            candidates = self.peaks.find(heatmaps)
            field: Field = ResampledField(pafs)
            shape = heatmaps[0].rows.pixels, heatmaps[0].columns.pixels
        else:
            whole, fields = (mean(self._enlarged(maps, view.affine) for maps, view in zip(kind, views, strict=True)) for kind in picked)
            candidates = self.peaks.find(whole)
            field, shape = WholeField(fields), whole.shape[:2]
        return candidates, self._people(candidates, partial(self.limbs.score, field=field)), shape

    def _find_lazily(
        self, heatmaps: Maps, pafs: Maps, affine: Affine, peaks: FourNeighbours
    ) -> tuple[Candidates, Assembled, tuple[int, int]]:
        """heatmaps (18, h, w), pafs (38, h, w) -> as `find`."""
        shape = heatmaps.shape[1] * self.upsample, heatmaps.shape[2] * self.upsample
        if self.over_image:
            check_covers(heatmaps.transpose(1, 2, 0), affine, self.upsample)
            _, _, across, down = affine.content
            frame = Frame(self.upsample, affine.content, (affine.image[0] / across, affine.image[1] / down))
        else:
            frame = Frame(self.upsample, (0, 0, shape[1], shape[0]), (1.0, 1.0))
        if self.assemble == "attach" and (find := compiled()):
            candidates, people = find(heatmaps, pafs, frame, peaks, self.limbs)
            return candidates, self._worthy(people), shape
        candidates = find_peaks(heatmaps, frame, peaks)
        return candidates, self._people(candidates, SampledLimbs(pafs, self.upsample, self.limbs).score), shape

    def _people(self, candidates: Candidates, score: Score) -> Assembled:
        return self._worthy(ASSEMBLE[self.assemble](candidates, connect(candidates, OPENPOSE_18_LIMBS, score), KEYPOINTS))

    def _worthy(self, people: Assembled) -> Assembled:
        """Those who have enough keypoints and score."""
        return people.where((people.counts >= self.min_keypoints) & (people.scores / people.counts >= self.min_score))

    def _picked(self, views: Sequence[View]) -> tuple[list[Maps], list[Maps]]:
        """The heatmaps and the part affinity fields of each view."""
        check_one_image(views)
        if len(views) > 1 and (reason := self.of_one_scale()):
            raise StepFailed(*reason)
        picked = [pick_body(outputs, self.heatmaps, self.pafs) for outputs, _ in views]
        return [heatmaps for heatmaps, _ in picked], [pafs for _, pafs in picked]

    def _enlarged(self, maps: Maps, affine: Affine) -> Maps:
        if self.over_image:
            return over_image(maps, affine, self.upsample)
        return enlarge(maps, self.upsample) if self.upsample > 1 else maps

    def _resampled(self, maps: Maps, affine: Affine) -> Resampled:
        return Resampled.over_image(maps, affine, self.upsample) if self.over_image else Resampled.enlarged(maps, self.upsample)
