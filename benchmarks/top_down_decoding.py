"""What decoding the outputs of a top-down network takes, for N persons at once, beside a plain loop over persons and keypoints.

    OMP_NUM_THREADS=1 python benchmarks/top_down_decoding.py [--rounds 25]

The outputs are gaussians with noise of the sizes of SimplePose's (17 maps of 64 x 48) and RTMPose's (17 vectors of 384 and 512). The
ways take turns, with one thread each; that they find the same is checked before.
"""

import statistics
from functools import partial
from typing import Any

import numpy as np
from common import faster, head, on_one_thread, plain_module, row, side_by_side
from persons import COUNTS, SIZE, noisy

from zoo.pose.decoders import HeatmapsDecoder, SimccDecoder
from zoo.pose.geometry import Affine

plain_crops = plain_module("plain_crops")


def boxes_of(count: int, random: np.random.Generator) -> list[Affine]:
    """Boxes of the input's aspect anywhere in an image of 640 x 480."""
    found = []
    for left, top, width in random.uniform((0, 0, 40), (400, 200, 240), (count, 3)):
        scale = SIZE[0] / width
        found.append(Affine(np.array([[scale, 0, -left * scale], [0, scale, -top * scale]]), (640, 480), SIZE, (0, 0, *SIZE)))
    return found


def decoding(rounds: int) -> None:
    """The table of the decoders alone."""
    print(head("outputs", "persons", "loop, ms a person", "decode_crops, ms a person", "times as fast (quartiles)"))
    random = np.random.default_rng(0)
    vectors = SimccDecoder(x="x", y="y")
    maps = {refine: HeatmapsDecoder(heatmaps="maps", refine=refine) for refine in ("quarter", "dark")}
    for batch in COUNTS:
        affines, points, seen = boxes_of(batch, random), random.uniform((8, 8), (184, 248), (batch, 17, 2)), np.ones((batch, 17))
        heat = {"maps": noisy(maps["dark"].encode(points, seen, SIZE, 2)[0], random)}
        simcc = dict(zip("xy", (noisy(one, random) for one in vectors.encode(points, seen, SIZE, (4.9, 5.66))[:2]), strict=True))
        cases: dict[str, tuple[Any, Any]] = {
            f"17 x 64 x 48, {refine}": (
                partial(plain_crops.heatmaps, heat["maps"], affines, getattr(plain_crops, refine)),
                partial(decoder.decode_crops, heat, affines),
            )
            for refine, decoder in maps.items()
        }
        cases["17 x 384 / 512"] = partial(plain_crops.simcc, simcc["x"], simcc["y"], affines), partial(vectors.decode_crops, simcc, affines)
        for name, (loop, decode) in cases.items():
            if not all(np.allclose(one, other, equal_nan=True) for one, other in zip(loop(), decode(), strict=True)):
                raise SystemExit(f"{name}, {batch} persons: the keypoints differ")
            times = side_by_side({"loop": loop, "decode_crops": decode}, rounds)
            each = (f"{statistics.median(times[way]) * 1000 / batch:.4f}" for way in ("loop", "decode_crops"))
            print(row(name, batch, *each, faster(times["loop"], times["decode_crops"], 1)), flush=True)


if __name__ == "__main__":
    on_one_thread(__doc__, decoding, rounds=25)
