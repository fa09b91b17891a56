"""The persons of coco_mini that the benchmarks of top-down networks look at, and what their network is made to say."""

from typing import NamedTuple

import cv2
import numpy as np
from common import open_recipe

from zoo.annotations import instances
from zoo.pose.fits import Box

#: how many persons are looked at together
COUNTS = (1, 2, 4, 8, 16, 32, 64)
#: (width, height) of a crop, and of the largest person that is cut out
SIZE, CELL = (192, 256), (240, 320)
#: crops in a call of the network, and so in one turn of preparing and decoding
CALL = 8


def noisy(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return values + random.normal(0, 0.02, values.shape).astype(np.float32)


class Person(NamedTuple):
    """A person cut out of a photograph with what is around, at most as large as `CELL`."""

    pixels: np.ndarray
    box: np.ndarray
    """(4,) x1, y1, x2, y2 in its pixels."""
    keypoints: np.ndarray
    """(17, 3) x, y in its pixels, and v."""


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
