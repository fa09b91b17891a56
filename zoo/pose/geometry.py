"""`Affine`: where an image went when it became a network's input, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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
        inverse = np.linalg.inv(self.matrix[:, :2])
        return np.concatenate([inverse, -inverse @ self.matrix[:, 2:]], axis=1)

    def to_input(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) image pixels -> (..., 2) input pixels."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def to_image(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) input pixels -> (..., 2) image pixels."""
        inverse = self.inverse
        return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


class View(NamedTuple):
    """One run of a network on one image: what came out, and where the image lay in its input."""

    outputs: Mapping[str, NDArray[Any]]
    """Name -> (1, C, h, w)."""
    affine: Affine
