"""Boxes are cut out of an image as mmpose's top-down networks want them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.pose.fits import Box, Stretch
from zoo.pose.preprocess import Preprocess

FIT = Box(width=192, height=256)
RTMPOSE = Preprocess(fit=FIT, colour="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
CROPS = ["40083.0", "40083.1", "196141.0", "196141.1"]


def image_of(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.assets
def test_the_affine_is_the_originals(assets: Path) -> None:
    golden = np.load(assets / "goldens/pre_post/topdown.npz")
    for box, forth, back in zip(golden["affine_boxes_xyxy"], golden["affine_matrix"], golden["affine_matrix_inv"], strict=True):
        affine = FIT.affine((640, 480), box)
        np.testing.assert_allclose(affine.inverse, back, atol=1e-4)
        # the offset of a small box far from the origin is 1500, of which the original's float32 keeps seven digits: so
        # the two are compared where they are used, within the box
        np.testing.assert_allclose(affine.matrix, forth, rtol=1e-6, atol=1e-4)
        corners = np.array([[box[0], box[1], 1], [box[2], box[3], 1], [box[0], box[3], 1]], np.float64)
        np.testing.assert_allclose(affine.to_input(corners[:, :2]), corners @ forth.T, atol=1e-4)


@pytest.mark.assets
def test_the_input_shows_as_much_of_the_image_as_the_originals_padded_box(assets: Path) -> None:
    golden = np.load(assets / "goldens/pre_post/topdown.npz")
    for box, scale in zip(golden["affine_boxes_xyxy"], golden["affine_scale_fixed"], strict=True):
        assert FIT.affine((640, 480), box).area == pytest.approx(float(np.prod(scale)), rel=1e-5)


@pytest.mark.assets
@pytest.mark.parametrize("crop", CROPS)
def test_crops_and_inputs_are_the_originals(assets: Path, crop: str) -> None:
    golden = np.load(assets / "goldens/pre_post/topdown.npz")
    image = cv2.imread(str(assets / f"coco_mini/images/{int(crop.split('.', maxsplit=1)[0]):012d}.jpg"))
    box = golden[f"crop.{crop}.bbox_xyxy"]
    tensor, affine = RTMPOSE.prepare(image, box)
    np.testing.assert_allclose(affine.matrix, golden[f"crop.{crop}.matrix"], atol=1e-4)
    np.testing.assert_allclose(tensor[:, :, ::8, ::8], golden[f"crop.{crop}.net_input"], atol=0.018)
    mean, deviation = golden[f"crop.{crop}.net_input.stats"]
    np.testing.assert_allclose(tensor.mean(axis=(0, 2, 3)), mean, atol=1e-3)
    np.testing.assert_allclose(tensor.std(axis=(0, 2, 3)), deviation, atol=1e-3)
    raw, _ = Preprocess(fit=FIT).prepare(image, box)
    np.testing.assert_allclose(raw[0].transpose(1, 2, 0)[::2, ::2], golden[f"crop.{crop}.bgr_u8"].astype(float), atol=1)


def test_crops_of_many_images_are_those_of_each_alone() -> None:
    images = [image_of(90, 70), image_of(60, 80), image_of(90, 70)]
    boxes = [np.array([10, 5, 40, 60.5]), np.array([-20, -10, 30, 90]), np.array([0, 0, 90, 70])]
    together, affines = RTMPOSE.prepare_crops(images, boxes)
    assert together.shape == (3, 3, 256, 192)
    for crop, affine, image, box in zip(together, affines, images, boxes, strict=True):
        alone, own = RTMPOSE.prepare(image, box)
        np.testing.assert_array_equal(crop, alone[0])
        np.testing.assert_array_equal(affine.matrix, own.matrix)


def test_no_crops_are_no_inputs() -> None:
    tensor, affines = RTMPOSE.prepare_crops([], [])
    assert tensor.shape == (0, 3, 256, 192)
    assert affines == []


def test_without_a_box_the_whole_image_is_one() -> None:
    image = image_of(90, 70)
    np.testing.assert_array_equal(RTMPOSE.prepare(image)[0], RTMPOSE.prepare(image, np.array([0, 0, 90, 70]))[0])


def test_what_lies_outside_of_the_image_is_the_border_normalised() -> None:
    image = np.full((70, 90, 3), 255, np.uint8)
    tensor, affine = Preprocess(fit=Box(width=64, height=64, pad=(10, 20, 30)), mean=(1, 1, 1)).prepare(image, np.array([-80, 10, 0, 60]))
    assert tensor[0, :, 32, 5].tolist() == [9, 19, 29]
    left, top, across, down = affine.content
    inside = np.zeros((64, 64), bool)
    inside[top : top + down, left : left + across] = True
    assert (tensor[0, 0][~inside] == 9).all()


@pytest.mark.parametrize("order", ["resize_then_normalize", "normalize_then_resize"])
def test_a_box_beside_the_image_shows_nothing_but_border(order: str) -> None:
    image = image_of(90, 70)
    prepare = Preprocess(fit=Box(width=64, height=64), order=order)  # type: ignore[arg-type]
    for box in ([200, 200, 300, 300], [-300, 0, -200, 50]):
        assert not prepare.prepare(image, np.array(box))[0].any()


def test_a_box_without_size_counts_as_a_pixel() -> None:
    assert np.isfinite(FIT.affine((90, 70), np.array([10, 10, 10, 10])).matrix).all()


@pytest.mark.parametrize("box", [[np.nan, 0, 1, 1], [0, 0, np.inf, 1]])
def test_a_box_of_nan_or_infinity_is_refused(box: list[float]) -> None:
    with pytest.raises(ZooError, match="four numbers"):
        FIT.affine((90, 70), np.array(box))


def test_a_fit_of_whole_images_refuses_boxes() -> None:
    whole = Preprocess(fit=Stretch(width=8, height=8))
    with pytest.raises(ZooError, match="looks at whole images"):
        whole.prepare(image_of(9, 9), np.array([0, 0, 4, 4]))
    for boxes in ([], [np.array([0, 0, 4, 4])]):
        with pytest.raises(ZooError, match="looks at whole images"):
            whole.prepare_crops([image_of(9, 9)] * len(boxes), boxes)


@pytest.mark.parametrize(
    ("order", "interpolation"),
    [
        ("resize_then_normalize", "nearest"),
        ("resize_then_normalize", "linear"),
        ("resize_then_normalize", "cubic"),
        # not cubic: there OpenCV 5 cuts off the fractions of a float64 image's border
        ("normalize_then_resize", "linear"),
    ],
)
def test_an_input_is_what_opencv_makes_of_the_whole_box_whatever_the_box(order: str, interpolation: str) -> None:
    fit = Box(width=24, height=32, interpolation=interpolation, pad=(10, 20, 30))  # type: ignore[arg-type]
    prepare = Preprocess(fit=fit, mean=(1, 2, 3), std=(4, 5, 6), order=order)  # type: ignore[arg-type]
    chance = np.random.default_rng(0)
    flags = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}[interpolation]
    for round in range(200):
        height, width = (1, 1) if round % 5 == 0 else chance.integers(1, 40, 2)
        image = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
        box = chance.normal(size=4) * 10.0 ** chance.integers(-3, 12) + 10 * chance.normal()
        tensor, affine = prepare.prepare(image, box if round % 7 else np.tile(box[:2], 2))
        pixels: Any = image if order == "resize_then_normalize" else image.astype(float)
        wanted = prepare.normalized(cv2.warpAffine(pixels, affine.matrix, fit.size[::-1], flags=flags, borderValue=fit.pad))
        np.testing.assert_allclose(tensor[0].transpose(1, 2, 0), wanted, atol=1e-4)


def test_a_box_at_the_end_of_the_world_shows_nothing_but_border() -> None:
    affine = FIT.affine((90, 70), np.array([1e25, -1e25, 1e25, -1e25]))
    assert 0 in affine.content[2:]


@pytest.mark.parametrize(
    ("interpolation", "method"), [("nearest", cv2.INTER_NEAREST), ("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)]
)
def test_a_crop_is_the_whole_image_warped(interpolation: str, method: int) -> None:
    random = np.random.default_rng(1)
    for width, height in ((1, 1), (3, 200), (200, 2), (300, 200), (150, 250)):
        image = image_of(width, height)
        for _ in range(10):
            centre, half = random.uniform(-0.2, 1.2, 2) * (width, height), random.uniform(0.5, 150, 2)
            fit = Box(width=37, height=51, interpolation=interpolation, pad=(7, 8, 9))  # type: ignore[arg-type]
            tensor, affine = Preprocess(fit=fit).prepare(image, np.concatenate([centre - half, centre + half]))
            whole = cv2.warpAffine(image, affine.matrix, affine.input, flags=method, borderValue=(7, 8, 9))
            np.testing.assert_array_equal(tensor[0].transpose(1, 2, 0), whole)
