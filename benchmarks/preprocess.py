"""What it takes to make an input of an image, beside the order of the original evaluation.

    OMP_NUM_THREADS=2 python benchmarks/preprocess.py [--rounds 30] [--images 24] [--threads 2]

Images of coco_mini at the heights 256 and 368, as human_pose_estimation_0001 is fed: cubic, its width a multiple of 8 and at least
its height, grey around it. The original normalises the whole image in floats, resizes these, pads, and puts the channels first.
Its val.py subtracts a tuple, which NumPy takes for float64; beside it stands one that is spared that and works in float32. The ways
take turns, and each goes through all images in its turn; that all give what they should is checked before.
"""

import os
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import arguments, faster, head, machine, ratio, row, side_by_side

from zoo.pose.fits import Height
from zoo.pose.preprocess import Preprocess

MEAN, STD = (128.0, 128.0, 128.0), (256.0, 256.0, 256.0)
REFERENCE = "the original order, float32"
PUBLISHED = "the original order, float64 as val.py"
Way = Callable[[Any], Any]


def original(image: Any, height: int, dtype: Any) -> Any:
    """(H, W, 3) uint8 -> (1, 3, h, w), as Lightweight OpenPose's evaluation goes about it, in `dtype`."""
    pixels = (image.astype(dtype) - np.array(MEAN, dtype)) * dtype(1 / STD[0])
    scale = height / image.shape[0]
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    missing = -(-max(resized.shape[1], height) // 8) * 8 - resized.shape[1]
    padded = cv2.copyMakeBorder(resized, 0, 0, missing // 2, missing - missing // 2, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)


def ways(height: int) -> dict[str, Way]:
    """All of them, by what a table calls them."""
    fit = Height(height=height, min_width=height)
    fused = Preprocess(fit=fit, mean=MEAN, std=STD)
    exact = fused.with_fit(fit, "normalize_then_resize")
    linear = fused.with_fit(Height(height=height, min_width=height, interpolation="linear"))
    prepared: dict[str, Preprocess] = {
        "`normalize_then_resize`, float64 as val.py": exact,
        "`resize_then_normalize`": fused,
        "`resize_then_normalize`, uint8 (folded)": fused.folded("uint8"),
        "`resize_then_normalize`, linear": linear,
        "`resize_then_normalize`, linear, uint8 (folded)": linear.folded("uint8"),
    }
    references: dict[str, Way] = {
        REFERENCE: partial(original, height=height, dtype=np.float32),
        PUBLISHED: partial(original, height=height, dtype=np.float64),
    }
    return references | {name: lambda image, one=one: one.prepare(image)[0] for name, one in prepared.items()}


def check(found: dict[str, Way], image: Any) -> None:
    """That each way gives the original's input: the order of fractions to rounding, 8-bit pixels to a level where nothing overshoots."""
    wanted = found[REFERENCE](image)
    for name, way in found.items():
        tensor = way(image)
        normal = (tensor - MEAN[0]) / STD[0] if tensor.dtype == np.uint8 else tensor
        # a cubic overshoots 0..255 at edges where fractions may and bytes cannot; linear is another picture altogether
        clipped = np.clip(wanted, (0 - MEAN[0]) / STD[0], (255 - MEAN[0]) / STD[0])
        apart = np.abs(normal - (clipped if "resize_then" in name else wanted))
        limit = np.inf if "linear" in name else 1.01 / STD[0] if "resize_then" in name else 1e-4
        if normal.shape != wanted.shape or apart.max() > limit:
            raise SystemExit(f"{name} is {apart.max():.2g} away from the original: nothing of this is comparable")


def one_by_one(way: Way, images: list[Any]) -> None:
    """Each input is given back before the next is made, as it is behind a network."""
    for image in images:
        way(image)


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__, rounds=30)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2, help="OpenCV's")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    assets = Path(os.environ.get("ZOO_ASSETS", "../shared/assets"))
    paths = sorted((assets / "coco_mini/images").glob("*.jpg"))[: options.images]
    images = [image for path in paths if (image := cv2.imread(str(path))) is not None]
    if not images:
        raise SystemExit(f"no images in {assets / 'coco_mini/images'}: set ZOO_ASSETS")
    print(f"{machine(options.threads)}; {len(images)} images of coco_mini, {options.rounds} rounds\n")
    for height in (256, 368):
        found = ways(height)
        check(found, images[0])
        calls = {name: partial(one_by_one, way, images) for name, way in found.items()}
        times = side_by_side(calls, options.rounds, block=1)
        print(head(f"height {height}", "ms an image", "times the float32 original's speed (quartiles)", "times val.py's"))
        for name, seconds in times.items():
            each, published = statistics.median(seconds) / len(images) * 1e3, ratio(times[PUBLISHED], seconds)[0]
            print(row(name, f"{each:.2f}", faster(times[REFERENCE], seconds), f"{published:.1f}"))
        print()


if __name__ == "__main__":
    main()
