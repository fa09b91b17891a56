"""`Preprocess` in the words of Vastai's vdsp JSON, which configures the fused operators that prepare images on their chips.

A vdsp JSON names an operator (`OpType`) and its attributes (`OpConfig`). The operator's name is its order of work:
RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR resizes and pads 8-bit pixels, then turns the channels, then normalises. So `Mean` and `Std`
stand in the order of the network's channels, and `Padding` in that of the image that comes in.

`IimageWidth`, `IimageHeight` and every pitch say how an image lies in memory; the runtime sets them for each image, and they say
nothing about the tensor. Values may have been rounded to float16 (0.485107421875 for 0.485): what stands there is what counts.

Read here, written by `zoo.pose.vdsp_writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from zoo.errors import ZooError
from zoo.pose.fits import Fit, Letterbox, Stretch
from zoo.pose.preprocess import Preprocess
from zoo.pose.vdsp_keys import COLOR_CVT_CODES, IIMAGE_FORMATS, NORMA_TYPES, OP_TYPES, Fault, faults

Triple = tuple[float, float, float]


class VdspError(ZooError):
    """A vdsp JSON that says no `Preprocess`; all its `faults` at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, faults: Iterable[Fault], hint: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)), hint)


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
