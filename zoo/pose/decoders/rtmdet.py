"""People from RTMDet's outputs (Lyu et al., "RTMDet: An Empirical Study of Designing Real-Time Object Detectors", 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.boxes import Most, Overlap, Threshold, cells, people
from zoo.pose.decoders.outputs import whole
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.record import Choice

STRIDES = (8, 16, 32)

_Output = Annotated[str, Meta(description="Output (1, h, w, 5) of this stride: a score's logit, then left, top, right, bottom in pixels.")]


class RtmdetDecoder(Choice, frozen=True, kw_only=True, tag="rtmdet"):
    """One class, people: a score and a box at every cell of three grids, as mmdetection decodes them.

    Cell (i, j) of stride s speaks for the point (s i, s j) of the input, its top left corner (mmdetection's MlvlPointGenerator with
    offset 0), and gives the distances from there to the four sides. The defaults are those of its evaluation (score
    .001, NMS .65), but 100 people of an image instead of 300, since COCO's AP looks at no more. RTMPose's demo
    asks for a score of .3.
    """

    stride_8: _Output
    stride_16: _Output
    stride_32: _Output
    threshold: Threshold = 0.001
    overlap: Overlap = 0.65
    most: Most = 100

    skeleton: ClassVar[str] = "person"

    def reads(self) -> dict[str, int]:
        """Field that names an output -> how many numbers of each cell are read."""
        return {f"stride_{stride}": 5 for stride in STRIDES}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Outputs (1, h, w, 5) -> boxes in image pixels, the surest first. A cell with NaN or infinity is nobody's.

        Raises StepFailed when an output is missing or does not fit the input.
        """
        width, height = affine.input
        corners, scores = [], []
        for stride in STRIDES:
            points = stride * cells(affine, stride)
            found = (
                whole(outputs, getattr(self, f"stride_{stride}"), height // stride, width // stride, 5).reshape(-1, 5).astype(np.float64)
            )
            # infinity less infinity: no number, and so nobody
            with np.errstate(invalid="ignore"):
                corners.append(np.concatenate([points - found[:, 1:3], points + found[:, 3:]], axis=1))
            scores.append(np.where(np.isfinite(found[:, 0]), _sigmoid(found[:, 0]), np.nan))
        return people(np.concatenate(corners), np.concatenate(scores), affine, self.threshold, self.overlap, self.most)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    # by tanh, which never overflows
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits))
