"""How long it takes to make people of maps: Lightweight OpenPose's demo protocol in plain NumPy, and the zoo's decoder in its ways.

    OMP_NUM_THREADS=1 python benchmarks/decode.py [--rounds 9]

The maps are those of human_pose_estimation_0001 at height 256 for the images of coco_mini, and for persons of coco_mini tiled on a
canvas, each in a cell of 96 x 128 or 48 x 64 pixels of the network's input. All ways take turns, one thread each. The plain way and
`full` must find the same poses, and NumPy and Numba too. Needs the extra `fast`.

That the plain way is no straw man is measured in the same rounds: its time is held against OpenCV's cubic enlargement of the 57 maps, in
the faster of its two layouts, and the plain grouping of maps that are enlarged already.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import cv2
import msgspec
import numpy as np
from common import Call, faster, head, on_one_thread, open_recipe, plain_module, ratio, row, side_by_side
from persons import somebody

import zoo.api
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import PafDecoder, lazy, paf
from zoo.pose.fits import Height
from zoo.pose.geometry import View
from zoo.pose.keypoints import Poses

plain_lightweight = plain_module("plain_lightweight")

RECIPE = "human_pose_estimation_0001"
CELLS = ((96, 128), (48, 64))
CROWDS = (1, 4, 16, 64)
WAYS = ("plain", "full", "NumPy", "Numba")
#: what the plain way cannot do without: one of the two ways to enlarge, and the grouping
LAYOUTS, GROUPING = ("enlarged together", "enlarged one by one"), "grouping"
FAIR = 1.3


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


def needed(demo: PafDecoder, view: View) -> dict[str, Call]:
    """The parts of the plain way, each alone."""
    heat, pafs = view.outputs[demo.heatmaps][0], view.outputs[demo.pafs][0]
    maps = np.concatenate([heat, pafs])
    larger = (plain_lightweight.enlarged(heat), plain_lightweight.enlarged(pafs))
    flat = np.ascontiguousarray(maps.transpose(1, 2, 0))
    enlarge = partial(cv2.resize, dsize=None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return {
        LAYOUTS[0]: partial(enlarge, flat),
        LAYOUTS[1]: lambda: [enlarge(one) for one in maps],
        GROUPING: partial(plain_lightweight.grouped, *larger, view.affine),
    }


def fairness(times: dict[str, list[float]]) -> str:
    """How much more the plain way takes than it must: the ratio and its quartiles."""
    layout = min(LAYOUTS, key=lambda name: statistics.median(times[name]))
    least = [one + other for one, other in zip(times[layout], times[GROUPING], strict=True)]
    middle, low, high = ratio(times["plain"], least)
    return f"{middle:.2f} ({low:.2f}-{high:.2f}){'' if middle <= FAIR else ', UNFAIR'}"


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
    return row(name, size, found, *milliseconds, *(faster(times["plain"], times[way], 1) for way in WAYS[2:]), fairness(times))


def decoding(rounds: int) -> None:
    """The table of photographs and crowds."""
    if lazy.compiled() is None:
        raise SystemExit("Numba is not installed: pip install 'pose-zoo[fast]'")
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
    names = [f"{way}, ms" for way in ("plain", "full", "lazy, NumPy", "lazy, Numba")]
    ratios = ("NumPy, times plain (quartiles)", "Numba, times plain (quartiles)", f"plain by what it needs (fair: {FAIR})")
    print(head("maps", "input", "people: full, lazy", *names, *ratios))
    whole: dict[str, list[float]] = {way: [] for way in (*WAYS, *LAYOUTS, GROUPING)}
    counts = []
    for view in photographs:
        calls = ways(demo, fast, view)
        counts.append(people(calls))
        for way, times in side_by_side({**calls, **needed(demo, view)}, 3, block=1).items():
            whole[way].append(statistics.median(times))
    found = ", ".join(f"{statistics.mean(kind):.1f}" for kind in zip(*counts, strict=True))
    print(line(f"coco_mini, median of {len(photographs)}", "height 256", found, whole), flush=True)
    for count, cell, view in crowds:
        calls = ways(demo, fast, view)
        size = "{} x {}".format(*view.affine.input)
        times = side_by_side({**calls, **needed(demo, view)}, rounds, block=1)
        print(line(f"{count} tiled, {cell[0]} x {cell[1]} each", size, "{}, {}".format(*people(calls)), times), flush=True)


if __name__ == "__main__":
    on_one_thread(__doc__, decoding, rounds=9)
