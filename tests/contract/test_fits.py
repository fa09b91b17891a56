"""What every fit promises; a new one is found through the union."""

from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.pose.fits import Fit
from zoo.pose.preprocess import Preprocess

#: tag -> records to try, as YAML gives them. A fit without an example fails `test_every_fit_has_an_example`.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "box": [
        {"width": 96, "height": 64},
        {"width": 64, "height": 80, "padding": 1.0, "interpolation": "cubic", "pad": [0, 114, 255]},
    ],
    "height": [
        {"height": 64, "min_width": 64, "min_height": 90},
        {"height": 64, "rounding": "floor", "multiple": 32, "pad": [0, 0, 0]},
        {"height": 50, "place": "corner", "interpolation": "linear"},
        {"height": 61, "interpolation": "area", "multiple": 1},
    ],
    "letterbox": [
        {"width": 96, "height": 64},
        {"width": 64, "height": 80, "interpolation": "cubic", "place": "corner", "pad": [0, 114, 255]},
    ],
    "short_side": [
        {"side": 64},
        {"side": 61, "interpolation": "cubic", "multiple": 1},
        {"side": 70, "multiple": 32},
    ],
    "stretch": [{"width": 96, "height": 64}, {"width": 40, "height": 72, "interpolation": "cubic"}],
}
FITS = [msgspec.convert({"type": tag, **fields}, Fit) for tag, examples in EXAMPLES.items() for fields in examples]
SIZES = st.tuples(st.integers(1, 150), st.integers(1, 150))

every_fit = pytest.mark.parametrize("fit", FITS, ids=lambda fit: msgspec.json.encode(fit).decode())


def image_of(size: tuple[int, int]) -> Any:
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def test_every_fit_has_an_example() -> None:
    assert {fit.__struct_config__.tag for fit in get_args(Fit)} == set(EXAMPLES)


@every_fit
def test_a_fit_survives_being_written_and_read(fit: Fit) -> None:
    assert msgspec.json.decode(msgspec.json.encode(fit), type=Fit) == fit


@every_fit
@given(size=SIZES)
def test_the_tensor_has_the_size_that_was_announced(fit: Fit, size: tuple[int, int]) -> None:
    prepare = Preprocess(fit=fit)
    tensor, affine = prepare.prepare(image_of(size))
    assert tensor.shape == (1, 3, *prepare.shape_for(size))
    assert tensor.dtype == np.float32
    assert affine.image == size
    assert affine.input == tensor.shape[:1:-1]
    left, top, across, down = affine.content
    assert left >= 0 and top >= 0 and left + across <= affine.input[0] and top + down <= affine.input[1]


@every_fit
@given(size=SIZES)
def test_points_go_there_and_back(fit: Fit, size: tuple[int, int]) -> None:
    affine = fit.affine(size)
    points = np.random.default_rng(1).uniform(-10, 160, (20, 2))
    np.testing.assert_allclose(affine.to_image(affine.to_input(points)), points, atol=1e-9)


@every_fit
@pytest.mark.parametrize("size", [(97, 61), (61, 97), (200, 150), (60, 140)])
def test_a_ramp_reads_its_own_coordinates_where_the_affine_says(fit: Fit, size: tuple[int, int]) -> None:
    """Red holds x and green y of the image: each input pixel then says where it came from."""
    width, height = size
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 2] = np.arange(width)[None, :]
    ramp[..., 1] = np.arange(height)[:, None]
    tensor, affine = Preprocess(fit=fit, order="normalize_then_resize").prepare(ramp)
    left, top, across, down = affine.content
    y, x = np.mgrid[top + 8 : top + down - 8, left + 8 : left + across - 8]
    where = affine.to_image(np.stack([x, y], -1))
    seen = np.stack([tensor[0, 2][y, x], tensor[0, 1][y, x]], -1)
    # cubic and area are not exact on ramps; a whole-pixel or half-pixel mistake would be 0.2 and more
    assert np.abs(seen - where).max() < 0.17
    assert np.abs((seen - where).mean(axis=(0, 1))).max() < 0.02


@every_fit
@given(size=st.tuples(st.integers(40, 150), st.integers(40, 150)), at=st.tuples(st.floats(0.25, 0.75), st.floats(0.25, 0.75)))
def test_a_dot_lands_where_the_affine_says(fit: Fit, size: tuple[int, int], at: tuple[float, float]) -> None:
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
    centre = np.array(at) * size
    dot = np.round(250 * np.exp(-((grid - centre) ** 2).sum(-1) / 60)).astype(np.uint8)
    tensor, affine = Preprocess(fit=fit).prepare(np.repeat(dot[..., None], 3, 2))
    left, top, across, down = affine.content
    inside = tensor[0, 0, top : top + down, left : left + across].astype(float)
    where = np.array([(inside.sum(0) * np.arange(across)).sum(), (inside.sum(1) * np.arange(down)).sum()]) / inside.sum() + (left, top)
    source = (grid.reshape(-1, 2) * dot.reshape(-1, 1).astype(float)).sum(0) / dot.sum(dtype=float)
    assert np.abs(where - affine.to_input(source)).max() < 0.1


@every_fit
def test_the_image_is_only_read(fit: Fit) -> None:
    image = image_of((70, 64))
    image.setflags(write=False)
    before = image.copy()
    Preprocess(fit=fit, mean=(128, 128, 128)).prepare(image)
    np.testing.assert_array_equal(image, before)


@every_fit
def test_a_view_of_an_image_is_an_image(fit: Fit) -> None:
    image = image_of((80, 90))
    view = image[10:70, ::-1][:, 5:60]
    prepare = Preprocess(fit=fit, std=(2, 3, 4))
    np.testing.assert_array_equal(prepare.prepare(view)[0], prepare.prepare(view.copy())[0])
