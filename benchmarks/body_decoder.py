"""How long pytorch-openpose's body protocol takes to decode, beside a plain transcription of it that finds the same poses.

    OMP_NUM_THREADS=1 python benchmarks/body_decoder.py [--rounds 9]

The maps are those of six photographs (`$ZOO_ASSETS/goldens/pre_post/bottomup_maps.npz`, input height 256), and one person
cut out of them and tiled. The two ways take turns, with one thread each; the poses of both are compared before.
"""

import json
import os
import statistics
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from common import faster, head, on_one_thread, open_recipe, plain_module, ratio, row, side_by_side

from zoo.pose.decoders import PafDecoder
from zoo.pose.geometry import Affine, View

plain_openpose = plain_module("plain_openpose")

ASSETS = Path(os.environ.get("ZOO_ASSETS", Path(__file__).parents[1] / "../shared/assets")) / "goldens/pre_post"
IMAGES = ("197388", "196141", "217285", "78915", "541055", "40083")
#: a photograph, and the rows and columns of its maps that hold one of its people and no one else
PERSON = ("197388", slice(1, 23), slice(0, 11))
CROWDS = (1, 4, 16, 64)

#: heatmaps (19, h, w) and part affinity fields (38, h, w), and where the image lay in the input
Case = tuple[np.ndarray, np.ndarray, Affine]


def photograph(image: str) -> Case:
    """At an input height of 256, padded on the right."""
    facts = json.loads((ASSETS / "bottomup_poses.json").read_text(encoding="utf-8"))[image]
    with np.load(ASSETS / "bottomup_maps.npz") as file:
        heat, paf = (file[f"{image}.hz_h256.{name}"].astype(np.float32) for name in ("heatmaps", "pafs"))
    return heat, paf, laid(heat, (facts["width"], facts["height"]), round(facts["width"] * (256 / facts["height"])))


def crowd(count: int) -> Case:
    """One person tiled in a square, in an image of the photograph's scale. Every copy differs a little in strength: equal ones
    would be ordered by their last digits."""
    image, rows, columns = PERSON
    side, strength = round(count**0.5), np.random.default_rng(0).uniform(0.85, 1.1, count)
    heat, paf, affine = photograph(image)
    heat, paf = (
        np.concatenate(
            [
                np.concatenate([maps[:, rows, columns] * np.float32(factor) for factor in line], axis=2)
                for line in strength.reshape(side, side)
            ],
            axis=1,
        )
        for maps in (heat, paf)
    )
    scale = affine.image[1] / affine.content[3]
    return heat, paf, laid(heat, (round(heat.shape[2] * 8 * scale), round(heat.shape[1] * 8 * scale)), heat.shape[2] * 8)


def laid(maps: np.ndarray, image: tuple[int, int], width: int) -> Affine:
    """An image that fills the height of the input, and this much of its width."""
    size = (maps.shape[2] * 8, maps.shape[1] * 8)
    return Affine(np.array([[width / image[0], 0, 0], [0, size[1] / image[1], 0]]), image, size, (0, 0, width, size[1]))


def equal(decoder: PafDecoder, case: Case) -> tuple[int, int]:
    """How many candidates and people both find; stops where they are not the same ones."""
    heat, paf, affine = case
    rows, subset = plain_openpose.body(heat, paf, affine)
    candidates, people, _ = decoder.find([View({"heat": heat[None], "paf": paf[None]}, affine)])
    same = np.array_equal(candidates.points, rows[:, :2]) and np.array_equal(people.ids, subset[:, :18])
    if not (same and np.allclose(people.scores, subset[:, 18], atol=1e-4)):
        raise SystemExit("the poses differ")
    return len(candidates), len(people)


def decoding(rounds: int) -> None:
    """The table of photographs and crowds."""
    declared = open_recipe("openpose_body")[1].decode
    if not isinstance(declared, PafDecoder):
        raise SystemExit("openpose_body is not decoded from part affinity fields")
    paf_decoder = msgspec.structs.replace(declared, heatmaps="heat", pafs="paf")
    print(head("maps", "image", "candidates", "people", "plain, ms", "decoder, ms", "times as fast (quartiles)"))
    cases = [(image, photograph(image)) for image in IMAGES] + [(f"{count} tiled", crowd(count)) for count in CROWDS]
    ratios = []
    for name, case in cases:
        heat, paf, affine = case
        outputs = {"heat": heat[None], "paf": paf[None]}
        candidates, people = equal(paf_decoder, case)
        calls = {"plain": partial(plain_openpose.body, heat, paf, affine), "decoder": partial(paf_decoder.decode, outputs, affine)}
        times = side_by_side(calls, rounds, block=1)
        if name in IMAGES:
            ratios.append(ratio(times["plain"], times["decoder"])[0])
        slow, quick = (statistics.median(times[way]) * 1000 for way in calls)
        size = "{} x {}".format(*affine.image)
        times_as_fast = faster(times["plain"], times["decoder"], 0)
        print(row(name, size, candidates, people, f"{slow:.0f}", f"{quick:.2f}", times_as_fast), flush=True)
    print(f"\nmedian of the photographs: {statistics.median(ratios):.0f} times as fast (aim: 40)")


if __name__ == "__main__":
    on_one_thread(__doc__, decoding, rounds=9)
