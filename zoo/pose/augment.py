"""How an image is varied to be learnt from: one affine map, a mirror and colours, for image, keypoints and mask alike."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.record import Record

Range = tuple[float, float]


class Colour(Record, frozen=True, kw_only=True):
    """How far brightness, contrast, saturation and hue may move. All zero: colours stay."""

    brightness: Annotated[float, Meta(description="In parts of the full level: 0.2 is 51 levels at most, up or down.", ge=0, le=1)] = 0.0
    contrast: Annotated[float, Meta(description="0.2: the difference to the mean times 0.8 to 1.2.", ge=0, lt=1)] = 0.0
    saturation: Annotated[float, Meta(description="0.2: the difference to grey times 0.8 to 1.2.", ge=0, lt=1)] = 0.0
    hue: Annotated[float, Meta(description="In degrees, either way.", ge=0, le=180)] = 0.0


class Augment(Record, frozen=True, kw_only=True):
    """What is drawn anew for each example of each epoch. The defaults are Lightweight OpenPose's."""

    scale: Annotated[Range, Meta(description="The person's size is `target` times one of this range.")] = (0.5, 1.1)
    target: Annotated[
        float,
        Meta(description="The person's longer side at scale 1, in parts of the crop's height; 0: scale is of the image itself.", ge=0),
    ] = 0.6
    rotate: Annotated[float, Meta(description="Degrees, either way.", ge=0, le=180)] = 40.0
    spread: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Rotation is drawn from a normal distribution of `rotate` / this, cut at `rotate`; none: evenly."),
    ] = None
    shift: Annotated[float, Meta(description="The crop's centre moves at most so far, in pixels of the crop.", ge=0)] = 40.0
    flip: Annotated[float, Meta(description="How often it is mirrored.", ge=0, le=1)] = 0.5
    colour: Colour = Colour()
