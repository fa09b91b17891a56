"""Who is who from frame to frame, and keypoints that do not tremble."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.pose.smooth import OneEuro
from zoo.pose.tracking import Tracker

Array = NDArray[np.float64]
BODY = SKELETONS["openpose_18"]


def shape(seed: int, size: float = 100) -> Array:
    return np.random.default_rng(seed).uniform(0, size, (18, 2))


def people(*keypoints: Array, scores: list[float] | None = None) -> Poses:
    stacked = np.stack(keypoints) if keypoints else np.zeros((0, 18, 2))
    present = ~np.isnan(stacked[..., 0])
    return Poses.of(stacked, present.astype(float), np.array(scores or [1.0] * len(keypoints)))


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_people_who_move_keep_their_ids_in_whatever_order_they_are_found(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    places = [shape(seed + one) + np.array([300.0 * one, 0]) for one in range(count)]
    steps = random.uniform(-6, 6, (count, 2))
    tracker, names = Tracker(BODY), {}
    for frame in range(12):
        order = random.permutation(count)
        seen = [np.where(random.random((18, 1)) < 0.2, np.nan, places[one] + frame * steps[one]) for one in order]
        ids = tracker.ids(people(*seen, scores=random.uniform(0.1, 1, count).tolist()))
        assert len(set(ids.tolist())) == count
        for one, name in zip(order.tolist(), ids.tolist(), strict=True):
            assert names.setdefault(one, name) == name


def test_the_first_ids_are_counted_from_nought_and_a_newcomer_gets_the_next() -> None:
    tracker = Tracker(BODY)
    assert tracker.ids(people(shape(1), shape(2) + 500)).tolist() == [0, 1]
    assert tracker.ids(people(shape(3) + 1000, shape(2) + 502, shape(1) + 2)).tolist() == [2, 1, 0]


def test_who_comes_back_in_time_is_the_same_and_later_is_someone_new() -> None:
    for gap, expected in ((5, 0), (6, 1)):
        tracker = Tracker(BODY, patience=5)
        tracker.ids(people(shape(1)))
        for _ in range(gap):
            assert len(tracker.ids(people())) == 0
        assert tracker.ids(people(shape(1))).tolist() == [expected]


def test_of_two_who_are_like_a_track_the_surer_one_is_it() -> None:
    tracker = Tracker(BODY)
    tracker.ids(people(shape(1)))
    assert tracker.ids(people(shape(1) + 1, shape(1) + 3, scores=[0.4, 0.9])).tolist() == [1, 0]


def test_who_jumps_across_the_picture_is_someone_else() -> None:
    tracker = Tracker(BODY)
    tracker.ids(people(shape(1)))
    assert tracker.ids(people(shape(1) + 400)).tolist() == [1]


def test_poses_with_nothing_in_common_are_not_the_same() -> None:
    upper, lower = shape(1), shape(1)
    upper[9:], lower[:9] = np.nan, np.nan
    tracker = Tracker(BODY)
    tracker.ids(people(upper))
    assert tracker.ids(people(lower)).tolist() == [1]


def test_one_common_keypoint_says_nothing_where_both_have_many() -> None:
    one, other = shape(1), shape(2)
    one[9:], other[:8] = np.nan, np.nan
    other[8] = one[8]
    tracker = Tracker(BODY)
    tracker.ids(people(one))
    assert tracker.ids(people(other)).tolist() == [1]


def test_people_without_keypoints_are_known_by_their_boxes() -> None:
    tracker = Tracker(SKELETONS["person"])
    boxes = np.array([[0.0, 0, 50, 100], [200, 0, 250, 100]])
    assert tracker.ids(Poses.of_boxes(boxes, np.array([0.5, 0.9]))).tolist() == [0, 1]
    assert tracker.ids(Poses.of_boxes(boxes[::-1] + 5, np.array([0.5, 0.9]))).tolist() == [1, 0]


def test_ids_do_not_hang_on_memory_of_everyone_who_ever_came() -> None:
    tracker = Tracker(BODY, patience=2)
    for frame in range(50):
        tracker.ids(people(shape(frame) + 1000 * frame))
    assert len(tracker._tracks) <= 3


def run(keypoints: list[Array], rate: float = 30, **constants: float) -> list[Array]:
    smooth = OneEuro(**constants)
    return [smooth.smoothed(people(one), np.array([7]), frame / rate).keypoints[0] for frame, one in enumerate(keypoints)]


def test_who_rests_stays_where_they_are() -> None:
    assert all(np.allclose(one, shape(1)) for one in run([shape(1)] * 20))


def test_trembling_is_less() -> None:
    random = np.random.default_rng(0)
    seen = [shape(1) + random.normal(0, 1, (18, 2)) for _ in range(200)]
    given_out = np.stack(run(seen))[50:]
    assert given_out.std(axis=0).mean() < 0.5 * np.stack(seen)[50:].std(axis=0).mean()
    assert np.abs(given_out.mean(axis=0) - shape(1)).max() < 0.5


def test_who_runs_does_not_lag_by_more_than_a_frame_or_two() -> None:
    """A size a second is a run across the picture: the filter opens."""
    size = float(np.hypot(*np.ptp(shape(1), axis=0)))
    seen = [shape(1) + np.array([size * frame / 30, 0]) for frame in range(60)]
    lag = (seen[-1] - run(seen)[-1])[:, 0]
    assert 0 < lag.max() < 2 * size / 30
    slow = (seen[-1] - run(seen, beta=0.0)[-1])[:, 0]
    assert slow.max() > 2 * lag.max()


@given(seed=st.integers(0, 10_000), scale=st.floats(0.5, 20), shift=st.floats(-500, 500))
@settings(max_examples=30, deadline=None)
def test_it_is_the_same_near_and_far_and_wherever_in_the_picture(seed: int, scale: float, shift: float) -> None:
    random = np.random.default_rng(seed)
    seen = [shape(seed) + random.normal(0, 3, (18, 2)) for _ in range(8)]
    plain = run(seen)
    moved = run([one * scale + shift for one in seen])
    assert all(np.allclose(one * scale + shift, other, atol=1e-6 * scale + 1e-6) for one, other in zip(plain, moved, strict=True))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_what_is_given_out_lies_between_the_last_and_the_new(seed: int) -> None:
    random = np.random.default_rng(seed)
    seen = [random.uniform(0, 100, (18, 2)) for _ in range(10)]
    given_out = run(seen)
    for before, now, one in zip(given_out, seen[1:], given_out[1:], strict=False):
        assert ((one >= np.minimum(before, now) - 1e-9) & (one <= np.maximum(before, now) + 1e-9)).all()


def test_what_is_absent_stays_absent_and_comes_back_where_it_is_seen() -> None:
    hidden = shape(1)
    hidden[3] = np.nan
    first, second, third = run([shape(1), hidden, shape(1) + 50])
    assert np.array_equal(np.isnan(second), np.isnan(hidden)) and not np.isnan(first).any()
    assert np.array_equal(third[3], shape(1)[3] + 50) and (third[4] < shape(1)[4] + 50).all()


def test_someone_who_was_long_away_starts_anew() -> None:
    smooth = OneEuro(forgets=0.5)
    smooth.smoothed(people(shape(1)), np.array([0]), 0.0)
    assert np.array_equal(smooth.smoothed(people(shape(2)), np.array([0]), 0.6).keypoints[0], shape(2))


def test_two_people_do_not_pull_at_each_other() -> None:
    smooth, alone = OneEuro(), OneEuro()
    for frame in range(5):
        one, other = shape(1) + frame, shape(2) - frame
        both = smooth.smoothed(people(other, one), np.array([1, 0]), frame / 30).keypoints[1]
        assert np.array_equal(both, alone.smoothed(people(one), np.array([0]), frame / 30).keypoints[0])


def test_boxes_follow_their_keypoints_and_a_detectors_own_stay() -> None:
    smooth = OneEuro()
    for frame in range(3):
        hull = smooth.smoothed(people(shape(1) + 5 * frame), np.array([0]), frame / 30)
        assert np.allclose(hull.boxes[0], [*hull.keypoints[0].min(axis=0), *hull.keypoints[0].max(axis=0)])
    found = Poses(people(shape(1)).keypoints, np.ones((1, 18)), np.array([[-9.0, -9, 200, 200]]), np.ones(1))
    assert np.array_equal(OneEuro().smoothed(found, np.array([0]), 0).boxes, found.boxes)


@pytest.mark.filterwarnings("error")
def test_nobody_and_someone_without_a_keypoint_are_taken() -> None:
    smooth, nothing = OneEuro(), np.full((18, 2), np.nan)
    ghost = Poses(nothing[None], np.zeros((1, 18)), np.full((1, 4), np.nan), np.zeros(1))
    for frame in range(3):
        assert len(smooth.smoothed(people(), np.zeros(0, int), frame)) == 0
        assert np.isnan(smooth.smoothed(ghost, np.array([0]), frame + 0.1).keypoints).all()
        Tracker(BODY).ids(ghost)
    boxes = Poses.of_boxes(np.array([[0.0, 0, 5, 5]]), np.ones(1))
    assert np.array_equal(smooth.smoothed(boxes, np.array([3]), 9).boxes, boxes.boxes)
