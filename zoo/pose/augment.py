"""How an image is varied to be learnt from: one affine map, a mirror and colours, for image, keypoints and mask alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.fits.resize import warp
from zoo.pose.geometry import Affine
from zoo.record import Record

Range = tuple[float, float]

#: what stands where a crop reaches beyond its image: the middle of all levels
BORDER = 128.0
#: the share of blue, green and red in a grey (ITU-R BT.601)
_GREY = np.array([0.114, 0.587, 0.299])


class Colour(Record, frozen=True, kw_only=True):
    """How far brightness, contrast, saturation and hue may move. All zero: colours stay."""

    brightness: Annotated[float, Meta(description="In parts of the full level: 0.2 is 51 levels at most, up or down.", ge=0, le=1)] = 0.0
    contrast: Annotated[float, Meta(description="0.2: the difference to the mean times 0.8 to 1.2.", ge=0, lt=1)] = 0.0
    saturation: Annotated[float, Meta(description="0.2: the difference to grey times 0.8 to 1.2.", ge=0, lt=1)] = 0.0
    hue: Annotated[float, Meta(description="In degrees, either way.", ge=0, le=180)] = 0.0
    probability: Annotated[float, Meta(description="Of moving any of them; else the image keeps its colours.", ge=0, le=1)] = 1.0

    def draw(self, generator: np.random.Generator) -> Tone | None:
        """What is done to the colours of one image; None where nothing is."""
        limits = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        if not limits.any() or generator.random() >= self.probability:
            return None
        brightness, contrast, saturation, hue = ((2 * generator.random(4) - 1) * limits).tolist()
        return Tone(brightness, 1 + contrast, 1 + saturation, math.radians(hue))


class Tone(NamedTuple):
    """What is done to the colours of one image: all of it is one affine map of blue, green and red."""

    brightness: float
    """Added, in parts of the full level."""
    contrast: float
    """What the difference to the image's mean grey is multiplied by."""
    saturation: float
    """What a colour's difference to its own grey is multiplied by."""
    hue: float
    """What that difference is turned by around the grey axis, in the plane of I and Q of YIQ; in radians."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) BGR -> another one, rounded and cut off at 0 and 255 once, at the end."""
        import cv2

        grey = np.tile(_GREY, (3, 1))
        turned = math.cos(self.hue) * (np.eye(3) - grey) + math.sin(self.hue) * _QUARTER
        linear = self.contrast * (grey + self.saturation * turned)
        mean = float(_GREY @ cv2.mean(image)[:3])
        added = (1 - self.contrast) * mean + 255 * self.brightness
        shifted: NDArray[np.uint8] = cv2.transform(image, np.column_stack([linear, np.full(3, added)]))
        return shifted


def _quarter() -> NDArray[np.float64]:
    """(3, 3): what turns the hue of BGR by 90 degrees, and leaves nothing of its grey."""
    to_yiq = np.array([_GREY, [-0.322, -0.274, 0.596], [0.312, -0.523, 0.211]])
    turn = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return np.linalg.solve(to_yiq, turn @ to_yiq)


_QUARTER = _quarter()


@dataclass(frozen=True, eq=False)
class Variation:
    """One way to vary an image."""

    affine: Affine
    """Pixels of the image -> pixels of the crop, the mirror included."""
    mirrored: bool
    """Whether left and right keypoints change places."""
    tone: Tone | None = None

    def image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) BGR -> the crop, (h, w, 3); bilinear, `BORDER` beyond the image."""
        shifted = self.tone.apply(pixels) if self.tone else pixels
        return np.asarray(warp(shifted, self.affine, "linear", (BORDER, BORDER, BORDER)), np.uint8)

    def keypoints(self, people: NDArray[np.float64], swaps: tuple[int, ...]) -> NDArray[np.float64]:
        """(P, K, 3) x, y in pixels of the image and v -> the same in pixels of the crop, also beyond its edges. `swaps` (K) are those
        of the skeleton."""
        moved = people[:, swaps] if self.mirrored else people.copy()
        moved[..., :2] = self.affine.to_input(moved[..., :2])
        return moved

    def mask(self, ignored: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What is not scored of the image (H, W) -> of the crop (h, w): every pixel that anything of it is mixed into. Nothing is
        beyond the image."""
        counts = np.where(ignored, np.uint8(0), np.uint8(255))[..., None]
        return np.asarray(warp(counts, self.affine, "linear", (255.0, 255.0, 255.0)) < 255)


