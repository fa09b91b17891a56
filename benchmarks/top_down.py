"""What comes before and after a top-down network, for N persons at once, beside a plain loop over persons.

    OMP_NUM_THREADS=1 python benchmarks/top_down.py [--rounds 25]

The whole way but for the network, as `recipes/simplepose.yaml` and `recipes/rtmpose_m.yaml` declare it: the same 64 persons of
coco_mini, in annotated boxes, stand in images of N persons each, an image a call; what the network says of each is known,
gaussians with noise where its annotated keypoints are. The ways take turns, with one thread each; that they find the same is
checked before.

The plain loop follows what is published for deployment (mmpose 0.x, rtmlib, GluonCV's demos): of each person cv2.warpAffine, RGB,
float32, (x - mean) / std, channels first and contiguous, and keypoint by keypoint the place of the maximum, brought back into the
image. There are two of its kind: one normalises with NumPy, one with OpenCV in place, as mmcv's `imnormalize` does. Both are spared
what takes time besides: the affine is the zoo's, nobody is scored, no doubles are sought, and no tensor is made of several. The zoo's
way is all of `CropEstimator.many`, crops in calls of 8, with OKS-NMS.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from common import faster, head, on_one_thread, open_recipe, plain_module, row, side_by_side
from persons import CALL, CELL, COUNTS, SIZE, Person, noisy, somebody

from zoo.backends.runner import Runner, TensorSpec
from zoo.pipelines.crops import CropEstimator
from zoo.pose.decoders import HeatmapsDecoder, SimccDecoder
from zoo.pose.fits import Box
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.people import People
from zoo.pose.preprocess import Preprocess
from zoo.recipe.model import Recipe

plain_crops = plain_module("plain_crops")

#: (h, w, 3) float32 pixels, RGB -> normalised
Arithmetic = Callable[[Any], Any]
#: The row of a person and the affine of its crop -> keypoints (1, 17, 2) in image pixels, and scores (1, 17).
Decode = Callable[[int, Affine], tuple[Any, Any]]


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
        self.place = rows.stop % COUNTS[-1]
        return {name: array[rows] for name, array in self.known.items()}


class Scene(NamedTuple):
    """An image and the boxes of its people."""

    image: np.ndarray
    people: Poses


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
    people = somebody(COUNTS[-1])
    for name in ("simplepose", "rtmpose_m"):
        recipe = open_recipe(name)[1]
        several = {batch: ways(recipe, people, batch) for batch in COUNTS}
        calls = {f"{way} {batch}": call for batch in COUNTS for way, call in several[batch].items()}
        times = side_by_side(calls, rounds, block=1)
        for batch in COUNTS:
            own = {way: times[f"{way} {batch}"] for way in several[batch]}
            each = (f"{statistics.median(found) * 1000 / len(people):.3f}" for found in own.values())
            pairs = ((own["numpy"], own["zoo"]), (own["opencv"], own["zoo"]), (own["zoo"], times[f"zoo {CALL}"]))
            print(row(name, batch, *each, *(faster(*pair) for pair in pairs)), flush=True)


if __name__ == "__main__":
    on_one_thread(__doc__, crops, rounds=25)
