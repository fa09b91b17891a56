"""vamc's process_ops and `Preprocess` say the same."""

from typing import Any

import pytest

from zoo.interop import process_ops
from zoo.interop.process_ops import OpsError
from zoo.pose.fits import Box, Letterbox, Stretch
from zoo.pose.preprocess import Preprocess
from zoo.pose.vdsp_writer import Unsayable

NORMAL: dict[str, Any] = {"type": "Normalize", "div255": False, "mean": [1, 2, 3], "std": [4, 5, 6]}
DECODE, TENSOR = {"type": "DecodeImage"}, {"type": "ToTensor"}
RESIZE: dict[str, Any] = {"type": "Resize", "size": [120, 184]}
BGR = {"type": "CvtColor", "code": "RGB2BGR"}


def test_size_is_height_and_width_and_colour_is_rgb_where_nothing_turns_it() -> None:
    assert process_ops.read([DECODE, RESIZE, NORMAL, TENSOR]) == Preprocess(
        fit=Stretch(width=184, height=120), colour="rgb", mean=(1, 2, 3), std=(4, 5, 6)
    )
    assert process_ops.read([DECODE, BGR, RESIZE, NORMAL, TENSOR]).colour == "bgr"
    assert process_ops.read([DECODE, RESIZE, BGR, NORMAL, TENSOR]).colour == "bgr"


def test_normalize_divides_by_255_first_unless_it_says_that_it_does_not() -> None:
    whole = {"type": "Normalize", "mean": [0.5, 0.25, 0.75], "std": [0.25, 0.5, 1]}
    read = process_ops.read([DECODE, RESIZE, whole, TENSOR])
    assert read.mean == (127.5, 63.75, 191.25) and read.std == (63.75, 127.5, 255)
    assert process_ops.read([DECODE, RESIZE, TENSOR]).std == (1, 1, 1), "without it nothing is normalised"


def test_the_long_side_and_a_square_are_a_letterbox() -> None:
    resize = {"type": "Resize", "size": [512, -1], "adaptive_side": "long"}
    read = process_ops.read([DECODE, resize, {"type": "Pad", "pad_to_square": True}, NORMAL, TENSOR])
    assert read.fit == Letterbox(width=512, height=512, pad=(0, 0, 0))


@pytest.mark.parametrize(
    ("ops", "said"),
    [
        ([], "is not an order that can be followed"),
        ({"a": 1}, "process_ops: Expected `array`"),
        ([DECODE, RESIZE, NORMAL], "is not an order"),
        ([DECODE, NORMAL, RESIZE, TENSOR], "is not an order"),
        ([DECODE, BGR, RESIZE, BGR, NORMAL, TENSOR], "is not an order"),
        ([DECODE, RESIZE, {"type": "CenterCrop", "crop_size": [2, 2]}, NORMAL, TENSOR], "'CenterCrop'"),
        ([DECODE, {**RESIZE, "interpolation": "bicubic"}, NORMAL, TENSOR], "`interpolation` - at `$[1]`"),
        ([DECODE, {**RESIZE, "size": [184, -1]}, NORMAL, TENSOR], "gives no size"),
        ([DECODE, {**RESIZE, "adaptive_side": "long"}, NORMAL, TENSOR], "gives no size"),
        ([DECODE, {**RESIZE, "adaptive_side": "short"}, NORMAL, TENSOR], "'short'"),
        ([DECODE, RESIZE, {"type": "CvtColor", "code": "BGR2RGB"}, NORMAL, TENSOR], "DecodeImage gives RGB"),
        ([DECODE, RESIZE, {**NORMAL, "std": [1, 0, 1]}, TENSOR], "$[2].std[1]"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_never_guessed(ops: Any, said: str) -> None:
    with pytest.raises(OpsError) as error:
        process_ops.read(ops)
    assert said in error.value.message and error.value.exit_code == 2


@pytest.mark.parametrize(
    ("fit", "said", "nearest"),
    [
        (Stretch(width=8, height=9, interpolation="area"), ["interpolation area"], Stretch(width=8, height=9)),
        (Letterbox(width=8, height=9, pad=(0, 0, 0)), ["it pads to squares"], Letterbox(width=9, height=9, pad=(0, 0, 0))),
        (
            Letterbox(width=9, height=9, place="corner"),
            ["place corner", "padding [114, 114, 114] (it pads with black)"],
            Letterbox(width=9, height=9, pad=(0, 0, 0)),
        ),
        (Box(width=8, height=9), ["a part of the image, as of the fit `box`"], Stretch(width=8, height=9)),
    ],
    ids=str,
)
def test_what_vamc_cannot_say_is_an_error_with_the_nearest_that_it_can(fit: Any, said: list[str], nearest: Any) -> None:
    with pytest.raises(Unsayable) as error:
        process_ops.write(Preprocess(fit=fit))
    assert "vamc cannot say" in error.value.message and all(words in error.value.message for words in said)
    assert len(error.value.reasons) == len(said) and error.value.nearest.fit == nearest
    assert process_ops.read(process_ops.write(error.value.nearest)) == error.value.nearest
