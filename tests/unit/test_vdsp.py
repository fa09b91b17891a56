"""vdsp JSON and `Preprocess` say the same, and what either cannot say is an error that helps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.pose import vdsp, vdsp_writer
from zoo.pose.fits import Box, Height, Letterbox, ShortSide, Stretch
from zoo.pose.preprocess import Preprocess

BODY: dict[str, Any] = {
    "OpType": "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR",
    "OpConfig": {
        "IimageFormat": "RGB_PLANAR",
        "OimageWidth": 184,
        "OimageHeight": 120,
        "Mean": [128, 129, 130],
        "Std": [256, 255, 254],
        "NormaType": "MINUSMEAN_DIVSTD",
        "ColorCvtCode": "RGB2BGR",
        "ResizeType": "BILINEAR_CV",
    },
}
LETTERBOX = "FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR"


def params(op: str = BODY["OpType"], without: str = "", **changes: Any) -> dict[str, Any]:
    config = {**BODY["OpConfig"], **changes}
    config.pop(without, None)
    return {"OpType": op, "OpConfig": config}


def refused(data: Any) -> vdsp.VdspError:
    with pytest.raises(vdsp.VdspError) as error:
        vdsp.read(data)
    return error.value


def test_size_colour_and_normalisation_are_read() -> None:
    assert vdsp.read(params()) == Preprocess(
        fit=Stretch(width=184, height=120, interpolation="linear"), colour="bgr", mean=(128, 129, 130), std=(256, 255, 254)
    )


@pytest.mark.parametrize(
    ("format", "code", "colour"),
    [
        ("RGB_PLANAR", "RGB2BGR", "bgr"),
        ("RGB_PLANAR", "NO_CHANGE", "rgb"),
        ("RGB888", "NO_CHANGE", "rgb"),
        ("BGR888", "NO_CHANGE", "bgr"),
        ("BGR888", "BGR2RGB", "rgb"),
    ],
)
def test_the_networks_colour_follows_from_what_comes_in_and_what_is_done(format: str, code: str, colour: str) -> None:
    assert vdsp.read(params(IimageFormat=format, ColorCvtCode=code)).colour == colour


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("EQUAL", lambda x: x),
        ("DIV255", lambda x: x / 255),
        ("DIV1275_MINUSONE", lambda x: x / 127.5 - 1),
        ("MINUSMEAN_DIVSTD", lambda x: (x - [0.5, 0.25, 0.75]) / [0.25, 0.5, 0.125]),
        ("DIV255_MINUSMEAN_DIVSTD", lambda x: (x / 255 - [0.5, 0.25, 0.75]) / [0.25, 0.5, 0.125]),
    ],
)
def test_each_normalisation_is_the_formula_that_its_name_says(kind: str, seen: Any) -> None:
    """With EQUAL, DIV255 and DIV1275_MINUSONE a mean and a deviation may stand there, unused."""
    pixels = np.array([[0.0, 17, 255], [128, 1, 99]])
    read = vdsp.read(params(NormaType=kind, Mean=[0.5, 0.25, 0.75], Std=[0.25, 0.5, 0.125]))
    np.testing.assert_allclose(read.normalized(pixels), seen(pixels), atol=1e-12)


def test_values_that_were_rounded_to_float16_stay_as_they_stand() -> None:
    read = vdsp.read(params(NormaType="DIV255_MINUSMEAN_DIVSTD", Mean=[0.485107421875, 0.5, 0.5], Std=[0.22900390625, 1, 1]))
    assert read.mean[0] == 0.485107421875 * 255 and read.std[0] == 0.22900390625 * 255


def test_padding_stands_in_the_order_of_the_image_that_comes_in_and_is_black_where_none_stands() -> None:
    assert vdsp.read(params(LETTERBOX, Padding=[1, 2, 3])).fit == Letterbox(width=184, height=120, pad=(3, 2, 1))
    read = vdsp.read(params(LETTERBOX, IimageFormat="BGR888", ColorCvtCode="NO_CHANGE", Padding=[1, 2, 3]))
    assert read.fit == Letterbox(width=184, height=120, pad=(1, 2, 3))
    assert vdsp.read(params(LETTERBOX)).fit == Letterbox(width=184, height=120, pad=(0, 0, 0))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "a vdsp JSON is an object with OpType and OpConfig, this is a list of 0"),
        ({"OpType": BODY["OpType"]}, "missing key 'OpConfig'"),
        ({"OpType": BODY["OpType"], "OpConfig": 3}, "OpConfig: expected an object, found 3"),
        ({**params(), "Optype": 1}, "Optype: unknown key; did you mean 'OpType'?"),
        (params(Means=[1, 2, 3]), "OpConfig.Means: unknown key; did you mean 'Mean'?"),
        (params(NormaType="DIV256"), "OpConfig.NormaType: 'DIV256' is not known; did you mean 'DIV255'?"),
        (params(ColorCvtCode="RGB2RGB"), "OpConfig.ColorCvtCode: 'RGB2RGB' is not known; did you mean"),
        (params(without="NormaType"), "OpConfig: missing key 'NormaType'"),
        (params(without="Std"), "OpConfig: missing key 'Std', which MINUSMEAN_DIVSTD takes"),
        (params(Std=[1, 0, 1]), "OpConfig.Std.1: expected more than 0, found 0"),
        (params(Mean=[1, True, 1]), "OpConfig.Mean.1: expected a number, found true"),
        (params(Mean=[1, 10**400, float("nan")]), "OpConfig.Mean.1: expected a number"),
        (params(Mean=[1, 2]), "OpConfig.Mean: expected a list of 3 numbers, found a list of 2"),
        (params(OimageWidth=0), "OpConfig.OimageWidth: expected a whole number from 1 to 16384, found 0"),
        (params(OimageWidth="184"), "found '184'"),
        (params(Padding=[1, 2, 3]), "OpConfig.Padding: means nothing to FUSION_OP_RGB_RESIZE"),
        (params(CropX=3), "OpConfig.CropX: means nothing to"),
        (params(LETTERBOX, Padding=[1, 2, 300]), "OpConfig.Padding.2: expected a whole number from 0 to 255, found 300"),
        (params(ColorCvtCode="BGR2RGB"), "BGR2RGB"),
        (params(IimageFormat="BGR888"), "takes RGB, and BGR888 is BGR: NO_CHANGE leaves it BGR, BGR2RGB turns it"),
        ({1: 2, "OpType": {"a": 1}, "OpConfig": {3: (4,)}}, "OpConfig.3: unknown key"),
    ],
)
def test_a_fault_is_named_with_its_key_and_what_is_known(data: Any, said: str) -> None:
    error = refused(data)
    assert said in error.message if said != "BGR2RGB" else "takes BGR, and RGB_PLANAR is RGB" in error.message
    assert all(fault.form for fault in error.faults)


def test_all_faults_come_at_once() -> None:
    error = refused(params(NormaType="x", ResizeType="BILINEAR_CVV", OimageHeight=-1, Foo=1))
    assert [fault.path[-1] for fault in error.faults] == ["OimageHeight", "NormaType", "ResizeType", "Foo"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (params(ResizeType="BILINEAR_PILLOW"), "BILINEAR_PILLOW smooths"),
        (params(ResizeType="BILINEAR"), "BILINEAR does not say"),
        (params("FUSION_OP_RGB_RESIZE_CVTCOLOR_CROP_NORM_TENSOR", ResizeWidth=256, ResizeHeight=256, CropX=16, CropY=16), "cuts a part"),
        (params(LETTERBOX + "_EXT", PaddingTop=0, ResizeWidth=184), "one shape of image"),
        (params("FUSION_OP_YUV_NV12_RESIZE_2RGB_NORM_TENSOR", IimageFormat="YUV_NV12", ColorCvtCode="NO_CHANGE"), "NV12"),
        (params(IimageFormat="YUV_NV12"), "YUV_NV12 has no channels"),
    ],
)
def test_what_is_good_vdsp_and_no_preprocess_of_ours_is_told_from_what_is_wrong(data: Any, said: str) -> None:
    error = refused(data)
    assert said in error.message
    assert not any(fault.form for fault in error.faults)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(fit=Stretch(width=184, height=120), mean=(128, 128, 128), std=(256, 256, 256)),
        Preprocess(fit=Stretch(width=8, height=9), colour="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
        Preprocess(fit=Stretch(width=8, height=9)),
        Preprocess(fit=Letterbox(width=416, height=320, pad=(1, 2, 3)), colour="rgb", std=(255, 255, 255)),
    ],
    ids=str,
)
def test_what_is_written_reads_back_equal_even_through_a_file(preprocess: Preprocess) -> None:
    written = vdsp_writer.write(preprocess)
    assert vdsp.read(json.loads(json.dumps(written))) == preprocess


NORMAL = {"mean": (128.0, 128.0, 128.0), "std": (256.0, 256.0, 256.0)}


@pytest.mark.parametrize(
    ("preprocess", "said", "nearest"),
    [
        (Preprocess(fit=Stretch(width=8, height=9, interpolation="cubic"), **NORMAL), ["interpolation cubic"], Stretch(width=8, height=9)),
        (Preprocess(fit=Stretch(width=8, height=9, interpolation="area"), **NORMAL), ["interpolation area"], Stretch(width=8, height=9)),
        (
            Preprocess(fit=Stretch(width=8, height=9), order="normalize_then_resize", **NORMAL),
            ["order normalize_then_resize"],
            Stretch(width=8, height=9),
        ),
        (
            Preprocess(fit=Letterbox(width=8, height=9, place="corner", pad=(127.4, 0, 300)), **NORMAL),
            ["place corner", "padding [127.4, 0, 300]"],
            Letterbox(width=8, height=9, pad=(127, 0, 255)),
        ),
        (
            Preprocess(fit=Height(height=368, min_width=400, min_height=384), order="normalize_then_resize", **NORMAL),
            ["interpolation cubic", "a width that follows the image", "order normalize_then_resize"],
            Letterbox(width=400, height=384, pad=(128, 128, 128)),
        ),
        (
            Preprocess(fit=ShortSide(side=64, interpolation="cubic"), **NORMAL),
            ["interpolation cubic", "a longer side that follows the image"],
            Stretch(width=64, height=64),
        ),
        (
            Preprocess(fit=Box(width=8, height=9, interpolation="cubic"), **NORMAL),
            ["interpolation cubic", "a part of the image"],
            Stretch(width=8, height=9),
        ),
    ],
    ids=str,
)
def test_what_vdsp_cannot_say_is_an_error_with_the_nearest_that_it_can(preprocess: Preprocess, said: list[str], nearest: Any) -> None:
    with pytest.raises(vdsp_writer.Unsayable) as error:
        vdsp_writer.write(preprocess)
    assert len(error.value.reasons) == len(said)
    assert all(words in error.value.message for words in said)
    assert error.value.nearest == Preprocess(fit=nearest, **NORMAL)
    shown = json.loads(error.value.hint.partition("which is ")[2])
    assert vdsp.read(shown) == error.value.nearest
    assert error.value.exit_code == 2


def test_the_nearest_of_a_size_that_follows_the_image_is_the_networks_fixed_one() -> None:
    with pytest.raises(vdsp_writer.Unsayable) as error:
        vdsp_writer.write(Preprocess(fit=Height(height=368)), size=(456, 256))
    assert error.value.nearest.fit == Letterbox(width=456, height=256, pad=(128, 128, 128))


@pytest.mark.assets
def test_other_zoos_files_are_read_as_they_stand(assets: Path) -> None:
    folder = assets / "foreign/vdsp"
    read = {path.name.removesuffix("-vdsp_params.json"): vdsp.read(json.loads(path.read_text())) for path in folder.glob("*.json")}
    openpose = {"colour": "bgr", "mean": (128, 128, 128), "std": (256, 256, 256)}
    assert read == {
        "pytorch-body": Preprocess(fit=Stretch(width=184, height=184), **openpose),
        "pytorch-hand": Preprocess(fit=Stretch(width=368, height=368), **openpose),
        # a mean and a deviation of ImageNet stand there, and DIV1275_MINUSONE does not look at them
        "mmpose-hrnet_pose": Preprocess(
            fit=Letterbox(width=512, height=512, pad=(0, 0, 0)), colour="rgb", mean=(127.5,) * 3, std=(127.5,) * 3
        ),
    }
