"""The keys and words of Vastai's vdsp JSON, what they mean for a tensor, and what is wrong with one that misuses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

#: OpType -> the fit that it is, or None where no fit of ours is that, with what it does
OP_TYPES: Mapping[str, tuple[Literal["stretch", "letterbox"] | None, str]] = {
    "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR": ("stretch", "resizes to one width and height"),
    "FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR": ("letterbox", "keeps the aspect, pads, the image in the middle"),
    "FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR_EXT": (None, "resizes and pads by amounts that are right for one shape of image"),
    "FUSION_OP_RGB_RESIZE_CVTCOLOR_CROP_NORM_TENSOR": (None, "cuts a part of the resized image, and poses are decoded over whole images"),
    "FUSION_OP_RGB_CROP_RESIZE_CVTCOLOR_NORM_TENSOR": (None, "cuts a part of the image, and poses are decoded over whole images"),
    "FUSION_OP_RGB_CVTCOLOR_NORM_TENSOR": (None, "leaves the image in its size"),
    "FUSION_OP_YUV_NV12_RESIZE_2RGB_NORM_TENSOR": (None, "takes NV12 video, and images are BGR"),
    "FUSION_OP_YUV_NV12_CVTCOLOR_RESIZE_NORM_TENSOR": (None, "takes NV12 video, and images are BGR"),
    "FUSION_OP_YUV_NV12_CVTCOLOR_LETTERBOX_NORM_TENSOR": (None, "takes NV12 video, and images are BGR"),
    "FUSION_OP_YUV_NV12_LETTERBOX_2RGB_NORM_TENSOR": (None, "takes NV12 video, and images are BGR"),
}
#: NormaType -> (mean, std) of input = (pixel - mean) / std in 0..255; None: it takes `Mean` and `Std`, in 0..1 or 0..255
NORMA_TYPES: Mapping[str, tuple[float, float] | None] = {
    "EQUAL": (0.0, 1.0),
    "DIV255": (0.0, 255.0),
    "DIV1275_MINUSONE": (127.5, 127.5),
    "MINUSMEAN_DIVSTD": None,
    "DIV255_MINUSMEAN_DIVSTD": None,
}
#: ColorCvtCode -> the order of channels that it takes and the one that it gives; None: any, and as it came
COLOR_CVT_CODES: Mapping[str, tuple[str, str] | None] = {"NO_CHANGE": None, "BGR2RGB": ("bgr", "rgb"), "RGB2BGR": ("rgb", "bgr")}
#: IimageFormat -> the order of its channels
IIMAGE_FORMATS: Mapping[str, Literal["rgb", "bgr"] | None] = {"RGB_PLANAR": "rgb", "RGB888": "rgb", "BGR888": "bgr", "YUV_NV12": None}
#: ResizeType -> whether it is `linear`, OpenCV's bilinear with half-pixel centres, or else how it differs
RESIZE_TYPES: Mapping[str, str | None] = {
    "BILINEAR_CV": None,
    "BILINEAR_PILLOW": "smooths over all pixels that one of the result covers, which no interpolation of `fit` does",
    "BILINEAR": "does not say where the centre of a pixel lies",
}

_WORDS: Mapping[str, Mapping[str, object]] = {
    "IimageFormat": IIMAGE_FORMATS,
    "NormaType": NORMA_TYPES,
    "ColorCvtCode": COLOR_CVT_CODES,
    "ResizeType": RESIZE_TYPES,
}
_TOP = ("OpType", "OpConfig")
_SIZES = ("Iimage", "Oimage")
_NUMBERS: Mapping[str, int] = {
    **{f"{image}{axis}{pitch}": 1 for image in _SIZES for axis in ("Width", "Height") for pitch in ("", "Pitch")},
    **{"ResizeWidth": 1, "ResizeHeight": 1, "CropX": 0, "CropY": 0, "CropWidth": 1, "CropHeight": 1},
    **{"PaddingTop": 0, "PaddingBottom": 0, "PaddingLeft": 0, "PaddingRight": 0},
}
_TRIPLES = ("Mean", "Std", "Padding")
#: every key of `OpConfig`
KEYS = (*_WORDS, *_NUMBERS, *_TRIPLES)
_NEEDED = ("IimageFormat", "OimageWidth", "OimageHeight", "NormaType", "ColorCvtCode", "ResizeType")
#: keys that mean something to these operators alone
_OWN = {
    **dict.fromkeys(("ResizeWidth", "ResizeHeight"), ("CROP", "_EXT")),
    **dict.fromkeys(("CropX", "CropY", "CropWidth", "CropHeight"), ("CROP",)),
    "Padding": ("LETTERBOX",),
    **dict.fromkeys(("PaddingTop", "PaddingBottom", "PaddingLeft", "PaddingRight"), ("_EXT",)),
}
MAX_SIDE = 16384
#: no mean or deviation of pixels comes near
LIMIT = 1e6


class Fault(NamedTuple):
    """One fault of a vdsp JSON."""

    path: tuple[str | int, ...]
    """Where it stands, as in ("OpConfig", "NormaType")."""
    message: str
    key: bool = False
    """Whether the key is at fault, and not its value."""
    form: bool = True
    """Whether the JSON is wrong in itself; otherwise it is a good one, and no `Preprocess` says the same."""

    def __str__(self) -> str:
        where = ".".join(map(str, self.path))
        return f"{where}: {self.message}" if where else self.message


def faults(params: Any) -> list[Fault]:
    """Every fault of a vdsp JSON: first those of its form, and where there are none what no `Preprocess` says."""
    if not isinstance(params, dict):
        return [Fault((), f"a vdsp JSON is an object with OpType and OpConfig, this is {_found(params)}")]
    found = [Fault((name,), "unknown key" + _near(name, _TOP), key=True) for name in params if name not in _TOP]
    found += [Fault((), f"missing key '{name}'") for name in _TOP if name not in params]
    op, config = params.get("OpType"), params.get("OpConfig")
    if "OpType" in params:
        found += _word(("OpType",), op, OP_TYPES)
    if isinstance(config, dict):
        found += _config(config)
        if not found:
            found += _together(str(op), config)
    elif "OpConfig" in params:
        found.append(Fault(("OpConfig",), f"expected an object, found {_found(config)}"))
    return found or _unsaid(params["OpType"], params["OpConfig"])


def _config(config: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with each key of `OpConfig` by itself."""
    found = [Fault(("OpConfig",), f"missing key '{name}'") for name in _NEEDED if name not in config]
    for name, value in config.items():
        path = ("OpConfig", name)
        if name in _WORDS:
            found += _word(path, value, _WORDS[name])
        elif name in _NUMBERS:
            if type(value) is not int or not _NUMBERS[name] <= value <= MAX_SIDE:
                found.append(Fault(path, f"expected a whole number from {_NUMBERS[name]} to {MAX_SIDE}, found {_found(value)}"))
        elif name not in _TRIPLES:
            found.append(Fault(path, "unknown key" + _near(name, KEYS), key=True))
        elif not isinstance(value, list) or len(value) != 3:
            found.append(Fault(path, f"expected a list of 3 numbers, found {_found(value)}"))
        else:
            for place, number in enumerate(value):
                if not _number(number):
                    found.append(Fault((*path, place), f"expected a number, found {_found(number)}"))
                elif name == "Padding" and not (number == int(number) and 0 <= number <= 255):
                    found.append(Fault((*path, place), f"expected a whole number from 0 to 255, found {_found(number)}"))
    return found


