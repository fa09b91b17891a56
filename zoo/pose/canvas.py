"""`Canvas`: an image that is painted on, to fractions of a pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zoo.pose.skeletons import Colour

#: coordinates are handed to OpenCV in 1/16 pixel, so that strokes do not jump from pixel to pixel
SHIFT = 4
WHITE: Colour = (255, 255, 255)
DARK: Colour = (24, 20, 16)


class Canvas:
    """A copy of an image that is painted on; the untouched one is kept for what shines through."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.painted = np.array(image, order="C")

    def bar(self, start: NDArray[np.float64], end: NDArray[np.float64], width: float, colour: Colour) -> None:
        """A bar with round ends, exact to 1/16 pixel where a line of whole-pixel width is not."""
        import cv2

        along = end - start
        length = float(np.hypot(*along))
        if length > 0:
            side = np.array([-along[1], along[0]]) / length * width / 2
            corners = np.array([start + side, end + side, end - side, start - side])
            cv2.fillConvexPoly(self.painted, self._fixed(corners), colour, cv2.LINE_AA, SHIFT)
        self.disc(start, width / 2, colour)
        self.disc(end, width / 2, colour)

    def disc(self, centre: NDArray[np.float64], radius: float, colour: Colour) -> None:
        """A disc about `centre`."""
        import cv2

        x, y = self._fixed(centre).tolist()
        cv2.circle(self.painted, (x, y), round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)

    def box(self, box: NDArray[np.float64], width: float, inner: Colour = WHITE) -> None:
        """The outline of x1, y1, x2, y2."""
        x1, y1, x2, y2 = box
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
        for colour, wide in ((DARK, width + 1.5), (inner, width)):
            for start, end in pairwise(corners):
                self.bar(start, end, wide, colour)

    def label(self, text: str, corner: NDArray[np.float64], colour: Colour) -> None:
        """Text on a plate that stands on `corner`, or hangs from it where there is no room above; within the image."""
        import cv2

        rows, columns = self.image.shape[:2]
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, float(np.clip(np.hypot(rows, columns) / 1600, 0.4, 1.6))
        bold = max(1, round(1.6 * scale))
        (width, height), below = cv2.getTextSize(text, font, scale, bold)
        left = int(np.clip(corner[0], 0, max(0, columns - width - below)))
        bottom = int(corner[1]) if corner[1] >= height + below else int(max(corner[1], 0)) + height + below
        bottom = min(bottom, rows - 1)
        cv2.rectangle(self.painted, (left, bottom - height - below), (left + width + below, bottom), colour, -1)
        cv2.putText(self.painted, text, (left + below // 2, bottom - below // 2), font, scale, DARK, bold, cv2.LINE_AA)

    def blended(self, opacity: float) -> NDArray[np.uint8]:
        """What was painted, so strong, over the untouched image."""
        import cv2

        mixed: NDArray[np.uint8] = cv2.addWeighted(self.painted, opacity, np.ascontiguousarray(self.image), 1 - opacity, 0)
        return mixed

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        fixed: NDArray[np.int32] = np.round(points * 2**SHIFT).astype(np.int32)
        return fixed
