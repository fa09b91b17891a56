"""Targets against what the original's own code drew, and against a plain drawing of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from goldens_of_training import IDS, coco_mini, golden
from hypothesis import given
from hypothesis import strategies as st
from plain_targets import maps as plainly

from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS
from zoo.training.labels import Labels
from zoo.training.targets import LEAST, Targets


@pytest.mark.assets
@pytest.mark.parametrize("id", IDS)
def test_maps_of_whole_images_equal_the_originals(assets: Path, id: int) -> None:
    (scene,) = (scene for scene in Labels().scenes(coco_mini(assets)) if scene.sample.id == id)
    first = scene.centres[0][0]
    people = [scene.people[first], *(person for index, person in enumerate(scene.people) if index != first)]
    wanted = golden(assets, id, "noaug")
    heatmaps, pafs = Targets().maps(np.array(people), *wanted.image_shape[1:].tolist())
    assert heatmaps.dtype == pafs.dtype == np.float32
    np.testing.assert_allclose(heatmaps, wanted.keypoint_maps, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pafs, wanted.paf_maps, rtol=0, atol=1e-6)


def person(**where: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Someone of whom the keypoints `k0`, `k1` ... are seen."""
    points = np.zeros((18, 3))
    for name, (x, y) in where.items():
        points[int(name.removeprefix("k"))] = x, y, 2
    return points


# halves and quarters: the same sums in whatever order, so that no cell is at an edge for one way and beyond it for the other
quarters = st.integers(-200, 800).map(lambda number: number / 4)
scenes = st.lists(st.lists(st.tuples(quarters, quarters, st.sampled_from([0, 1, 2])), min_size=18, max_size=18), max_size=3)


@given(
    people=scenes,
    stride=st.sampled_from([4, 8]),
    sigma=st.sampled_from([2.5, 7.0, 11.0]),
    width=st.sampled_from([3.0, 8.0, 20.0]),
    region=st.sampled_from(["box", "band"]),
    summed=st.sampled_from(["sum", "max"]),
    limbs=st.sampled_from(["last", "mean"]),
)
def test_maps_are_those_of_the_plain_drawing(people: Any, region: Any, summed: Any, limbs: Any, **numbers: Any) -> None:
    targets = Targets(region=region, people=summed, limbs=limbs, **numbers)
    given_people = np.array(people, np.float64).reshape(-1, 18, 3)
    heatmaps, pafs = targets.maps(given_people, 63, 83)
    wanted_heatmaps, wanted_pafs = plainly(targets, given_people, 63, 83)
    np.testing.assert_allclose(heatmaps, wanted_heatmaps, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pafs, wanted_pafs, rtol=0, atol=1e-6)


def test_nobody_is_all_background() -> None:
    heatmaps, pafs = Targets().maps(np.zeros((0, 18, 3)), 368, 184)
    assert heatmaps.shape == (19, 46, 23) and pafs.shape == (38, 46, 23)
    assert (heatmaps[:-1] == 0).all() and (heatmaps[-1] == 1).all() and (pafs == 0).all()


def test_a_gaussian_is_one_at_the_centre_of_its_cell_and_ends_where_it_is_small() -> None:
    heatmaps, _ = Targets().maps(person(k3=(8 * 5 + 3.5, 8 * 2 + 3.5))[None], 64, 96)
    assert heatmaps[3, 2, 5] == 1 and heatmaps[-1, 2, 5] == 0
    assert heatmaps[3, 2, 6] == pytest.approx(np.exp(-64 / 98)) and heatmaps[3, 2, 8] == 0
    assert heatmaps[heatmaps > 0].min() >= LEAST and not heatmaps[[0, 1, 2, *range(4, 18)]].any()


def test_gaussians_of_two_people_add_up_to_one_at_most() -> None:
    two = np.array([person(k0=(19.5, 19.5)), person(k0=(27.5, 19.5))])
    value = np.exp(-64 / 98)
    added, greater = (Targets(people=people).maps(two, 64, 64)[0] for people in ("sum", "max"))
    assert added[0, 2, 2] == 1 and greater[0, 2, 2] == 1
    assert added[0, 2, 4] == pytest.approx(value + np.exp(-256 / 98)) and greater[0, 2, 4] == pytest.approx(value)


@pytest.mark.parametrize("limb", OPENPOSE_18_LIMBS, ids=lambda limb: f"{limb.a}-{limb.b}")
def test_a_limb_points_from_a_to_b_in_its_two_channels(limb: Any) -> None:
    _, pafs = Targets().maps(person(**{f"k{limb.a}": (16.0, 16.0), f"k{limb.b}": (40.0, 48.0)})[None], 64, 64)
    assert pafs[limb.channel, 4, 3] == pytest.approx(0.6) and pafs[limb.channel + 1, 4, 3] == pytest.approx(0.8)
    assert not np.delete(pafs, [limb.channel, limb.channel + 1], axis=0).any()


def test_where_limbs_meet_the_later_person_stays_or_both_are_averaged() -> None:
    across, down = person(k1=(8.0, 32.0), k2=(56.0, 32.0)), person(k1=(32.0, 8.0), k2=(32.0, 56.0))
    for people, wanted in (([across, down], (0, 1)), ([down, across], (1, 0))):
        last, mean = (Targets(limbs=limbs).maps(np.array(people), 64, 64)[1] for limbs in ("last", "mean"))
        assert tuple(last[12:14, 4, 4]) == wanted and tuple(mean[12:14, 4, 4]) == (0.5, 0.5)
        assert tuple(last[12:14, 4, 1]) == tuple(mean[12:14, 4, 1]) == (1, 0)


def test_a_limb_without_both_ends_or_without_length_is_not_drawn() -> None:
    half, point = person(k1=(8.0, 8.0)), person(k1=(8.0, 8.0), k2=(8.0, 8.0))
    assert not Targets().maps(np.array([half, point]), 64, 64)[1].any()
