"""`Preprocess` written as vdsp JSON, or why it cannot be, with the nearest that can; `zoo.pose.vdsp` reads it and says what it means.

Every build writes one. What is read, and how its faults are worded, is kept apart: it changes no model, and must not outdate any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec import structs

from zoo.errors import ZooError
from zoo.pose.fits import Box, Fit, Height, Letterbox, ShortSide, Stretch
from zoo.pose.preprocess import Preprocess


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
        width, height = size or (max(fit.min_width, fit.height), max(fit.min_height, fit.height))
        near: Fit = Letterbox(width=width, height=height, pad=fit.pad)
    elif isinstance(fit, ShortSide):
        reasons.append("a longer side that follows the image, as of the fit `short_side` (its output has one size)")
        width, height = size or (fit.side, fit.side)
        near = Stretch(width=width, height=height)
    elif isinstance(fit, Box):
        reasons.append("a part of the image, as of the fit `box` (it takes whole images: what is shown to it has to be cut out before)")
        near = Stretch(width=fit.width, height=fit.height)
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
    if preprocess.dtype != "float32":
        reasons.append(f"an input of {preprocess.dtype} (what it gives is normalised, in float)")
    return reasons, structs.replace(preprocess, fit=near, order="resize_then_normalize", dtype="float32")


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
