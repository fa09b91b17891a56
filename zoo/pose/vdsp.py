"""`Preprocess` in the words of Vastai's vdsp JSON, which configures the fused operators that prepare images on their chips.

A vdsp JSON names an operator (`OpType`) and its attributes (`OpConfig`). The operator's name is its order of work:
RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR resizes and pads 8-bit pixels, then turns the channels, then normalises. So `Mean` and `Std`
stand in the order of the network's channels, and `Padding` in that of the image that comes in.

`IimageWidth`, `IimageHeight` and every pitch say how an image lies in memory; the runtime sets them for each image, and they say
nothing about the tensor. Values may have been rounded to float16 (0.485107421875 for 0.485): what stands there is what counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from msgspec import structs

from zoo.errors import ZooError
from zoo.pose.fits import Fit, Height, Letterbox, Stretch
from zoo.pose.preprocess import Preprocess
from zoo.pose.vdsp_keys import COLOR_CVT_CODES, IIMAGE_FORMATS, NORMA_TYPES, OP_TYPES, Fault, faults

__all__ = ["Fault", "Unsayable", "VdspError", "faults", "nearest", "plain", "read", "text", "write"]

Triple = tuple[float, float, float]


class VdspError(ZooError):
    """A vdsp JSON that says no `Preprocess`; all its `faults` at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, faults: Iterable[Fault], hint: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)), hint)


class Unsayable(ZooError):
    """A `Preprocess` that a format cannot say, for these `reasons`; `nearest` is one that it can, and the hint shows it."""

    exit_code: ClassVar[int] = 2

    def __init__(self, form: str, reasons: Iterable[str], nearest: Preprocess, shown: str) -> None:
        self.reasons, self.nearest = tuple(reasons), nearest
        values = ", ".join(f"{name}: {plain(value)}" for name, value in structs.asdict(nearest.fit).items())
        super().__init__(
            f"{form} cannot say this preprocessing: " + "; ".join(self.reasons),
            f"the nearest that it can: fit: {{type: {nearest.fit.__struct_config__.tag}, {values}}}, order: {nearest.order},"
            f" which is {shown}",
        )


def read(params: Any) -> Preprocess:
    """The preprocessing that a vdsp JSON (as data) says. Raises VdspError with every fault of it."""
    if found := faults(params):
        raise VdspError(found, "the keys and words that are known: zoo/pose/vdsp_keys.py" if any(one.form for one in found) else "")
    config = params["OpConfig"]
    size = {"width": config["OimageWidth"], "height": config["OimageHeight"]}
    fit: Fit = Stretch(**size)
    arriving = IIMAGE_FORMATS[config["IimageFormat"]]
    if OP_TYPES[params["OpType"]][0] == "letterbox":
        first, second, third = map(float, config.get("Padding", (0, 0, 0)))
        fit = Letterbox(**size, pad=(first, second, third) if arriving == "bgr" else (third, second, first))
    turned = COLOR_CVT_CODES[config["ColorCvtCode"]]
    mean, std = _normalisation(config)
    return Preprocess(fit=fit, colour="bgr" if (turned[1] if turned else arriving) == "bgr" else "rgb", mean=mean, std=std)


def _normalisation(config: Mapping[str, Any]) -> tuple[Triple, Triple]:
    known = NORMA_TYPES[config["NormaType"]]
    if known:
        return (known[0],) * 3, (known[1],) * 3
    scale = 255.0 if config["NormaType"] == "DIV255_MINUSMEAN_DIVSTD" else 1.0
    first, second, third = (float(value) * scale for value in config["Mean"])
    one, two, three = (float(value) * scale for value in config["Std"])
    return (first, second, third), (one, two, three)


def write(preprocess: Preprocess, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """The vdsp JSON, as data, that says what `preprocess` does.

    `size` (width, height) is the network's fixed input where it has one: the nearest takes it where the fit leaves the size open.
    Raises Unsayable with all that cannot be said, and the nearest that can.
    """
    reasons, near = nearest(preprocess, size)
    if reasons:
        raise Unsayable("vdsp", reasons, near, json.dumps(_written(near)))
    return _written(near)


def nearest(preprocess: Preprocess, size: tuple[int, int] | None = None) -> tuple[list[str], Preprocess]:
    """What Vastai's fused operators cannot do of `preprocess`, and the nearest that they can; with no reasons it is the same."""
    reasons, fit = [], preprocess.fit
    if fit.interpolation != "linear":
        reasons.append(f"interpolation {fit.interpolation} (it resizes with linear)")
    if isinstance(fit, Height):
        reasons.append("a width that follows the image, as of the fit `height` (its output has one size)")
        width, height = size or (max(fit.min_width, fit.height), fit.height)
        near: Fit = Letterbox(width=width, height=height, pad=fit.pad)
    else:
        near = structs.replace(fit, interpolation="linear")
    if isinstance(near, Letterbox):
        if getattr(fit, "place", "center") == "corner":
            reasons.append("place corner (it puts the image in the middle)")
        blue, green, red = (float(min(255, max(0, round(value)))) for value in near.pad)
        whole = (blue, green, red)
        if whole != near.pad:
            reasons.append(f"padding {plain(near.pad)} (it pads with whole numbers from 0 to 255)")
        near = structs.replace(near, place="center", pad=whole)
    if preprocess.order != "resize_then_normalize":
        reasons.append("order normalize_then_resize (it resizes 8-bit pixels)")
    return reasons, structs.replace(preprocess, fit=near, order="resize_then_normalize")


def text(preprocess: Preprocess, size: tuple[int, int] | None = None) -> str:
    """`write` as the text of a file. Raises Unsayable."""
    return json.dumps(write(preprocess, size), indent=2) + "\n"


def _written(preprocess: Preprocess) -> dict[str, Any]:
    """The JSON of a preprocessing that can be said."""
    fit = preprocess.fit
    boxed = isinstance(fit, Letterbox)
    width, height = fit.affine((1, 1)).input
    config = {
        "IimageFormat": "RGB_PLANAR",
        **{f"{image}{axis}": side for image in ("Iimage", "Oimage") for axis, side in (("Width", width), ("Height", height))},
        "IimageWidthPitch": width,
        "IimageHeightPitch": height,
        "Mean": plain(preprocess.mean),
        "Std": plain(preprocess.std),
        "NormaType": "EQUAL" if not any(preprocess.mean) and set(preprocess.std) == {1.0} else "MINUSMEAN_DIVSTD",
        "ColorCvtCode": "RGB2BGR" if preprocess.colour == "bgr" else "NO_CHANGE",
        "ResizeType": "BILINEAR_CV",
    }
    if boxed:
        config["Padding"] = plain(fit.border[::-1])
    return {"OpType": f"FUSION_OP_RGB_{'LETTERBOX' if boxed else 'RESIZE'}_CVTCOLOR_NORM_TENSOR", "OpConfig": config}


def plain(value: Any) -> Any:
    """Numbers without a `.0`, lists for tuples."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
