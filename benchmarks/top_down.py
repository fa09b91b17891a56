"""What comes before and after a top-down network, for N persons at once, beside a plain loop over persons; and batches end to end.

    OMP_NUM_THREADS=1 python benchmarks/top_down.py [decoding] [crops] [batches] [--rounds 25]

`decoding` is of decoding alone: the outputs are gaussians with noise of the sizes of SimplePose's (17 maps of 64 x 48) and RTMPose's
(17 vectors of 384 and 512). `crops` is of the whole way but for the network, as `recipes/simplepose.yaml` and `recipes/rtmpose_m.yaml`
declare it: the same 64 persons of coco_mini, in annotated boxes, stand in images of N persons each, an image a call; what the network
says of each is known, gaussians with noise where its annotated keypoints are. `batches` times the built networks: all of
rtmdet_simplepose with several images a call, and simplepose's network alone with several crops a call.
The ways take turns, with one thread each; that they find the same is checked before.

The plain loop follows what is published for deployment (mmpose 0.x, rtmlib, GluonCV's demos): of each person cv2.warpAffine, RGB,
float32, (x - mean) / std, channels first and contiguous, and keypoint by keypoint the place of the maximum, brought back into the
image. There are two of its kind: one normalises with NumPy, one with OpenCV in place, as mmcv's `imnormalize` does. Both are spared
what takes time besides: the affine is the zoo's, nobody is scored, no doubles are sought, and no tensor is made of several. The zoo's
way is all of `CropEstimator.many`, crops in calls of 8, with OKS-NMS.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from common import head, machine, open_recipe, ratio, row, side_by_side

import zoo.api
from zoo.annotations import instances
from zoo.backends.runner import Runner, TensorSpec
from zoo.pipelines.crops import CropEstimator
from zoo.pipelines.estimator import PoseModel, run
from zoo.pose.decoders import HeatmapsDecoder, SimccDecoder
from zoo.pose.fits import Box
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.people import People
from zoo.pose.preprocess import Preprocess
from zoo.recipe.model import Recipe

sys.path.append(str(Path(__file__).parents[1] / "tests/unit"))
import plain_crops

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZE = (192, 256)
CELL = (240, 320)
#: crops in a call of the network, and so in one turn of preparing and decoding
CALL = 8
IMAGES, INPUTS = (1, 2, 4, 8), (1, 8, 32)
TARGETS = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8")

#: (h, w, 3) float32 pixels, RGB -> normalised
Arithmetic = Callable[[Any], Any]
#: The row of a person and the affine of its crop -> keypoints (1, 17, 2) in image pixels, and scores (1, 17).
Decode = Callable[[int, Affine], tuple[Any, Any]]


def boxes_of(count: int, random: np.random.Generator) -> list[Affine]:
    """Boxes of the input's aspect anywhere in an image of 640 x 480."""
    found = []
    for left, top, width in random.uniform((0, 0, 40), (400, 200, 240), (count, 3)):
        scale = SIZE[0] / width
        found.append(Affine(np.array([[scale, 0, -left * scale], [0, scale, -top * scale]]), (640, 480), SIZE, (0, 0, *SIZE)))
    return found


