"""What no image holds, a peak a pixel, is bounded: decoding it takes seconds and not the machine's memory."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.pose.decoders.candidates import MOST, Candidates, strongest
from zoo.pose.decoders.gaussian import Gaussian
from zoo.pose.decoders.peaks import FourNeighbours, MaxPool
from zoo.pose.decoders.resample import Resampled
from zoo.pose.decoders.tf_pose import TfPoseDecoder

FINDERS: dict[str, Any] = {
    "four_neighbours": FourNeighbours(distance=1).find,
    "max_pool": MaxPool(top=MOST).find,
    "gaussian": lambda maps: Gaussian(sigma=1).find([Resampled.enlarged(maps, 2)]),
    "tf_pose": TfPoseDecoder(heatmaps="heat", pafs="paf", upsample=2, kernel=3).find,
}


@pytest.fixture
def chequered() -> np.ndarray:
    """Half of the pixels, 2500 of each of two kinds, are peaks of every finder; the last but few are the strongest."""
    maps = np.zeros((100, 100, 2), np.float32)
    maps[::2, ::2] = 0.5
    maps[1::2, 1::2] = 0.5
    maps[90, 90] = 0.9
    return maps


@pytest.mark.parametrize("maps", ["constant", "chequered"])
@pytest.mark.parametrize("finder", FINDERS)
def test_a_map_of_peaks_gives_a_bounded_number_of_candidates(finder: str, maps: str, chequered: np.ndarray) -> None:
    found: Candidates = FINDERS[finder](chequered if maps == "chequered" else np.full_like(chequered, 0.5))
    counts = np.diff(found.starts)
    assert counts.tolist() == ([0, 0] if (finder, maps) == ("four_neighbours", "constant") else [MOST, MOST])


@pytest.mark.parametrize("finder", FINDERS)
def test_the_strongest_of_a_map_of_peaks_is_kept(finder: str, chequered: np.ndarray) -> None:
    found: Candidates = FINDERS[finder](chequered)
    for kind in (0, 1):
        ids = found.ids(kind)
        best = ids[found.scores[ids].argmax()]
        np.testing.assert_allclose(found.points[best] / (1 if finder in ("four_neighbours", "max_pool") else 2), 90, atol=0.6)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=16)), max_size=40),
    st.integers(1, 12),
)
def test_the_strongest_are_the_highest_of_their_kind_and_the_first_of_equals(rows: list[tuple[int, float]], most: int) -> None:
    kind, value = np.array([row[0] for row in rows], np.intp), np.array([row[1] for row in rows])
    expected = [
        row
        for row, (mine, high) in enumerate(rows)
        if sum(other == mine and (more > high or (more == high and i < row)) for i, (other, more) in enumerate(rows)) < most
    ]
    assert strongest(value, kind, most).tolist() == expected