def _together(op: str, config: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with how the keys fit each other."""
    found = []
    for name, own in _OWN.items():
        if name in config and not any(part in op for part in own):
            found.append(Fault(("OpConfig", name), f"means nothing to {op}", key=True))
    if NORMA_TYPES[config["NormaType"]] is None:
        found += [
            Fault(("OpConfig",), f"missing key '{name}', which {config['NormaType']} takes")
            for name in ("Mean", "Std")
            if name not in config
        ]
        for place, number in enumerate(config.get("Std", ())):
            if number <= 0:
                found.append(Fault(("OpConfig", "Std", place), f"expected more than 0, found {_found(number)}"))
    turned, arriving = COLOR_CVT_CODES[config["ColorCvtCode"]], IIMAGE_FORMATS[config["IimageFormat"]]
    if turned and arriving and turned[0] != arriving:
        message = f"takes {turned[0].upper()}, and {config['IimageFormat']} is {arriving.upper()}"
        other = next(code for code, orders in COLOR_CVT_CODES.items() if orders and orders[0] == arriving)
        found.append(Fault(("OpConfig", "ColorCvtCode"), f"{message}: NO_CHANGE leaves it {arriving.upper()}, {other} turns it"))
    return found


def _unsaid(op: str, config: Mapping[str, Any]) -> list[Fault]:
    """What no `Preprocess` says."""
    found = []
    fit, does = OP_TYPES[op]
    if fit is None:
        hint = "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR and FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR can be followed"
        found.append(Fault(("OpType",), f"{op} {does}: {hint}", form=False))
    elif IIMAGE_FORMATS[config["IimageFormat"]] is None:
        found.append(Fault(("OpConfig", "IimageFormat"), f"{config['IimageFormat']} has no channels in the order RGB or BGR", form=False))
    if differs := RESIZE_TYPES[config["ResizeType"]]:
        found.append(Fault(("OpConfig", "ResizeType"), f"{config['ResizeType']} {differs}: BILINEAR_CV is `linear`", form=False))
    return found


def _word(path: tuple[str | int, ...], value: Any, known: Iterable[str]) -> list[Fault]:
    known = list(known)
    if isinstance(value, str) and value in known:
        return []
    return [Fault(path, f"{_found(value)} is not known{_near(value, known)}")]


def _near(value: Any, known: Iterable[str]) -> str:
    word, known = str(value), list(known)
    near = get_close_matches(word, known, n=1, cutoff=0.5) or [name for name in known if name.lower() == word.lower()]
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return f"{meant} (known: {', '.join(known)})"


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LIMIT


def _found(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = f"'{value}'" if isinstance(value, str) else "null" if value is None else str(value).lower()
    return text if len(text) <= 40 else text[:37] + "..."