def noisy(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return values + random.normal(0, 0.02, values.shape).astype(np.float32)


def decoding(rounds: int) -> None:
    """The table of the decoders alone."""
    print(head("outputs", "persons", "loop, ms a person", "decode_crops, ms a person", "times as fast (quartiles)"))
    random = np.random.default_rng(0)
    vectors = SimccDecoder(x="x", y="y")
    maps = {refine: HeatmapsDecoder(heatmaps="maps", refine=refine) for refine in ("quarter", "dark")}
    for batch in BATCHES:
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
            middle, low, high = ratio(times["loop"], times["decode_crops"])
            each = (f"{statistics.median(times[way]) * 1000 / batch:.4f}" for way in ("loop", "decode_crops"))
            print(row(name, batch, *each, f"{middle:.1f} ({low:.1f}-{high:.1f})"), flush=True)


class Canned(Runner):
    """A network that knows what it will say: of each call the next rows, and from the beginning again."""

    def __init__(self, outputs: Mapping[str, np.ndarray]) -> None:
        self.inputs = {"input": TensorSpec((None, 3, *SIZE[::-1]), "float32")}
        self.outputs = {name: TensorSpec((None, *array.shape[1:]), "float32") for name, array in outputs.items()}
        self.known, self.place = outputs, 0

    @property
    def computed_in(self) -> str:
        return "nothing"

    def _run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = slice(self.place, self.place + len(feeds["input"]))
        self.place = rows.stop % BATCHES[-1]
        return {name: array[rows] for name, array in self.known.items()}


class Person(NamedTuple):
    """A person cut out of a photograph with what is around, at most as large as `CELL`."""

    pixels: np.ndarray
    box: np.ndarray
    """(4,) x1, y1, x2, y2 in its pixels."""
    keypoints: np.ndarray
    """(17, 3) x, y in its pixels, and v."""


class Scene(NamedTuple):
    """An image and the boxes of its people."""

    image: np.ndarray
    people: Poses


def somebody(count: int) -> list[Person]:
    """`count` of the persons of coco_mini, half the height of a cell or more: the same ones each time."""
    session, _ = open_recipe("simplepose")
    images = session.place.declared.datasets["coco_mini"].open(session.context)
    assert images.annotations is not None
    random, found = np.random.default_rng(0), []
    by_id = {sample.id: sample for sample in images.samples}
    everyone = [one for several in instances(images.annotations, images.ids).values() for one in several]
    for place in random.permutation(len(everyone))[:count]:
        one, height = everyone[place], int(random.integers(CELL[1] // 2, CELL[1] + 1))
        pixels = images.read(by_id[one.image])
        fit = Box(width=height * 3 // 4, height=height)
        affine = fit.affine(pixels.shape[1::-1], one.box)
        points = np.concatenate([affine.to_input(one.keypoints[:, :2]), one.keypoints[:, 2:]], axis=1)
        found.append(Person(cv2.warpAffine(pixels, affine.matrix, affine.input), affine.to_input(one.box.reshape(2, 2)).ravel(), points))
    return found


def together(people: Sequence[Person]) -> Scene:
    """Those people in one image, a cell for each."""
    columns = int(np.ceil(np.sqrt(len(people))))
    image = np.zeros((-(-len(people) // columns) * CELL[1], columns * CELL[0], 3), np.uint8)
    boxes = []
    for place, person in enumerate(people):
        left, top = place % columns * CELL[0], place // columns * CELL[1]
        height, width = person.pixels.shape[:2]
        image[top : top + height, left : left + width] = person.pixels
        boxes.append(person.box + np.array([left, top, left, top]))
    return Scene(image, Poses.of_boxes(np.array(boxes), np.ones(len(boxes))))


def loop(scenes: Sequence[Scene], preprocess: Preprocess, normalised: Arithmetic, decode: Decode) -> list[tuple[Any, Any]]:
    """The plain way: inputs (1, 3, h, w) and keypoints (1, 17, 2), person by person."""
    found: list[tuple[Any, Any]] = []
    for scene in scenes:
        for box in scene.people.boxes:
            affine = affine_of(preprocess, scene.image, box)
            crop = cv2.warpAffine(scene.image, affine.matrix, SIZE, flags=cv2.INTER_LINEAR)
            values = normalised(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.float32))
            tensor = np.ascontiguousarray(values.transpose(2, 0, 1))[None]
            found.append((tensor, decode(len(found), affine)[0]))
    return found


def affine_of(preprocess: Preprocess, image: np.ndarray, box: np.ndarray) -> Affine:
    assert isinstance(preprocess.fit, Box)
    return preprocess.fit.affine((image.shape[1], image.shape[0]), box)


def with_numpy(preprocess: Preprocess) -> Arithmetic:
    mean, std = np.array(preprocess.mean, np.float32), np.array(preprocess.std, np.float32)
    return lambda values: (values - mean) / std


def with_opencv(preprocess: Preprocess) -> Arithmetic:
    mean, factor = np.array([preprocess.mean]), 1 / np.array([preprocess.std])

    def normalised(values: Any) -> Any:
        cv2.subtract(values, mean, values)
        cv2.multiply(values, factor, values)
        return values

    return normalised


def said(recipe: Recipe, people: Sequence[Person]) -> tuple[dict[str, np.ndarray], Decode]:
    """What the recipe's network says of the people, and the plain way to read it.

    Where the keypoints are in the input does not depend on whom a person shares the image with."""
    decoder, random = recipe.decode, np.random.default_rng(0)
    affines = [affine_of(recipe.preprocess, one.pixels, one.box) for one in people]
    points = np.stack([affine.to_input(one.keypoints[:, :2]) for one, affine in zip(people, affines, strict=True)])
    seen = np.stack([one.keypoints[:, 2] > 0 for one in people])
    if isinstance(decoder, SimccDecoder):
        x, y, _ = decoder.encode(points, seen, SIZE, (4.9, 5.66))
        x, y = noisy(x, random), noisy(y, random)
        return {decoder.x: x, decoder.y: y}, lambda row, affine: plain_crops.simcc(x[row : row + 1], y[row : row + 1], [affine])
    assert isinstance(decoder, HeatmapsDecoder)
    maps = noisy(decoder.encode(points, seen, SIZE, 2)[0], random)
    return {decoder.heatmaps: maps}, lambda row, affine: plain_crops.heatmaps(maps[row : row + 1], [affine], plain_crops.quarter)


def same(model: CropEstimator, scenes: Sequence[Scene], plain: Sequence[tuple[Any, Any]]) -> bool:
    """Whether inputs and keypoints are those of the plain way."""
    tensors = [model.preprocess.prepare_crops([one.image] * len(one.people), list(one.people.boxes))[0] for one in scenes]
    # nobody is dropped here: whom OKS-NMS finds twice depends on who else is in the image
    everyone = replace(model, people=People(nms="none"))
    found = [everyone.many([one.image], boxes=[one.people])[0].keypoints for one in scenes]
    inputs, keypoints = (np.concatenate(column) for column in zip(*plain, strict=True))
    return np.allclose(np.concatenate(tensors), inputs, atol=1e-5) and np.allclose(np.concatenate(found), keypoints, equal_nan=True)


def ways(recipe: Recipe, people: Sequence[Person], batch: int) -> dict[str, Callable[[], Any]]:
    """The plain ways and the zoo's, of all the people in images of `batch`. Raises SystemExit where they find something else."""
    outputs, decode = said(recipe, people)
    scenes = [together(people[start : start + batch]) for start in range(0, len(people), batch)]
    model = CropEstimator(Canned(outputs), recipe.preprocess, recipe.decode, recipe.people, batch=CALL)
    found: dict[str, Callable[[], Any]] = {
        name: partial(loop, scenes, recipe.preprocess, normalised, decode)
        for name, normalised in (("numpy", with_numpy(recipe.preprocess)), ("opencv", with_opencv(recipe.preprocess)))
    }
    if not all(same(model, scenes, plain()) for plain in found.values()):
        raise SystemExit(f"{recipe.name}, {batch} persons: inputs or keypoints differ")
    return {**found, "zoo": lambda: [model.many([one.image], boxes=[one.people]) for one in scenes]}


def crops(rounds: int) -> None:
    """The table of the whole way but for the network: all ways and numbers of persons in turns."""
    times_as_fast = ("times NumPy (quartiles)", "times OpenCV (quartiles)", "zoo's time by that for 8 (quartiles)")
    print(head("recipe", "persons", "loop, NumPy, ms a person", "loop, OpenCV, ms", "zoo, ms", *times_as_fast))
    people = somebody(BATCHES[-1])
    for name in ("simplepose", "rtmpose_m"):
        recipe = open_recipe(name)[1]
        several = {batch: ways(recipe, people, batch) for batch in BATCHES}
        calls = {f"{way} {batch}": call for batch in BATCHES for way, call in several[batch].items()}
        times = side_by_side(calls, rounds, block=1)
        for batch in BATCHES:
            own = {way: times[f"{way} {batch}"] for way in several[batch]}
            each = (f"{statistics.median(found) * 1000 / len(people):.3f}" for found in own.values())
            ratios = (ratio(own["numpy"], own["zoo"]), ratio(own["opencv"], own["zoo"]), ratio(own["zoo"], times[f"zoo {CALL}"]))
            print(row(name, batch, *each, *(f"{middle:.2f} ({low:.2f}-{high:.2f})" for middle, low, high in ratios)), flush=True)


def batches(rounds: int) -> None:
    """The tables of the built networks: all targets and batches in turns."""
    pictures = [image for _, image in islice(zoo.api.images("coco_mini", offline=True), IMAGES[-1])]

    def whole(model: PoseModel, count: int) -> list[Poses]:
        return [one for start in range(0, len(pictures), count) for one in model.many(pictures[start : start + count])]

    with opened("rtmdet_simplepose", CALL) as models:
        found = {target: sum(map(len, whole(model, 1))) / len(pictures) for target, model in models.items()}
        several = {(target, count): partial(whole, model, count) for target, model in models.items() for count in IMAGES}
        times = side_by_side(several, rounds, block=1)
    print(head("rtmdet_simplepose on", "people an image", "images a call", "images/s", "times one a call (quartiles)"))
    for target, count in several:
        print(row(target, f"{found[target]:.1f}", count, *rate(len(pictures), times, target, count)))

    people = somebody(INPUTS[-1])
    with opened("simplepose", INPUTS[-1]) as models:
        alone: dict[tuple[str, int], Callable[[], Any]] = {}
        for target, model in models.items():
            assert isinstance(model, CropEstimator)
            tensor, _ = model.preprocess.prepare_crops([one.pixels for one in people], [one.box for one in people])
            alone |= {(target, count): partial(run, model.runner, tensor, count) for count in INPUTS}
        times = side_by_side(alone, rounds, block=1)
    print("\n" + head("simplepose's network on", "crops a call", "crops/s", "times one a call (quartiles)"))
    for target, count in alone:
        print(row(target, count, *rate(len(people), times, target, count)))


@contextmanager
def opened(name: str, batch: int) -> Iterator[dict[str, PoseModel]]:
    """The recipe on each target, with one thread."""
    with ExitStack() as stack:
        loaded = (zoo.api.load(name, target, offline=True, threads=1, batch=batch) for target in TARGETS)
        yield {target: stack.enter_context(model) for target, model in zip(TARGETS, loaded, strict=True)}


def rate(units: int, times: Mapping[tuple[str, int], Sequence[float]], target: str, count: int) -> tuple[str, str]:
    """How many of `units` a second with `count` in a call, and how much that is beside one."""
    own = times[target, count]
    middle, low, high = ratio(times[target, 1], own)
    return f"{units / statistics.median(own):.1f}", f"{middle:.2f} ({low:.2f}-{high:.2f})"


TABLES = {"decoding": decoding, "crops": crops, "batches": batches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES))
    parser.add_argument("--rounds", type=int, default=25)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    print(machine(1))
    for name in asked.tables or TABLES:
        print()
        TABLES[name](asked.rounds)


if __name__ == "__main__":
    main()
