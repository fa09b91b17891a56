"""`Preprocess` in the words of vamc's `process_ops`, the steps by which Vastai's compiler prepares the images that it calibrates on.

What its keys leave open is taken as the files of its zoo use them:

* DecodeImage gives RGB. Files whose mean and deviation are ImageNet's in the order RGB have no colour step, and the BGR networks
  beside them have one in their vdsp JSON.
* Resize takes [height, width] and is OpenCV's bilinear; with [side, -1] and `adaptive_side: long` it keeps the aspect.
* Pad with `pad_to_square` is the LETTERBOX without Padding of the vdsp JSON that such files come with: black, the image in the middle.
* Normalize divides by 255 first unless `div255: false`; mean and deviation are in the order of channels that it meets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta, structs

from zoo.errors import ZooError
from zoo.pose.fits import Fit, Letterbox, Stretch
from zoo.pose.preprocess import Positive, Preprocess
from zoo.pose.vdsp_writer import Unsayable, nearest, plain
from zoo.record import Choice

Side = Annotated[int, Meta(ge=1)]
Triple = tuple[float, float, float]
BLACK = (0.0, 0.0, 0.0)


class DecodeImage(Choice, frozen=True, kw_only=True, tag="DecodeImage"):
    """A file becomes 8-bit RGB."""


class Resize(Choice, frozen=True, kw_only=True, tag="Resize"):
    """To [height, width]; to [side, -1] with `adaptive_side`."""

    size: tuple[Side, Annotated[int, Meta(ge=-1)]]
    adaptive_side: Literal["long"] | None = None


class Pad(Choice, frozen=True, kw_only=True, tag="Pad"):
    """To a square."""

    pad_to_square: Literal[True]


class CvtColor(Choice, frozen=True, kw_only=True, tag="CvtColor"):
    """Turn the channels."""

    code: Literal["RGB2BGR", "BGR2RGB"]


class Normalize(Choice, frozen=True, kw_only=True, tag="Normalize"):
    """(x - mean) / std, of x / 255 where `div255`."""

    div255: bool = True
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)


class ToTensor(Choice, frozen=True, kw_only=True, tag="ToTensor"):
    """(H, W, 3) -> (1, 3, H, W) float32."""


Op = DecodeImage | Resize | Pad | CvtColor | Normalize | ToTensor
_IN_ORDER = re.compile(r"DecodeImage (CvtColor )?Resize (Pad )?(CvtColor )?(Normalize )?ToTensor")


class OpsError(ZooError):
    """`process_ops` that say no `Preprocess`."""

    exit_code: ClassVar[int] = 2


def read(ops: Any) -> Preprocess:
    """The preprocessing that `process_ops` (as data) say. Raises OpsError where they say none, or in words not known here."""
    try:
        steps = msgspec.convert(ops, tuple[Op, ...])
    except msgspec.ValidationError as error:
        raise OpsError(f"process_ops: {error}", f"the steps that can be followed: {', '.join(map(_tag, get_args(Op)))}") from error
    names = " ".join(map(_tag, steps))
    if not (match := _IN_ORDER.fullmatch(names)) or (match[1] and match[3]):
        raise OpsError(
            f"process_ops: {names} is not an order that can be followed", "DecodeImage, Resize, Pad, CvtColor, Normalize, ToTensor"
        )
    by_name = {_tag(step): step for step in steps}
    resize, turn, normal = by_name["Resize"], by_name.get("CvtColor"), by_name.get("Normalize", Normalize(div255=False))
    if not isinstance(resize, Resize) or not isinstance(normal, Normalize):
        raise AssertionError("a step is not what its name says")
    if isinstance(turn, CvtColor) and turn.code != "RGB2BGR":
        raise OpsError("process_ops: CvtColor BGR2RGB, and DecodeImage gives RGB", "leave CvtColor away for RGB; RGB2BGR gives BGR")
    scale = 255.0 if normal.div255 else 1.0
    return Preprocess(
        fit=_fit(resize, "Pad" in by_name), colour="bgr" if turn else "rgb", mean=_times(normal.mean, scale), std=_times(normal.std, scale)
    )


def _fit(resize: Resize, padded: bool) -> Fit:
    height, width = resize.size
    if resize.adaptive_side and width == -1 and padded:
        return Letterbox(width=height, height=height, pad=BLACK)
    if resize.adaptive_side or padded or width < 1:
        whole = f"Resize to {list(resize.size)}" + " with adaptive_side" * bool(resize.adaptive_side) + " and Pad" * padded
        raise OpsError(
            f"process_ops: {whole} gives no size that is known",
            "[height, width]; or [side, -1] with `adaptive_side: long` and Pad with `pad_to_square: true`",
        )
    return Stretch(width=width, height=height)


def write(preprocess: Preprocess, size: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """The `process_ops`, as data, that say what `preprocess` does.

    `size` (width, height) is the network's fixed input where it has one: the nearest takes it where the fit leaves the size open.
    Raises Unsayable with all that cannot be said, and the nearest that can.
    """
    reasons, near = nearest(preprocess, size)
    if isinstance(near.fit, Letterbox):
        side = max(near.fit.width, near.fit.height)
        if near.fit.width != near.fit.height:
            reasons.append(f"a letterbox of {near.fit.width}x{near.fit.height} (it pads to squares)")
        if near.fit.pad != BLACK:
            reasons.append(f"padding {plain(near.fit.pad)} (it pads with black)")
        near = structs.replace(near, fit=Letterbox(width=side, height=side, pad=BLACK))
    if reasons:
        raise Unsayable("vamc", dict.fromkeys(reasons), near, json.dumps(_written(near)))
    return _written(near)


def _written(preprocess: Preprocess) -> list[dict[str, Any]]:
    width, height = preprocess.fit.affine((1, 1)).input
    boxed = isinstance(preprocess.fit, Letterbox)
    ops: list[dict[str, Any]] = [{"type": "DecodeImage"}]
    ops += [{"type": "Resize", "size": [height, -1 if boxed else width], **({"adaptive_side": "long"} if boxed else {})}]
    ops += [{"type": "Pad", "pad_to_square": True}] if boxed else []
    ops += [{"type": "CvtColor", "code": "RGB2BGR"}] if preprocess.colour == "bgr" else []
    ops += [{"type": "Normalize", "div255": False, "mean": plain(preprocess.mean), "std": plain(preprocess.std)}]
    return [*ops, {"type": "ToTensor"}]


def _tag(step: Any) -> str:
    return str(step.__struct_config__.tag)


def _times(values: Iterable[float], scale: float) -> Triple:
    first, second, third = (value * scale for value in values)
    return first, second, third
