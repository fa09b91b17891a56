"""People from YOLOX's output (Ge et al., "YOLOX: Exceeding YOLO Series in 2021")."""

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
CLASSES = 80
PERSON = 0


class YoloxDecoder(Choice, frozen=True, kw_only=True, tag="yolox"):
    """COCO's 80 classes, of which people are the first: a box, whether there is something, and what, at every cell of three grids.

    Decoded as YOLOX's own postprocessing does: the centre is (offset + cell) * stride, width and height exp(value) * stride, the score
    that of something being there times that of the class, and each cell speaks for its surest class alone. The
    defaults are those of its evaluation (score .01, NMS .65); COCO's AP looks at 100 people of an image.
    """

    output: Annotated[str, Meta(description="Output (1, cells, 85), stride 8 first, row by row: x, y, w, h, objectness, classes.")]
    threshold: Threshold = 0.01
    overlap: Overlap = 0.65
    most: Most = 100

    skeleton: ClassVar[str] = "person"

    def reads(self) -> dict[str, int]:
        """Field that names an output -> how many numbers of each cell are read."""
        return {"output": 5 + CLASSES}

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        """Output (1, n, 85), whose scores are probabilities -> boxes in image pixels, the surest first. A cell with NaN or
        infinity is nobody's.

        Raises StepFailed when the output is missing or does not fit the input.
        """
        grids = [cells(affine, stride) for stride in STRIDES]
        strides = np.repeat(STRIDES, [len(grid) for grid in grids])[:, None]
        found = whole(outputs, self.output, len(strides), 5 + CLASSES).astype(np.float64)
        # what is no number stays none, and is nobody
        with np.errstate(invalid="ignore", over="ignore"):
            centres, halves = (np.concatenate(grids) + found[:, :2]) * strides, np.exp(found[:, 2:4]) * strides / 2
            corners = np.concatenate([centres - halves, centres + halves], axis=1)
            scores = np.where(found[:, 5:].argmax(axis=1) == PERSON, found[:, 4] * found[:, 5 + PERSON], np.nan)
        return people(corners, scores, affine, self.threshold, self.overlap, self.most)
