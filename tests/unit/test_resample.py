"""Maps that are made only where they are read hold what the whole ones would, and what is bounded is bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import StepFailed
from zoo.pose.decoders.fields import ResampledField, WholeField
from zoo.pose.decoders.gaussian import Gaussian
from zoo.pose.decoders.maps import enlarge, over_image
from zoo.pose.decoders.resample import TILE, Resampled
from zoo.pose.geometry import Affine

Laid = tuple[np.ndarray, Affine]


def laid(seed: int, cells: tuple[int, int], image: tuple[int, int], padding: tuple[int, int, int, int]) -> Laid:
    """Maps (h, w, 6) of noise, of an input with so much padding (left, top, right, bottom)."""
    maps = np.random.default_rng(seed).normal(0, 0.3, (*cells, 6)).astype(np.float32)
    left, top, right, bottom = padding
    size = (cells[1] * 8, cells[0] * 8)
    content = (left, top, size[0] - left - right, size[1] - top - bottom)
    return maps, Affine(np.array([[1.0, 0, left], [0, 1.0, top]]), image, size, content)


layouts = st.builds(
    laid,
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.tuples(*[st.integers(0, 3)] * 4),
)


def everywhere(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return x.ravel(), y.ravel()


@settings(max_examples=25, deadline=None)
@given(layouts)
def test_any_pixel_is_what_opencv_makes_of_it(case: Laid) -> None:
    maps, affine = case
    whole, lazy = over_image(maps, affine, 8), Resampled.over_image(maps, affine, 8)
    x, y = everywhere(whole.shape[:2])
    for channel in (0, 5):
        np.testing.assert_allclose(lazy.at(x, y, np.full(len(x), channel)), whole[y, x, channel], atol=2e-6)
    for channels in (np.full(len(x), 2), np.full(len(x), 4)):
        for one, other in zip(ResampledField([lazy]).at(x, y, channels), WholeField(whole).at(x, y, channels), strict=True):
            np.testing.assert_allclose(one, other, atol=3e-6)


@pytest.mark.parametrize("factor", [1, 4])
def test_maps_that_are_only_enlarged_are_what_opencv_makes_of_them(factor: int) -> None:
    maps, _ = laid(0, (7, 9), (1, 1), (0, 0, 0, 0))
    whole = enlarge(maps, factor)
    x, y = everywhere(whole.shape[:2])
    np.testing.assert_allclose(Resampled.enlarged(maps, factor).at(x, y, np.full(len(x), 3)), whole[y, x, 3], atol=2e-6)


@settings(max_examples=25, deadline=None)
@given(layouts, st.sampled_from([0.7, 3.0, 9.0]))
def test_no_smoothed_pixel_is_above_its_tiles_bound(case: Laid, sigma: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    maps, affine = case
    bounds = Gaussian(sigma=sigma)._bound(Resampled.over_image(maps, affine, 8))
    whole = over_image(maps, affine, 8).astype(np.float64)
    for kind, bound in enumerate(bounds):
        smooth = ndimage.gaussian_filter(whole[:, :, kind], sigma)
        y, x = np.mgrid[: smooth.shape[0], : smooth.shape[1]] // TILE
        assert (smooth <= bound[y, x] + 1e-5).all()


def test_bounds_leave_out_most_of_an_empty_map() -> None:
    maps = np.zeros((32, 48, 1), np.float32)
    maps[16, 20] = 1
    affine = Affine(np.eye(3)[:2], (640, 427), (384, 256), (0, 0, 384, 256))
    assert (Gaussian()._bound(Resampled.over_image(maps, affine, 8)) > 0.1).mean() < 0.02


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_broken_cell_takes_only_the_peaks_that_are_near(broken: float) -> None:
    y, x = np.mgrid[:20, :30]
    maps = np.stack([sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 2) for cx, cy in ((5.2, 5.3), (22.3, 13.1)))] * 2, axis=-1)
    affine = Affine(np.eye(3)[:2], (331, 219), (240, 160), (0, 0, 240, 160))
    sound = Gaussian().find([Resampled.over_image(maps.astype(np.float32), affine, 8)])
    assert sound.starts.tolist() == [0, 2, 4]
    maps[14, 23, 0] = broken
    found = Gaussian().find([Resampled.over_image(maps.astype(np.float32), affine, 8)])
    assert found.starts.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(found.points, sound.points[[0, 2, 3]])
    assert np.isfinite(found.scores).all()


def test_a_factor_that_does_not_cover_the_input_is_refused() -> None:
    maps, affine = laid(0, (4, 4), (50, 50), (0, 0, 0, 0))
    with pytest.raises(StepFailed, match="do not cover an input of 32 x 32"):
        Resampled.over_image(maps, affine, 4)
