"""Images as people have them: each is read as it should be, or refused by name before it takes memory."""

import base64
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.datasets import BadImage, Images, Sample, images
from zoo.datasets.headers import READERS, size
from zoo.pipelines.estimator import Estimator
from zoo.pose.fits import Height
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess

#: 8x8 pixels, BGR 10, 100, 250, as a JPEG of four inks, inverted as Adobe's are, and saying so
CMYK = zlib.decompress(
    base64.b85decode(
        "c-s4a<NrGbKF5^&q*R6!1`zmvo57iZgN==yjg^C)ot=}DgNsLmmxr61M^Z?bUqn_)UQSj@Mn*wJPhCMtM_EQj!(3Cxz|h3RL|)y}*22g}&)CH1{{aRO4hA4(aTa9o6"
        "=aAMWbhVb_<w{!l!1|v0R^zL0)<5c&_sdmxW&N7;>_U75Xs=pz+lf%<;*hw{{Nc*&=wvW"
    )
)


class Means(Runner):
    """A network that gives the mean of each channel."""

    inputs: ClassVar[Mapping[str, TensorSpec]] = {"data": TensorSpec((None, 3, None, None), "float32")}
    outputs: ClassVar[Mapping[str, TensorSpec]] = {"mean": TensorSpec((None, 3), "float32")}

    @property
    def computed_in(self) -> str:
        return "fp32"

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"mean": feeds["data"].mean(axis=(2, 3))}


@dataclass(frozen=True)
class AtTheEnd:
    """One person at the last pixel of the image, who scores the image's mean."""

    skeleton: ClassVar[str] = "openpose_18"

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        end = np.full((1, 18, 2), np.array(affine.image) - 1.0)
        return Poses.of(end, np.ones((1, 18)), outputs["mean"].mean(axis=1))


#: (24, 32, 3): each quarter in a colour of its own
PICTURE = np.zeros((24, 32, 3), np.uint8)
PICTURE[:12, :16], PICTURE[:12, 16:], PICTURE[12:, :16], PICTURE[12:, 16:] = (200, 0, 30), (10, 100, 250), (0, 255, 0), (90, 90, 90)
GREY = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)


def encoded(ending: str, pixels: Any, *options: int) -> bytes:
    return bytes(cv2.imencode(ending, pixels, list(options))[1])


def with_alpha(pixels: Any, most: int) -> Any:
    """Half of it can be half seen through: of what cannot be seen at all an encoder need not keep the colour."""
    alpha = np.full(pixels.shape[:2], most, pixels.dtype)
    alpha[:, ::2] = most // 2
    return np.dstack([pixels, alpha])


