"""How long it takes to make people of maps: Lightweight OpenPose's demo protocol in plain NumPy, and the zoo's decoder in its ways.

    OMP_NUM_THREADS=1 python benchmarks/decode.py [--rounds 9]

The maps are those of human_pose_estimation_0001 at height 256 for the images of coco_mini, and for persons of coco_mini tiled on a
canvas, each in a cell of 96 x 128 or 48 x 64 pixels of the network's input. All ways take turns, one thread each. The plain way and
`full` must find the same poses, and NumPy and Numba too. Needs the extra `fast`.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from common import Call, head, machine, open_recipe, ratio, row, side_by_side
from persons import somebody

import zoo.api
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import PafDecoder, lazy, paf
from zoo.pose.fits import Height
from zoo.pose.geometry import View
from zoo.pose.keypoints import Poses

sys.path.append(str(Path(__file__).parents[1] / "tests/unit"))
import plain_lightweight

RECIPE = "human_pose_estimation_0001"
CELLS = ((96, 128), (48, 64))
CROWDS = (1, 4, 16, 64)
WAYS = ("plain", "full", "NumPy", "Numba")


def maps_of(model: Estimator, image: np.ndarray, fit: Height) -> View:
    """What the network says of an image."""
    tensor, affine = model.preprocess.with_fit(fit, "resize_then_normalize").prepare(image)
    return View(model.runner({next(iter(model.runner.inputs)): tensor}), affine)


def canvas(count: int, cell: tuple[int, int]) -> np.ndarray:
    """`count` persons of coco_mini in a square of cells, the same ones each time."""
    side = round(count**0.5)
    cells = [cv2.resize(person.pixels, cell, interpolation=cv2.INTER_AREA) for person in somebody(count)]
    return np.concatenate([np.concatenate(cells[line * side : (line + 1) * side], axis=1) for line in range(side)])


@contextmanager
def numpy_alone() -> Iterator[None]:
    """As where Numba is not installed."""
    kept, paf.compiled = paf.compiled, lambda: None
    try:
        yield
    finally:
        paf.compiled = kept


def in_numpy(decoder: PafDecoder, view: View) -> Poses:
    with numpy_alone():
        return decoder.decode(*view)


def ways(demo: PafDecoder, fast: PafDecoder, view: View) -> dict[str, Call]:
    heat, pafs = view.outputs[demo.heatmaps][0], view.outputs[demo.pafs][0]
    return {
        "plain": partial(plain_lightweight.people, heat, pafs, view.affine),
        "full": partial(demo.decode, *view),
        "NumPy": partial(in_numpy, fast, view),
        "Numba": partial(fast.decode, *view),
    }


def people(calls: dict[str, Callable[[], object]]) -> tuple[int, int]:
    """How many the demo's protocol and the lazy one find; stops where two ways of one protocol differ."""
    plain, scores = calls["plain"]()  # type: ignore[misc]
    found = {name: calls[name]() for name in WAYS[1:]}
    full, one, other = (poses for poses in found.values() if isinstance(poses, Poses))
    same = np.array_equal(plain, np.nan_to_num(full.keypoints, nan=-1)) and np.allclose(scores, full.instance_scores, rtol=1e-5)
    if not same or not np.array_equal(one.keypoints, other.keypoints, equal_nan=True):
        raise SystemExit("the poses differ")
    return len(full), len(one)


def line(name: str, size: str, found: str, times: dict[str, list[float]]) -> str:
    milliseconds = (f"{statistics.median(times[way]) * 1000:.3f}" for way in WAYS)
    faster = (ratio(times["plain"], times[way]) for way in WAYS[2:])
    return row(name, size, found, *milliseconds, *(f"{middle:.1f} ({low:.1f}-{high:.1f})" for middle, low, high in faster))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    if lazy.compiled() is None:
        raise SystemExit("Numba is not installed: pip install 'pose-zoo[fast]'")
    cv2.setNumThreads(1)
    session, recipe = open_recipe(RECIPE)
    declared = recipe.decode
    if not isinstance(declared, PafDecoder):
        raise SystemExit(f"{RECIPE} is not decoded from part affinity fields")
    demo = msgspec.structs.replace(declared, upsample=4, over_image=False, offset=0, whole_pixels=True, instance_score="pose")
    fast = msgspec.structs.replace(declared, resolution="lazy")
    images = session.place.declared.datasets["coco_mini"].open(session.context)
    with zoo.api.load(RECIPE, "onnxruntime-fp32", threads=1) as model:
        if not isinstance(model, Estimator):
            raise SystemExit(f"{RECIPE} is no single network")
        photographs = [maps_of(model, images.read(sample), Height(height=256, min_width=256)) for sample in images.samples]
        crowds = [
            (count, cell, maps_of(model, image := canvas(count, cell), Height(height=len(image)))) for cell in CELLS for count in CROWDS
        ]
    print(machine(1), "\n")
    names = [f"{way}, ms" for way in ("plain", "full", "lazy, NumPy", "lazy, Numba")]
    print(head("maps", "input", "people: full, lazy", *names, "NumPy, times plain (quartiles)", "Numba, times plain (quartiles)"))
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    counts = []
    for view in photographs:
        calls = ways(demo, fast, view)
        counts.append(people(calls))
        for way, times in side_by_side(calls, 3, block=1).items():
            whole[way].append(statistics.median(times))
    found = ", ".join(f"{statistics.mean(kind):.1f}" for kind in zip(*counts, strict=True))
    print(line(f"coco_mini, median of {len(photographs)}", "height 256", found, whole), flush=True)
    for count, cell, view in crowds:
        calls = ways(demo, fast, view)
        size = "{} x {}".format(*view.affine.input)
        print(
            line(f"{count} tiled, {cell[0]} x {cell[1]} each", size, "{}, {}".format(*people(calls)), side_by_side(calls, rounds, block=1)),
            flush=True,
        )


if __name__ == "__main__":
    main()
