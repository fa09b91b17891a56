"""Peaks of smoothed maps, found without smoothing them but where a peak can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from zoo.pose.decoders.candidates import MOST, Candidates, strongest
from zoo.pose.decoders.resample import TILE, Array, Resampled, smoothed
from zoo.record import Choice

#: Tiles that are looked at together: what they need stays in the processor's cache.
TOGETHER = 512
#: The bounds are computed in float32; a tile this near to the threshold is looked at, too.
SLACK = 1e-4

Peaks = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Array]


class Gaussian(Choice, frozen=True, kw_only=True, tag="gaussian"):
    """A pixel whose value in the smoothed map is above `threshold` and not below any of its four neighbours (outside the map is 0).

    Its score is the value of the map that was not smoothed. The smoothing is a gaussian cut at 4 deviations, the map
    mirrored at its borders. Plateaus give a peak a pixel, of which the first are kept (`candidates.MOST`).
    Source: pytorch-openpose, `body.py`.

    Nothing as large as the image is made. The cells of the network's map bound what each tile of the smoothed one can hold;
    only tiles that may exceed the threshold are computed, in float64 as the original does.
    """

    threshold: Annotated[float, Meta(description="A maximum's smoothed value is above this.", ge=0)] = 0.1
    sigma: Annotated[float, Meta(description="Standard deviation of the smoothing, in pixels of the map.", gt=0, le=25)] = 3.0

    def find(self, views: Sequence[Resampled]) -> Candidates:
        """The mean of the views' maps -> candidates at whole pixels of the image, row by row within a kind.

        The views are of one image and have the same K channels. What is not finite, and what is near it, is no peak.
        """
        share = 1 / len(views)
        with np.errstate(invalid="ignore", over="ignore"):
            above = np.mean([self._bound(view) for view in views], axis=0) > self.threshold - SLACK
            found = list(self._peaks(views, above, share))
            if not found:
                return Candidates.of(none := np.zeros(0, np.intp), none, np.zeros(0), none, len(views[0].maps))
            x, y, kind = (np.concatenate([peaks[part] for peaks in found]) for part in (0, 1, 2))
            smooth = np.concatenate([peaks[3] for peaks in found])
            order = np.lexsort((x, y, kind))
            order = order[strongest(smooth[order], kind[order], MOST)]
            x, y, kind = x[order], y[order], kind[order]
            values = np.mean([view.at(x, y, kind) for view in views], axis=0)
        return Candidates.of(x, y, values, kind, len(views[0].maps))

    def _bound(self, view: Resampled) -> NDArray[np.float32]:
        """(K, tiles down, tiles across): no pixel of the smoothed map is higher.

        A pixel is a sum of weight x weight x cell. With high and -low the most and the least that a weight is in a tile, a
        product of two is at most high high + low low, and at least -(high low + low high).
        """
        kinds, height, width = view.maps.shape
        across, down = smoothed(view.columns, self.sigma), smoothed(view.rows, self.sigma)
        signed = np.zeros((kinds, height, 2, width), np.float32)
        finite = np.where(np.isfinite(view.maps), view.maps, np.float32(0))
        np.maximum(finite, 0, out=signed[:, :, 0])
        np.maximum(-finite, 0, out=signed[:, :, 1])
        weights = np.block([[across.high.T, across.low.T], [across.low.T, across.high.T]])
        along = (signed.reshape(-1, 2 * width) @ weights).reshape(kinds, height, 2, -1)
        return np.asarray(down.high @ along[:, :, 0] + down.low @ along[:, :, 1])

    def _peaks(self, views: Sequence[Resampled], above: NDArray[np.bool_], share: float) -> Iterator[Peaks]:
        """x, y, kind and smoothed value of the peaks in the tiles that `above` (K, tiles down, tiles across) marks."""
        kind, down, across = np.nonzero(above)
        if not len(kind):
            return
        side = TILE + 2
        columns = [self._columns(view, share) for view in views]
        rows = [smoothed(view.rows, self.sigma) for view in views]
        for first in range(0, len(kind), TOGETHER):
            k, j, i = (marked[first : first + TOGETHER] for marked in (kind, down, across))
            values = sum(window[i, :, k, one.tiles.starts[j]] @ one.turned[j] for window, one in zip(columns, rows, strict=True))
            # All tiles as one line of pixels, so that comparing is quick; a tile's own border is compared with nonsense and left out.
            flat = np.asarray(values).ravel()
            middle = flat[side:-side]
            peak = middle > self.threshold
            for step in (1, -1, side, -side):
                peak &= middle >= flat[side + step : len(flat) - side + step]
            places = np.flatnonzero(peak) + side
            x, y = np.divmod(places % (side * side), side)
            places = places[(x > 0) & (x <= TILE) & (y > 0) & (y <= TILE)]
            # a plateau's peaks, one a pixel of a large image, need not all be in memory
            places = places[strongest(flat[places], k[places // (side * side)], MOST)]
            tile, (x, y) = places // (side * side), np.divmod(places % (side * side), side)
            yield i[tile] * TILE + x - 1, j[tile] * TILE + y - 1, k[tile], flat[places]

    def _columns(self, view: Resampled, share: float) -> Array:
        """Smoothed along x, with windows of the cells along y: (tiles across, TILE + 2, K, starts, taps), a view."""
        kinds, height, width = view.maps.shape
        # NaN is above nothing, and so is all that reads it
        finite = np.where(np.isfinite(view.maps), view.maps, np.float32(np.nan))
        cells = np.multiply(finite.transpose(2, 0, 1), share, dtype=np.float64).reshape(width, -1)
        along = smoothed(view.columns, self.sigma).tiles.apply(cells).reshape(-1, TILE + 2, kinds, height)
        return sliding_window_view(along, smoothed(view.rows, self.sigma).tiles.weights.shape[2], axis=3)