class Augment(Record, frozen=True, kw_only=True):
    """What is drawn anew for each example of each epoch. The defaults are Lightweight OpenPose's; MindSpore's OpenPose has
    `scale: [0.5, 2]`, `target: 0`, `extent: [64, 512]`, `spread: 3` and colours."""

    scale: Annotated[Range, Meta(description="The height of the person's box becomes `target` times one of this range.")] = (0.5, 1.1)
    target: Annotated[
        float,
        Meta(description="The box's height at scale 1, in parts of the crop's height; 0: scale is of the image itself.", ge=0),
    ] = 0.6
    extent: Annotated[
        Range | None,
        Meta(
            description="`target: 0` alone: the range of the scale is narrowed, at most to 1, so that of all who count nobody's box has a "
            "diagonal of less than the one and more than the other, in pixels of the crop."
        ),
    ] = None
    rotate: Annotated[float, Meta(description="Degrees, either way.", ge=0, le=180)] = 40.0
    spread: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Rotation is drawn from a normal distribution of `rotate` / this, cut at `rotate`; none: evenly."),
    ] = None
    about: Annotated[
        Literal["person", "image"],
        Meta(description="Whose middle the crop's centre is, before it moves: a person's box's, or the image's."),
    ] = "person"
    shift: Annotated[float, Meta(description="The crop's centre moves at most so far, in pixels of the crop.", ge=0)] = 40.0
    flip: Annotated[float, Meta(description="How often it is mirrored.", ge=0, le=1)] = 0.5
    colour: Annotated[Colour, Meta(description="how far colours move")] = Colour()

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale: from the smaller to the greater, both more than 0")
        if self.extent is None:
            return
        if self.target or not self.scale[0] <= 1 <= self.scale[1]:
            raise ValueError("extent: it narrows a scale of the image itself, to 1: with `target: 0` and a range that holds 1")
        if not 0 < self.extent[0] <= self.extent[1]:
            raise ValueError("extent: from the smaller to the greater, both more than 0")

    def draw(
        self,
        generator: np.random.Generator,
        image: tuple[int, int],
        crop: tuple[int, int],
        box: NDArray[np.float64],
        boxes: NDArray[np.float64],
    ) -> Variation:
        """A variation of an image of (width, height) pixels, `crop` (width, height), about the image's middle or that of a person's `box`
        (4,) x1, y1, x2, y2; `boxes` (N, 4) are those of all who count.

        The image is scaled, turned (counterclockwise where the angle is positive), cut out from a whole pixel on and mirrored, all
        at once. As in Lightweight OpenPose a keypoint x becomes x * scale; so does the centre of a pixel, where its resize of the
        image, and of the image alone, takes pixels for areas and moves it by (scale - 1) / 2."""
        even = generator.random(5)
        size = self._scaled(float(even[0]), crop[1], box, boxes)
        degrees = (2 * float(even[1]) - 1) * self.rotate
        if self.spread is not None:
            degrees = float(np.clip(generator.normal(0, self.rotate / self.spread), -self.rotate, self.rotate))
        cosine, sine = size * math.cos(math.radians(degrees)), size * math.sin(math.radians(degrees))
        linear = np.array([[cosine, sine], [-sine, cosine]])
        centre = np.array(image) / 2 if self.about == "image" else (box[:2] + box[2:]) / 2
        middle = linear @ centre + (2 * even[2:4] - 1) * self.shift
        matrix = np.column_stack([linear, -np.trunc(middle - np.array(crop) / 2)])
        mirrored = bool(1 - even[4] <= self.flip)  # never at 0, always at 1: a number that is drawn may be 0 and is never 1
        if mirrored:
            matrix[0] = [-matrix[0, 0], -matrix[0, 1], crop[0] - 1 - matrix[0, 2]]
        return Variation(Affine(matrix, image, crop, (0, 0, *crop)), mirrored, self.colour.draw(generator))

    def _scaled(self, part: float, height: int, box: NDArray[np.float64], boxes: NDArray[np.float64]) -> float:
        """What the image is scaled by, `part` of the way from the least to the most."""
        least, most = self.scale
        if self.extent is not None:
            diagonals = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
            least = min(max(self.extent[0] / diagonals.min(), least), 1)
            most = min(max(self.extent[1] / diagonals.max(), 1), most)
        drawn = least + (most - least) * part
        return drawn * self.target * height / (box[3] - box[1]) if self.target else drawn


def part_counted(ignored: NDArray[np.bool_], stride: int) -> NDArray[np.float32]:
    """What is not scored, (H, W) pixels -> the part of each cell of stride x stride pixels that is scored, (H // stride, W // stride)."""
    import cv2

    rows, columns = ignored.shape[0] // stride, ignored.shape[1] // stride
    counts = np.logical_not(ignored[: rows * stride, : columns * stride]).astype(np.float32)
    return np.asarray(cv2.resize(counts, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