def turned(jpeg: bytes, orientation: int) -> bytes:
    """With the EXIF tag that says how the camera was held."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


BEST = (cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
JPEG = encoded(".jpg", PICTURE, *BEST)
PNG = encoded(".png", PICTURE)
#: in colours that OpenCV's GIFs have
PAINTED = np.where(PICTURE > 80, np.array((170, 36, 252)), np.array((85, 108, 72))).astype(np.uint8)
#: name -> bytes of the file, the image that it is
RIGHT: dict[str, tuple[bytes, NDArray[np.uint8]]] = {
    "one pixel.png": (encoded(".png", PICTURE[:1, :1]), PICTURE[:1, :1]),
    "one pixel.jpg": (encoded(".jpg", PICTURE[:1, :1], *BEST), PICTURE[:1, :1]),
    "16 bits.png": (encoded(".png", PICTURE.astype(np.uint16) * 256 + 255), PICTURE),
    "16 bits.tif": (encoded(".tiff", PICTURE.astype(np.uint16) * 256 + 255), PICTURE),
    "16 bits grey.png": (encoded(".png", GREY.astype(np.uint16) * 256), cv2.cvtColor(GREY, cv2.COLOR_GRAY2BGR)),
    "grey.jpg": (encoded(".jpg", GREY, *BEST), cv2.cvtColor(GREY, cv2.COLOR_GRAY2BGR)),
    "alpha.png": (encoded(".png", with_alpha(PICTURE, 255)), PICTURE),
    "alpha of 16 bits.png": (encoded(".png", with_alpha(PICTURE.astype(np.uint16) * 256, 65535)), PICTURE),
    "alpha.webp": (encoded(".webp", with_alpha(PICTURE, 255), cv2.IMWRITE_WEBP_QUALITY, 101), PICTURE),
    "on its side.jpg": (turned(JPEG, 6), np.rot90(PICTURE, -1)),
    "upside down.jpg": (turned(JPEG, 3), np.rot90(PICTURE, 2)),
    "mirrored.jpg": (turned(JPEG, 2), PICTURE[:, ::-1]),
    "progressive.jpg": (encoded(".jpg", PICTURE, *BEST, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), PICTURE),
    "lossy.webp": (encoded(".webp", np.full((24, 32, 3), 90), cv2.IMWRITE_WEBP_QUALITY, 90), np.full((24, 32, 3), 90, np.uint8)),
    "first.gif": (encoded(".gif", PAINTED), PAINTED),
    "first.bmp": (encoded(".bmp", PICTURE), PICTURE),
    "inks.jpg": (CMYK, np.full((8, 8, 3), (10, 100, 250), np.uint8)),
    "png under another name.jpg": (PNG, PICTURE),
}


def sample(folder: Path, name: str, data: bytes) -> Sample:
    (folder / name).write_bytes(data)
    return Sample(1, folder / name, name)


@pytest.mark.parametrize("name", RIGHT)
def test_an_image_of_any_kind_is_read_as_it_looks_and_goes_through_a_model(tmp_path: Path, name: str) -> None:
    data, wanted = RIGHT[name]
    image = Images(()).read(sample(tmp_path, name, data))
    assert image.dtype == np.uint8 and image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).max() <= 3, name
    height, width = wanted.shape[:2]
    found = size(data)
    assert found is not None and sorted(found) == sorted((width, height))
    with Estimator(Means(), Preprocess(fit=Height(height=16, interpolation="area")), AtTheEnd()) as model:  # type: ignore[arg-type]
        poses = model(image)
    np.testing.assert_array_equal(poses.keypoints[0, 0], (width - 1, height - 1))
    assert 0 < poses.instance_scores[0] < 255


def patched(data: bytes, at: int, form: str, *numbers: int) -> bytes:
    """The same bytes with other numbers in their header."""
    packed = struct.pack(form, *numbers)
    changed = data[:at] + packed + data[at + len(packed) :]
    if data.startswith(b"\x89PNG"):  # of whose header there is a checksum
        return changed[:29] + struct.pack(">I", zlib.crc32(changed[12:29])) + changed[33:]
    return changed


FRAME = JPEG.index(b"\xff\xc0") + 5
HUNDRED = {
    "hundred.jpg": patched(JPEG, FRAME, ">HH", 8000, 12500),
    "hundred.png": patched(PNG, 16, ">II", 12500, 8000),
    "hundred.gif": patched(RIGHT["first.gif"][0], 6, "<HH", 12500, 8000),
    "hundred.bmp": patched(RIGHT["first.bmp"][0], 18, "<ii", 12500, -8000),
    "hundred.webp": patched(RIGHT["lossy.webp"][0], 26, "<HH", 12500, 8000),
    "on its side.jpg": turned(patched(JPEG, FRAME, ">HH", 8000, 12500), 6),
}


@pytest.mark.parametrize("name", HUNDRED)
def test_a_hundred_megapixels_are_refused_with_their_size_before_they_are_decoded(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    with pytest.raises(BadImage, match=r"12500x8000 pixels, 100 megapixels: more than 67 are not read") as caught:
        Images(()).read(sample(tmp_path, name, HUNDRED[name]))
    assert caught.value.name == name
    assert "scale it down" in caught.value.hint and "--skip-bad-images" in caught.value.hint


def test_the_largest_image_is_read_and_one_pixel_more_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample(tmp_path, "one.png", PNG)
    monkeypatch.setattr(images, "LARGEST", 24 * 32)
    assert Images(()).read(one).shape == PICTURE.shape
    monkeypatch.setattr(images, "LARGEST", 24 * 32 - 1)
    with pytest.raises(BadImage, match="32x24 pixels"):
        Images(()).read(one)


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    one = sample(tmp_path, "one.png", PNG)
    os.truncate(one.path, images.HEAVIEST + 1)  # a hole, which takes no disk
    with pytest.raises(BadImage, match="has 537 MB: more than 537 are not read"):
        Images(()).read(one)


ADOBE = CMYK.index(b"\xff\xee")
BAD = {
    "empty.jpg": (b"", "is empty"),
    "cut in its header.jpg": (JPEG[: FRAME - 1], "does not begin as JPEG"),
    "cut in its header.png": (PNG[:20], "does not begin as"),
    "cut.jpg": (JPEG[: len(JPEG) // 2], "corrupt, cut off"),
    "cut.png": (PNG[: len(PNG) // 2], "corrupt, cut off"),
    "cut.gif": (RIGHT["first.gif"][0][:40], "corrupt, cut off"),
    "cut.tif": (RIGHT["16 bits.tif"][0][:20], "does not begin as"),
    "cut.webp": (RIGHT["lossy.webp"][0][:40], "corrupt, cut off"),
    "no pixels.png": (patched(PNG, 16, ">II", 0, 8), "does not begin as"),
    "long.jpg": (patched(JPEG, FRAME, ">HH", 0, 8), "does not begin as"),
    "page.jpg": (b"<html>not found</html>", "does not begin as JPEG, PNG, GIF, BMP, WebP or TIFF"),
    "fractions.tif": (encoded(".tiff", PICTURE.astype(np.float32)), "of a kind that OpenCV does not read"),
    "inks of either way.jpg": (CMYK[:ADOBE] + CMYK[ADOBE + 16 :], "is in CMYK and does not say"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_named_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    data, said = BAD[name]
    with pytest.raises(BadImage, match=said) as caught:
        Images(()).read(sample(tmp_path, name, data))
    assert caught.value.name == name and name in caught.value.message


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "pipe.jpg", "is no file")):
        with pytest.raises(BadImage, match=said):
            Images(()).read(Sample(1, path, path.name))


@given(start=st.sampled_from([begins for begins, _ in READERS]), rest=st.binary(max_size=64))
def test_no_header_makes_more_than_a_size_or_none(start: bytes, rest: bytes) -> None:
    found = size(start + rest)
    assert found is None or min(found) > 0


@given(name=st.sampled_from(sorted(RIGHT)), at=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_byte_changed_anywhere_in_a_header_gives_an_image_or_a_bad_image(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, byte: int
) -> None:
    data = bytearray(RIGHT[name][0])
    data[at % len(data)] = byte
    try:
        image = Images(()).read(sample(tmp_path_factory.getbasetemp(), "changed", bytes(data)))
    except BadImage:
        return
    assert image.dtype == np.uint8 and image.ndim == 3
