"""`Estimator`: preparing, network and decoding as one function; what is batched, and what several scales become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.errors import StepFailed
from zoo.pipelines.estimator import Estimator, Stopwatch
from zoo.pose.fits import Height, Stretch
from zoo.pose.geometry import Affine, View
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess


class Mean(Runner):
    """A network that gives the mean of each image, and remembers the shapes that it was fed."""

    def __init__(self, batch: int | None = None) -> None:
        self.inputs = {"data": TensorSpec((batch, 3, None, None), "float32")}
        self.outputs = {"mean": TensorSpec((batch, 1, 1, 1), "float32")}
        self.fed: list[tuple[int, ...]] = []

    @property
    def computed_in(self) -> str:
        return "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.fed.append(feeds["data"].shape)
        return {"mean": feeds["data"].mean(axis=(1, 2, 3), keepdims=True)}


@dataclass(frozen=True)
class AsScore:
    """One person in the middle of the image, who scores what the network gave: the mean of all views."""

    skeleton: ClassVar[str] = "openpose_18"
    seen: list[int] = field(default_factory=list)

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        return self.decode_views([View(outputs, affine)])

    def decode_views(self, views: Sequence[View]) -> Poses:
        self.seen.append(len(views))
        score = np.array([np.mean([view.outputs["mean"] for view in views])])
        middle = np.full((1, 18, 2), np.array(views[0].affine.image) / 2.0)
        return Poses.of(middle, np.repeat(score, 18).reshape(1, 18), score)


class OneScale:
    """A decoder that takes one run and no more."""

    skeleton: ClassVar[str] = "openpose_18"

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        raise AssertionError("not reached")


SMALL = Preprocess(fit=Stretch(width=16, height=16))


def grey(level: int, width: int = 40, height: int = 30) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(("fixed", "batch", "calls"), [(None, 1, [1] * 5), (None, 3, [3, 2]), (2, 8, [2, 2, 2]), (1, 8, [1] * 5)])
def test_images_of_one_input_shape_share_calls_and_keep_their_order(fixed: int | None, batch: int, calls: list[int]) -> None:
    runner = Mean(fixed)
    model = Estimator(runner, SMALL, AsScore(), batch=batch)  # type: ignore[arg-type]
    levels = [10, 20, 30, 40, 50]
    poses = model.many([grey(level, width=20 + level) for level in levels])
    assert [float(one.instance_scores[0]) for one in poses] == levels
    assert [tuple(one.keypoints[0, 0]) for one in poses] == [((20 + level) / 2, 15) for level in levels]
    assert [shape[0] for shape in runner.fed] == calls


def test_inputs_of_different_shapes_are_never_in_one_call() -> None:
    runner = Mean()
    model = Estimator(runner, Preprocess(fit=Height(height=16)), AsScore(), batch=8)  # type: ignore[arg-type]
    poses = model.many([grey(10, 40), grey(20, 80), grey(30, 40)])
    alone = [model(image).instance_scores[0] for image in (grey(10, 40), grey(20, 80), grey(30, 40))]
    assert [one.instance_scores[0] for one in poses] == pytest.approx(alone)
    assert sorted(shape[0] for shape in runner.fed[:2]) == [1, 2]


def test_every_scale_is_a_view_of_its_own_size() -> None:
    runner, decoder = Mean(), AsScore()
    model = Estimator(runner, SMALL, decoder, scales=(0.5, 1.0, 2.0))  # type: ignore[arg-type]
    (poses,) = model.many([grey(100)])
    assert decoder.seen == [3] and float(poses.instance_scores[0]) == 100
    assert [shape[2:] for shape in runner.fed] == [(8, 8), (16, 16), (32, 32)]


def test_decoder_of_one_scale_refuses_several() -> None:
    model = Estimator(Mean(), SMALL, OneScale(), scales=(0.5, 1.0))  # type: ignore[arg-type]
    with pytest.raises(StepFailed, match="one scale at a time"):
        model(grey(100))


def test_stopwatch_knows_every_stage_and_starts_anew() -> None:
    watch = Stopwatch()
    Estimator(Mean(), SMALL, AsScore(), name="body").many([grey(1)], watch)  # type: ignore[arg-type]
    seconds = watch.reset()
    assert set(seconds) == {"body preparing", "body network", "body decoding"} and min(seconds.values()) > 0
    assert watch.reset() == {}


class Corner(Runner):
    """A network that gives how bright the top left quarter of its input is."""

    def __init__(self) -> None:
        self.inputs = {"data": TensorSpec((None, 3, None, None), "float32")}
        self.outputs = {"mean": TensorSpec((None, 1), "float32")}

    @property
    def computed_in(self) -> str:
        return "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        data = feeds["data"]
        return {"mean": data[:, :, : data.shape[2] // 2, : data.shape[3] // 2].mean(axis=(1, 2, 3))[:, None]}


class Brightest:
    """One keypoint, in the middle of the top left quarter of the view in which that is brightest."""

    skeleton: ClassVar[str] = "openpose_18"

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        raise AssertionError("several turns are decoded together")

    def decode_turns(self, views: Sequence[View]) -> Poses:
        score, affine = max(((float(view.outputs["mean"][0, 0]), view.affine) for view in views), key=lambda found: found[0])
        middle = affine.to_image(np.array([[[affine.input[0] / 4 - 0.5, affine.input[1] / 4 - 0.5]]]))
        return Poses.of(middle, np.full((1, 1), score), np.array([score]))


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (1, 1), (0, 1)])
def test_of_several_turns_the_decoder_takes_one_and_its_pixels_are_the_images(corner: tuple[int, int]) -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    image[corner[1] * 20 :, corner[0] * 32 :][:20, :32] = 200
    prepare = Preprocess(fit=Stretch(width=32, height=32))
    model = Estimator(Corner(), prepare, Brightest(), turns=(0, 90, 180, 270), batch=3)  # type: ignore[arg-type]
    poses = model(image)
    assert poses.instance_scores[0] > 190
    np.testing.assert_allclose(poses.keypoints[0, 0], (corner[0] * 32 + 15.5, corner[1] * 20 + 9.5))


@pytest.mark.parametrize(("decoder", "scales"), [(OneScale(), (1.0,)), (Brightest(), (0.5, 1.0))])
def test_turns_are_refused_where_nothing_can_choose_among_them(decoder: Any, scales: tuple[float, ...]) -> None:
    model = Estimator(Mean(), SMALL, decoder, scales=scales, turns=(0, 180))
    with pytest.raises(StepFailed, match="cannot choose among these runs"):
        model(grey(1))
