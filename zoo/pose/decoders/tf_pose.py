"""tf-pose's protocol (https://github.com/ildoonet/tf-pose-estimation, release 0.11.0)."""

from __future__ import annotations

from collections.abc import Mapping
from math import erf
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.assemble import join
from zoo.pose.decoders.candidates import MOST, Candidates, strongest
from zoo.pose.decoders.connect import Connections, greedy
from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS, OPENPOSE_18_LIMBS, Limb
from zoo.pose.decoders.maps import Maps, pick_body
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.record import Choice


class TfPoseDecoder(Choice, frozen=True, kw_only=True, tag="tf_pose"):
    """18 heatmaps and 38 part affinity channels -> people, as tf-pose does it.

    The network gets the 8-bit BGR image, stretched to the input's size (cubic; 432 x 368 is what mobilenet_thin was trained
    at), without normalisation. Then, with h x w the size of the maps:

    1. Maps are enlarged by area: by a whole number that repeats each cell. tf-pose's eval.py takes 8, its demo (run.py) 4.
    2. A copy of the heatmaps is smoothed: `kernel` x `kernel` taps, the square root of a normal distribution that is cut at
       +-`sigma`, zeros outside of the map. The square root makes it wider: at 25 and 3 the deviation is 5.05 pixels.
    3. Candidates: smoothed value above `peak_threshold` and not below any of its 8 neighbours. Their score is the
       value that was not smoothed. Whole pixels, no refinement. Of a plateau, a peak a pixel, the first are kept
       (`candidates.MOST` of a kind).
    4. A limb between two candidates is read at `samples` points, start included, end not, rounded half up; each gives the
       projection of the field on the limb's direction. Its score is the mean of all, plus min(0, 0.5 H / length - 1)
       with H the height of the enlarged maps. More than `samples_above` must be above `limb_threshold`, the score above 0.
    5. Limbs of a kind are taken from the best down, each candidate once.
    6. A limb goes to whoever has either of its ends: only its end `b` is written, its score and b's are added. Two owners
       become one if they have no keypoint in common kind, else the first gets `b`. No owner: a new person, except for the
       two shoulder-ear limbs. Three owners: nothing.
    7. A person needs `min_keypoints`, and (keypoint and limb scores) / keypoints of `min_score`; that is also its score.
    8. Coordinates are parts of the maps' size, times the image's, rounded to whole pixels (eval.py).

    One slip of the original is not repeated: in step 6 it takes the very first candidate of an image for an absent one.
    Sources there: estimator.py, tensblur/smoother.py, pafprocess/pafprocess.cpp, eval.py.
    """

    skeleton: ClassVar[str] = "openpose_18"

    heatmaps: Annotated[str, Meta(description="Output with the heatmaps: 18 keypoints first, what follows (background) is not read.")]
    pafs: Annotated[str, Meta(description="Output with the 38 part affinity channels.")]
    upsample: Annotated[int, Meta(description="The maps are made so many times larger, by area.", ge=1, le=16)] = 8
    kernel: Annotated[int, Meta(description="Taps of the smoothing on each axis, odd; in pixels of the enlarged maps.", ge=1, le=99)] = 25
    sigma: Annotated[float, Meta(description="Where the normal distribution behind the smoothing is cut, in deviations.", gt=0)] = 3.0
    peak_threshold: Annotated[float, Meta(description="A candidate's smoothed value is above this.", ge=0)] = 0.05
    samples: Annotated[int, Meta(description="Points along a limb, the end not included.", ge=1)] = 10
    limb_threshold: Annotated[float, Meta(description="A sample counts when the projection is above this.")] = 0.05
    samples_above: Annotated[int, Meta(description="More than so many samples must count.", ge=0)] = 6
    min_keypoints: Annotated[int, Meta(description="A person has at least so many keypoints.", ge=0)] = 4
    min_score: Annotated[float, Meta(description="A person's score per keypoint is at least this.", ge=0)] = 0.3
    whole_pixels: Annotated[bool, Meta(description="Round image coordinates to whole pixels.")] = True

    def reads(self) -> dict[str, int]:
        """The fields that name outputs -> how many channels of that output are read."""
        return {"heatmaps": KEYPOINTS, "pafs": FIELDS}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """outputs (1, C, h, w) each -> people in image pixels. Maps that hold nothing, or NaN, give nobody.

        Raises StepFailed when an output is missing, or the two are not of one size.
        """
        heatmaps, pafs = pick_body(outputs, self.heatmaps, self.pafs)
        candidates = self.find(heatmaps)
        people = join(candidates, [(limb, self.connect(candidates, limb, pafs)) for limb in OPENPOSE_18_LIMBS], KEYPOINTS)
        people = people.where((people.counts >= self.min_keypoints) & (people.scores / people.counts >= self.min_score))
        points = self._to_image(candidates.points, heatmaps.shape[:2], affine)
        return people.poses(points, candidates.scores, people.scores / people.counts)

    def find(self, heatmaps: Maps) -> Candidates:
        """heatmaps (h, w, K) -> candidates in pixels of the enlarged maps; steps 1 to 3."""
        import cv2

        # Enlarging and smoothing are both linear along one axis, so one matrix an axis does the two at once.
        rows, columns = (self._smoothing(size) for size in heatmaps.shape[:2])
        with np.errstate(invalid="ignore", over="ignore"):
            planes = rows @ heatmaps.transpose(2, 0, 1) @ columns.T
        points, scores, starts = [], [], [0]
        for kind, plane in enumerate(planes):
            top = cv2.dilate(plane, np.ones((3, 3), np.uint8))
            y, x = np.nonzero((plane > self.peak_threshold) & (plane == top))
            kept = strongest(plane[y, x], np.zeros(len(x), np.intp), MOST)
            y, x = y[kept], x[kept]
            points.append(np.stack([x, y], axis=1))
            scores.append(heatmaps[y // self.upsample, x // self.upsample, kind])
            starts.append(starts[-1] + len(x))
        return Candidates(np.concatenate(points).astype(np.float64), np.concatenate(scores).astype(np.float64), np.array(starts))

    def connect(self, candidates: Candidates, limb: Limb, pafs: Maps) -> Connections:
        """The limbs of one kind, the best first; pafs (h, w, 38) as the network gave them. Steps 4 and 5."""
        a, b = candidates.ids(limb.a), candidates.ids(limb.b)
        # float32 as in the original: the last digits decide which sample a point falls on
        start, end = candidates.points[a].astype(np.float32)[:, None], candidates.points[b].astype(np.float32)
        vector = end - start
        length = np.sqrt((vector * vector).sum(axis=-1))
        steps = np.arange(self.samples, dtype=np.float32)[:, None] * (vector / np.float32(self.samples))[:, :, None]
        x, y = np.moveaxis((start[:, :, None] + steps + 0.5).astype(np.intp) // self.upsample, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            along = (pafs[y, x, limb.channel : limb.channel + 2] * (vector / length[..., None])[:, :, None]).sum(axis=-1)
            # summed in order, as the original does
            mean = np.cumsum(along, axis=-1)[..., -1] / np.float32(self.samples)
            scores = mean + np.minimum(0.0, 0.5 * (len(pafs) * self.upsample) / length.astype(np.float64) - 1)
        above = (along > self.limb_threshold).sum(axis=-1)
        of_a, of_b = np.nonzero((above > self.samples_above) & np.isfinite(scores) & (scores > 0))
        found = scores[of_a, of_b]
        order = np.argsort(-found, kind="stable")
        return greedy(a[of_a[order]], b[of_b[order]], found[order])

    def _smoothing(self, size: int) -> NDArray[np.float32]:
        """(upsample * size, size): one axis of enlarging by repetition, then smoothing with zeros outside."""
        half_step = (2 * self.sigma + 1) / self.kernel / 2
        edges = np.linspace(-self.sigma - half_step, self.sigma + half_step, self.kernel + 1)
        taps = np.sqrt(np.diff([0.5 * (1 + erf(edge / 2**0.5)) for edge in edges]))
        taps /= taps.sum()
        length, reach = size * self.upsample, self.kernel // 2
        matrix = np.zeros((length, length + 2 * reach))
        for row in range(length):
            matrix[row, row : row + self.kernel] = taps
        inside = matrix[:, reach : reach + length]
        return np.asarray(inside.reshape(length, size, self.upsample).sum(axis=2), np.float32)

    def _to_image(self, points: NDArray[np.float64], shape: tuple[int, int], affine: Affine) -> NDArray[np.float64]:
        """(N, 2) pixels of the enlarged maps -> image pixels, by parts of the size (no half pixels): step 8."""
        left, top, across, down = affine.content
        step = np.array([affine.input[0] / shape[1], affine.input[1] / shape[0]]) / self.upsample
        image = (points * step - (left, top)) * (affine.image[0] / across, affine.image[1] / down)
        return np.rint(image) if self.whole_pixels else np.asarray(image)
