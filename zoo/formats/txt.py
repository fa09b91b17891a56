"""Lines of text, one a keypoint, for scripts, spreadsheets and eyes.

    image person part index x y score

Seven columns with one space between them; a keypoint that was not found has no line. Images stand in the order given,
people in the order of the poses, counted from 0 in each image; then body, left_hand, right_hand (or hand, where it is
not known which); then the keypoints of that part in the skeleton's order, counted from 0. x and y are image pixels
to a thousandth, the score to a millionth. Someone of whom a detector knows nothing but a box has its corners instead: part
box, 0 the upper left one and 1 the lower right one, each with the person's score.

In the image's name, white space, `%` and what cannot be printed are written as in a URL: `my photo.jpg` is
`my%20photo.jpg`. So a line always has seven words, whatever the file is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote

import numpy as np

from zoo.errors import ZooError
from zoo.formats.prediction import Prediction, poses_of
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Part

SUFFIX = ".txt"
TOGETHER = True

#: the part of a skeleton without keypoints
_BOX = (Part("box", 0, 2),)
#: more people than one image holds; a mistyped number shall not ask for all the memory there is
_MOST = 100_000


def write(predictions: Sequence[Prediction]) -> str:
    """The lines of all predictions; of an image without people there is none."""
    lines = []
    for prediction in predictions:
        image, poses = _quoted(prediction.image), prediction.poses
        points, scores, found = poses.keypoints, poses.scores, prediction.found
        parts = SKELETONS[prediction.skeleton].parts
        if not parts:
            points, scores = poses.boxes.reshape(-1, 2, 2), poses.instance_scores[:, None].repeat(2, axis=1)
            found = np.isfinite(poses.boxes).all(axis=1, keepdims=True) & np.isfinite(scores)
        for person in range(len(poses)):
            for name, start, stop in parts or _BOX:
                for joint in start + np.flatnonzero(found[person, start:stop]):
                    # adding 0 takes the sign from a zero
                    x, y = points[person, joint].astype(np.float64).round(3) + 0.0
                    score = round(float(scores[person, joint]), 6) + 0.0
                    lines.append(f"{image} {person} {name} {joint - start} {x:.3f} {y:.3f} {score:.6f}\n")
    return "".join(lines)


def parse(text: str, skeleton: str) -> dict[str, Poses]:
    """Image name -> the poses of its lines, in the order in which the images come.

    `skeleton`, a name of `zoo.pose.skeletons`, is the one that was written. What the lines do not say: who has no keypoint at all
    (someone between others is there, without any), boxes (the hull of the keypoints) and people's scores (their mean).
    Raises ZooError with the line's number where one cannot be read, or where a keypoint is not of the skeleton or stands twice.
    """
    known = SKELETONS[skeleton]
    parts = known.parts or _BOX
    starts = {part.name: part for part in parts}
    people: dict[str, dict[int, dict[int, tuple[float, float, float]]]] = {}
    # not splitlines: a name may hold what it takes for the end of a line
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            name, person, part, index, x, y, score = line.split()
            joint, values = starts[part].start + int(index), (float(x), float(y), float(score))
            if joint not in range(*starts[part][1:]) or int(person) not in range(_MOST) or not np.isfinite(values).all():
                raise ValueError("out of range")
        except (ValueError, KeyError) as error:
            raise ZooError(f"line {number} is no keypoint of {skeleton}: {line}", "image person part index x y score") from error
        keypoints = people.setdefault(unquote(name, errors="surrogatepass"), {}).setdefault(int(person), {})
        if joint in keypoints:
            raise ZooError(f"line {number} gives a keypoint a second time: {line}", "each keypoint of a person has one line")
        keypoints[joint] = values
    poses = {image: _poses(found, parts[-1].stop) for image, found in people.items()}
    return poses if known.parts else {image: _boxed(corners) for image, corners in poses.items()}


def _poses(people: dict[int, dict[int, tuple[float, float, float]]], count: int) -> Poses:
    keypoints, scores = np.full((max(people) + 1, count, 2), np.nan), np.zeros((max(people) + 1, count))
    for person, found in people.items():
        for joint, (x, y, score) in found.items():
            keypoints[person, joint], scores[person, joint] = (x, y), score
    return poses_of(keypoints, scores)


def _boxed(corners: Poses) -> Poses:
    """From boxes' corners, (N, 2, 2): who lacks one of them has a box of nan, as who lacks both."""
    return Poses.of_boxes(corners.keypoints.reshape(-1, 4), corners.scores.min(axis=1))


def _quoted(name: str) -> str:
    plain = (character.isprintable() and not character.isspace() and character != "%" for character in name)
    # surrogatepass: a name that is no valid UTF-8 reaches Python as lone surrogates
    return "".join(
        character if keep else quote(character, safe="", errors="surrogatepass") for character, keep in zip(name, plain, strict=True)
    )
