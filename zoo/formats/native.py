"""The zoo's own JSON, for programs: everything that is known of one image, and never a NaN.

    {"format": 1, "image": "a.jpg", "width": 640, "height": 480, "skeleton": "openpose_18", "names": ["nose", "neck", ...],
     "people": [{"score": 7.1, "box": [x1, y1, x2, y2], "keypoints": [[x, y, score], null, ...]}]}

`names` are the skeleton's keypoints, and a person's `keypoints` stand in that order; null is one that was not found, a
box that is not known, a score that is no number. x and y are image pixels, whole at the middles of pixels. A detector's
people have no keypoints; their boxes are whole at the edges of pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from zoo.errors import ZooError
from zoo.formats.prediction import Prediction
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.record import Record

SUFFIX = ".json"
TOGETHER = False


class Person(Record, frozen=True, kw_only=True):
    """One of `people`."""

    score: float | None
    box: tuple[float, float, float, float] | None
    keypoints: tuple[tuple[float, float, float] | None, ...]


class File(Record, frozen=True, kw_only=True):
    """The whole file."""

    format: Literal[1] = 1
    image: str
    width: int
    height: int
    skeleton: str
    names: tuple[str, ...]
    people: tuple[Person, ...]


def write(predictions: Sequence[Prediction]) -> str:
    """The JSON text of one prediction."""
    (prediction,) = predictions
    width, height = prediction.size
    people = people_of(prediction)
    names = SKELETONS[prediction.skeleton].keypoints
    file = File(image=prediction.image, width=width, height=height, skeleton=prediction.skeleton, names=names, people=people)
    # not msgspec's own writer: this one can say a file name that is no valid UTF-8, and says where a NaN slipped in
    return json.dumps(msgspec.to_builtins(file), allow_nan=False) + "\n"


def parse(text: str) -> Prediction:
    """What `write` wrote. Raises ZooError where the text is something else."""
    try:
        file = msgspec.convert(json.loads(text), File)
    except (ValueError, RecursionError) as error:
        raise ZooError(f"this is no prediction of the zoo: {error}", "`zoo predict --format json` writes them") from error
    if file.skeleton not in SKELETONS or file.names != SKELETONS[file.skeleton].keypoints:
        raise ZooError(f"the keypoints are not those of the skeleton {file.skeleton!r}", f"skeletons: {', '.join(SKELETONS)}")
    count = len(file.names)
    for number, person in enumerate(file.people):
        if len(person.keypoints) != count:
            raise ZooError(f"people[{number}] has {len(person.keypoints)} keypoints", f"{file.skeleton} has {count}")
    absent = (math.nan, math.nan, 0.0)
    triples = np.array([[point or absent for point in person.keypoints] for person in file.people], float).reshape(
        len(file.people), count, 3
    )
    boxes = np.array([person.box or (math.nan,) * 4 for person in file.people], float).reshape(-1, 4)
    scores = np.array([math.nan if person.score is None else person.score for person in file.people], float)
    poses = Poses(triples[..., :2], triples[..., 2], boxes, scores)
    return Prediction(file.image, (file.width, file.height), file.skeleton, poses)


def people_of(prediction: Prediction) -> tuple[Person, ...]:
    """The people of an image as they are written: nothing that JSON cannot say."""
    return tuple(_person(prediction, person) for person in range(len(prediction.poses)))


def _person(prediction: Prediction, person: int) -> Person:
    poses, found = prediction.poses, prediction.found[person]
    points = np.column_stack([poses.keypoints[person], poses.scores[person]]).tolist()
    box, score = poses.boxes[person], float(poses.instance_scores[person])
    return Person(
        score=score if math.isfinite(score) else None,
        box=tuple(box.tolist()) if np.isfinite(box).all() else None,
        keypoints=tuple(tuple(point) if there else None for point, there in zip(points, found, strict=True)),
    )
