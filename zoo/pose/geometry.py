"""`Affine`: where an image went when it became a network's input, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: degrees by which an image is turned clockwise
Turn = Literal[0, 90, 180, 270]


@dataclass(frozen=True)
class Affine:
    """The map image pixels -> input pixels, with the sizes that decoders of whole maps need.

    `matrix` (2, 3) float64 takes (x, y, 1) of the image to (x, y) of the network's input.
    """

    matrix: NDArray[np.float64]
    image: tuple[int, int]
    """(width, height) of the image."""
    input: tuple[int, int]
    """(width, height) of the network's input, padding included."""
    content: tuple[int, int, int, int]
    """(x, y, width, height), whole pixels: the part of the input that holds the image; the rest is padding."""

    @property
    def inverse(self) -> NDArray[np.float64]:
        """(2, 3): input pixels -> image pixels."""
        # in plain numbers: it is asked for with every crop, and NumPy's own takes ten times as long to begin
        (a, b, x), (c, d, y) = self.matrix.tolist()
        determinant = a * d - b * c
        a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
        return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])

    @property
    def area(self) -> float:
        """Square pixels of the image that the whole input shows."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        return float(self.input[0] * self.input[1] / abs(a * d - b * c))

    def after(self, turn: Turn) -> Affine:
        """The map from an image to the input for which that image was `turned` before: this one is the turned image's."""
        width, height = self.image if turn in (0, 180) else self.image[::-1]
        # where the turned image has pixel 0, 0 of the image, and the directions of its rows and columns
        corners = {0: (0, 0), 90: (height - 1, 0), 180: (width - 1, height - 1), 270: (0, width - 1)}
        cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
        linear = self.matrix[:, :2]
        moved = linear @ np.array(corners[turn], np.float64)[:, None] + self.matrix[:, 2:]
        matrix = np.concatenate([linear @ np.array([[cosine, -sine], [sine, cosine]], np.float64), moved], axis=1)
        return Affine(matrix=matrix, image=(width, height), input=self.input, content=self.content)

    def to_input(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) image pixels -> (..., 2) input pixels."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def to_image(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) input pixels -> (..., 2) image pixels."""
        inverse = self.inverse
        return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


def turned(image: NDArray[Any], turn: Turn) -> NDArray[Any]:
    """(H, W, ...) turned clockwise, pixel by pixel: (W, H, ...) for a quarter turn; a view."""
    return np.rot90(image, -turn // 90)


class View(NamedTuple):
    """One run of a network on one image: what came out, and where the image lay in its input."""

    outputs: Mapping[str, NDArray[Any]]
    """Name -> (1, C, h, w)."""
    affine: Affine
