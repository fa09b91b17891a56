"""`Preprocess` against what the originals' own code made, and against itself."""

import json
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.pose.fits import Box, Height, Stretch
from zoo.pose.preprocess import Preprocess

GRAY = {"mean": (128, 128, 128), "std": (256, 256, 256)}
ORIGINALS = {
    "val368": Preprocess(fit=Height(height=368, min_width=368), order="normalize_then_resize", **GRAY),
    "demo256": Preprocess(fit=Height(height=256, min_width=256, interpolation="linear"), **GRAY),
    "demo368": Preprocess(fit=Height(height=368, min_width=368, interpolation="linear"), **GRAY),
    "hz_body_s0.5": Preprocess(fit=Height(height=184, place="corner"), **GRAY),
}


@pytest.mark.assets
@pytest.mark.parametrize("image_id", [40083, 785, 536038])
@pytest.mark.parametrize("case", ORIGINALS)
def test_input_equals_the_originals(assets: Path, case: str, image_id: int) -> None:
    golden = np.load(assets / "goldens/pre_post/preprocess_inputs.npz")
    tensor, affine = ORIGINALS[case].prepare(cv2.imread(str(assets / f"coco_mini/images/{image_id:012d}.jpg")))
    expected = {key.removeprefix(f"{image_id}.{case}"): golden[key] for key in golden.files if key.startswith(f"{image_id}.{case}")}
    assert list(tensor.shape) == list(expected[".shape"])
    step = 2 if case == "hz_body_s0.5" else 4
    np.testing.assert_array_equal(tensor[:, :, ::step, ::step], expected[""])
    pixels = tensor[0].astype(np.float64).reshape(3, -1)
    stats = [pixels.mean(1), pixels.std(1), pixels.min(1), pixels.max(1)]
    np.testing.assert_allclose(stats, expected[".stats"], atol=1e-6)
    if case == "hz_body_s0.5":
        np.testing.assert_array_equal(tensor[0, :, -4:], expected[".last_rows"])
        np.testing.assert_array_equal(tensor[0, :, :, -4:], expected[".last_cols"])
        return
    np.testing.assert_array_equal(tensor[0, :, tensor.shape[2] // 2], expected[".row0"])
    np.testing.assert_array_equal(tensor[0, :, :, 0], expected[".col0"])
    left, top, across, down = affine.content
    assert [down, across] == list(expected[".resized_hw"])
    right, bottom = affine.input[0] - left - across, affine.input[1] - top - down
    assert [top, left, bottom, right] == list(expected[".pad_top_left_bottom_right"])


@pytest.mark.assets
def test_there_are_goldens_of_every_image(assets: Path) -> None:
    images = json.loads((assets / "goldens/pre_post/preprocess_inputs.images.json").read_text())
    assert [image["image_id"] for image in images] == [40083, 785, 536038]


def test_accuracy_checker_cuts_the_width_and_pads_with_black() -> None:
    """368 * 501 / 333 = 553.7; the checker cuts it where the original evaluation rounds."""
    image = picture(501, 333)
    checker = Preprocess(fit=Height(height=368, rounding="floor", min_width=368, pad=(0, 0, 0)))
    tensor, affine = checker.prepare(image)
    assert affine.content == (3, 0, 553, 368)
    assert affine.input == (560, 368)
    assert affine.matrix[0, 0] == 553 / 501
    expected = cv2.copyMakeBorder(cv2.resize(image, (553, 368), interpolation=cv2.INTER_CUBIC), 0, 0, 3, 4, cv2.BORDER_CONSTANT)
    np.testing.assert_array_equal(tensor[0], expected.transpose(2, 0, 1))


def test_stretch_gives_raw_pixels_at_the_asked_size() -> None:
    image = picture(70, 50)
    tensor, affine = Preprocess(fit=Stretch(width=96, height=64, interpolation="cubic")).prepare(image)
    np.testing.assert_array_equal(tensor[0], cv2.resize(image, (96, 64), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1))
    assert affine.content == (0, 0, 96, 64)


@pytest.mark.parametrize(
    ("scale", "content", "size"),
    [(0.5, (44, 92, 280, 184), (368, 368)), (1, (0, 0, 559, 368), (560, 368)), (2, (0, 0, 1119, 736), (1120, 736))],
)
def test_a_scale_of_lightweight_openpose_is_padded_to_the_base_height(
    scale: float, content: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    """Its val.py: `min_dims = [base_height, max(scaled_img.shape[1], base_height)]`, half of the padding before the image."""
    affine = Height(height=368, min_width=368, min_height=368).scaled(scale).affine((500, 329))
    assert affine.content == content
    assert affine.input == size


def test_rgb_networks_get_red_first() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 2] = 200
    bgr = Preprocess(fit=Height(height=8, min_width=16, pad=(1, 2, 3)), mean=(10, 20, 30), std=(1, 2, 4))
    for order in ("resize_then_normalize", "normalize_then_resize"):
        tensor, _ = msgspec.structs.replace(bgr, colour="rgb", order=order).prepare(image)
        assert tensor[0, :, 4, 8].tolist() == [190.0, -10.0, -7.5]
        assert tensor[0, :, 0, 0].tolist() == [-7.0, -9.0, -7.25]


fits = st.one_of(
    st.builds(
        Height,
        height=st.integers(8, 64),
        interpolation=st.sampled_from(["nearest", "linear", "cubic", "area"]),
        min_width=st.integers(0, 80),
        min_height=st.integers(0, 80),
        place=st.sampled_from(["center", "corner"]),
        pad=st.sampled_from([(128.0, 128.0, 128.0), (0.0, 100.0, 255.0)]),
    ),
    st.builds(Stretch, width=st.integers(8, 64), height=st.integers(8, 64)),
    # of a padded box the edges are mixed of image and border
    st.builds(
        Box,
        width=st.integers(8, 64),
        height=st.integers(8, 64),
        interpolation=st.sampled_from(["nearest", "linear"]),
        pad=st.sampled_from([(0.0, 0.0, 0.0), (0.0, 100.0, 255.0)]),
    ),
)
preparations = st.builds(
    Preprocess,
    fit=fits,
    colour=st.sampled_from(["bgr", "rgb"]),
    mean=st.sampled_from([(128.0, 128.0, 128.0), (123.675, 116.28, 103.53)]),
    std=st.sampled_from([(256.0, 256.0, 256.0), (58.395, 57.12, 57.375)]),
    order=st.sampled_from(["resize_then_normalize", "normalize_then_resize"]),
)


@given(prepare=preparations)
def test_normalising_the_folded_input_gives_the_unfolded_one(prepare: Preprocess) -> None:
    image = picture(53, 37)
    whole, affine = prepare.prepare(image)
    raw, same = prepare.folded().prepare(image)
    assert prepare.folded().raw
    np.testing.assert_array_equal(same.matrix, affine.matrix)
    channels = raw[0] if prepare.colour == "bgr" else raw[0, ::-1]
    np.testing.assert_allclose(prepare.normalized(channels.transpose(1, 2, 0)).transpose(2, 0, 1), whole[0], atol=1e-4)


@given(prepare=preparations)
def test_a_preprocess_survives_being_written_and_read(prepare: Preprocess) -> None:
    assert msgspec.json.decode(msgspec.json.encode(prepare), type=Preprocess) == prepare


def test_another_fit_keeps_the_normalisation() -> None:
    demo = ORIGINALS["val368"].with_fit(ORIGINALS["demo256"].fit, "resize_then_normalize")
    assert demo == ORIGINALS["demo256"]
    assert ORIGINALS["val368"].with_fit(demo.fit).order == "normalize_then_resize"


def test_floats_are_neither_rounded_nor_clipped_when_they_are_resized() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 255
    fit = Height(height=50)
    rounded, _ = Preprocess(fit=fit).prepare(image)
    exact, _ = Preprocess(fit=fit, order="normalize_then_resize").prepare(image)
    assert rounded.min() == 0 and rounded.max() == 255
    assert exact.min() < -1 and exact.max() > 256


def test_an_image_of_one_row_still_has_a_width() -> None:
    tensor, affine = Preprocess(fit=Height(height=8)).prepare(np.full((100, 2, 3), 9, np.uint8))
    assert tensor.shape == (1, 3, 8, 8)
    assert affine.content == (3, 0, 1, 8)
    assert tensor[0, 0, 4].tolist() == [128, 128, 128, 9, 128, 128, 128, 128]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), r"float32 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image: Any, said: str) -> None:
    with pytest.raises(ZooError, match=said):
        Preprocess(fit=Height()).prepare(image)


def test_a_box_is_refused_by_fits_of_whole_images() -> None:
    with pytest.raises(ZooError, match="box"):
        Preprocess(fit=Height()).prepare(picture(8, 8), np.array([0, 0, 4, 4]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"std": [0, 1, 1]},
        {"mean": [1, 2]},
        {"order": "resize"},
        {"fit": {"type": "height", "height": 0}},
        {"fit": {"type": "letterbox"}},
        {"fit": {"type": "stretch", "width": 4}},
        {"means": [1, 2, 3]},
    ],
)
def test_a_wrong_declaration_is_refused(wrong: dict[str, Any]) -> None:
    msgspec.convert({"fit": {"type": "height"}}, Preprocess)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"fit": {"type": "height"}, **wrong}, Preprocess)


def picture(width: int, height: int) -> Any:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_strip_whose_input_would_take_the_machines_memory_is_refused_before_any_is_taken() -> None:
    preprocess = Preprocess(fit=Height(height=368))
    with pytest.raises(ZooError, match="an image of 640x1 pixels would become an input of 235520x368") as error:
        preprocess.prepare(np.zeros((1, 640, 3), np.uint8))
    assert "crop it" in error.value.hint
    # a panorama at the largest of four scales is none
    assert Preprocess(fit=Height(height=736)).prepare(np.zeros((100, 1200, 3), np.uint8))[0].shape == (1, 3, 736, 8832)
    assert Preprocess(fit=Stretch(width=432, height=368)).prepare(np.zeros((1, 640, 3), np.uint8))[0].shape == (1, 3, 368, 432)
