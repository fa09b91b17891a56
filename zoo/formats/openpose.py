"""OpenPose's own JSON (`--write_json`, version 1.3), one file an image, so that its users' tools go on working.

    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, c, ...], "face_keypoints_2d": [],
     "hand_left_keypoints_2d": [...], "hand_right_keypoints_2d": [...], "pose_keypoints_3d": [], ...}]}

The body has the 18 keypoints of OpenPose's COCO model (not BODY_25), a hand 21; absent is 0, 0, 0. x and y are image
pixels to a thousandth, c the score to a millionth. Bodies of COCO's 17 keypoints get a neck between the shoulders. Of a
skeleton without hands, the hands are empty. The image's name is in the file's name alone, people's scores nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from zoo.errors import ZooError
from zoo.formats.prediction import Prediction, poses_of
from zoo.pose.skeletons import SKELETONS, to_openpose

SUFFIX = "_keypoints.json"
TOGETHER = False

KEYS = {"body": "pose_keypoints_2d", "left_hand": "hand_left_keypoints_2d", "right_hand": "hand_right_keypoints_2d"}
#: what else OpenPose writes, in its order; the zoo finds neither faces nor depth
EMPTY = ("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d")


class _Person(msgspec.Struct):
    """What is read of a person; all else is left aside."""

    pose_keypoints_2d: list[float]
    hand_left_keypoints_2d: list[float] = []
    hand_right_keypoints_2d: list[float] = []


class _File(msgspec.Struct):
    people: list[_Person]


def write(predictions: Sequence[Prediction]) -> str:
    """The JSON text of one prediction. Raises ZooError for a skeleton without a body."""
    (prediction,) = predictions
    points = np.concatenate([prediction.poses.keypoints, prediction.poses.scores[..., None]], axis=2).astype(np.float64)
    points[~prediction.found] = np.nan
    cleaned = poses_of(points[..., :2], np.nan_to_num(points[..., 2]))
    poses, skeleton = to_openpose(cleaned, prediction.skeleton)
    triples = np.nan_to_num(np.concatenate([poses.keypoints.round(3), poses.scores[..., None].round(6)], axis=2)) + 0.0
    parts = {part.name: part for part in SKELETONS[skeleton].parts}
    people: list[dict[str, Any]] = []
    for person in triples:
        flat = {KEYS[name]: person[start:stop].ravel().tolist() for name, start, stop in parts.values()}
        hands = {KEYS[hand]: flat.get(KEYS[hand], []) for hand in ("left_hand", "right_hand")}
        body = {"person_id": [-1], KEYS["body"]: flat[KEYS["body"]], "face_keypoints_2d": []}
        people.append({**body, **hands, **{key: [] for key in EMPTY}})
    return json.dumps({"version": 1.3, "people": people}, allow_nan=False) + "\n"


def parse(text: str, image: str, size: tuple[int, int]) -> Prediction:
    """What OpenPose's COCO model or `write` wrote of the image so named, of (width, height) pixels.

    The skeleton is `openpose_18_hands` if anyone has hands. Boxes are hulls, people's scores the mean of their keypoints'.
    Raises ZooError where the text is something else, BODY_25 among it.
    """
    try:
        file = msgspec.json.decode(text, type=_File)
    except (ValueError, RecursionError) as error:
        raise ZooError(f"this is no output of OpenPose: {error}", "its option --write_json writes them, version 1.1 and later") from error
    hands = any(person.hand_left_keypoints_2d or person.hand_right_keypoints_2d for person in file.people)
    skeleton = SKELETONS["openpose_18_hands" if hands else "openpose_18"]
    triples = np.zeros((len(file.people), len(skeleton.keypoints), 3))
    for number, person in enumerate(file.people):
        for name, start, stop in skeleton.parts:
            values = getattr(person, KEYS[name])
            if values or name == "body":
                if len(values) != 3 * (stop - start):
                    raise ZooError(
                        f"people[{number}].{KEYS[name]} has {len(values)} numbers, not {3 * (stop - start)}",
                        "the body is read in the 18 keypoints of OpenPose's COCO model (--model_pose COCO)",
                    )
                triples[number, start:stop] = np.reshape(values, (-1, 3))
    keypoints = np.where((triples == 0).all(axis=2)[..., None], np.nan, triples[..., :2])
    return Prediction(image, size, skeleton.name, poses_of(keypoints, triples[..., 2]))
