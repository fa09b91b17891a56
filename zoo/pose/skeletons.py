"""What the keypoints of a decoder are called, how they hang together, and what COCO calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zoo.errors import ZooError
from zoo.pose.keypoints import Poses
from zoo.pose.oks import COCO_SIGMAS

Colour = tuple[int, int, int]


class Part(NamedTuple):
    """A body or a hand within a skeleton: the keypoints `start` up to `stop`, without `stop`."""

    name: str
    """body, left_hand, right_hand; or hand, where it is not known which."""
    start: int
    stop: int


@dataclass(frozen=True)
class Skeleton:
    """K keypoints and the L limbs between them. Right and left are the person's own."""

    name: str
    keypoints: tuple[str, ...]
    """(K) names, in the decoder's order."""
    limbs: tuple[tuple[int, int], ...]
    """(L) pairs of keypoints: the bones that are drawn."""
    colours: tuple[Colour, ...]
    """(L) a colour for each limb: blue, green, red."""
    coco: tuple[int, ...]
    """(17) where each of COCO's keypoints stands in this skeleton; empty where it has none of them."""
    parts: tuple[Part, ...]
    """What the skeleton is made of: every keypoint belongs to one part, parts follow one another."""
    sigmas: tuple[float, ...] = ()
    """(K) COCO's spread of each keypoint for the OKS; empty where COCO defines none."""

    @property
    def swaps(self) -> tuple[int, ...]:
        """(K) the keypoint that takes each one's place when the image is mirrored."""
        return tuple(self.keypoints.index(_mirrored(name)) for name in self.keypoints)

    @property
    def joint_colours(self) -> tuple[Colour, ...]:
        """(K) the colour of the limb that ends in each keypoint, or of one that starts there."""
        ends = {b: colour for (_, b), colour in reversed(list(zip(self.limbs, self.colours, strict=True)))}
        starts = {a: colour for (a, _), colour in reversed(list(zip(self.limbs, self.colours, strict=True)))}
        return tuple(ends.get(joint) or starts[joint] for joint in range(len(self.keypoints)))


def to_coco(poses: Poses, skeleton: str) -> Poses:
    """The same people with COCO's 17 keypoints in COCO's order. `skeleton` is a name of `SKELETONS`.

    Raises ZooError when the poses are of another skeleton, or when theirs has no keypoints of COCO's (a lone hand).
    """
    known = SKELETONS[skeleton]
    if poses.keypoints.shape[1] != len(known.keypoints):
        raise ZooError(
            f"{skeleton} has {len(known.keypoints)} keypoints, these poses have {poses.keypoints.shape[1]}",
            "name the skeleton of the decoder that made them",
        )
    if not known.coco:
        having = ", ".join(other.name for other in SKELETONS.values() if other.coco)
        raise ZooError(f"{skeleton} has none of COCO's keypoints", f"those that have them: {having}")
    return poses.reordered(list(known.coco))


def to_openpose(poses: Poses, skeleton: str) -> tuple[Poses, str]:
    """The same people in OpenPose's order of the body, and the skeleton's name: hands stay where there are any.

    COCO has no neck: it lies between the shoulders where both were found, as sure as the less certain of them.
    Raises ZooError when the poses are of another skeleton, or when theirs has no body.
    """
    if skeleton in ("openpose_18", "openpose_18_hands"):
        return poses, skeleton
    coco = to_coco(poses, skeleton)
    names = SKELETONS["coco_17"].keypoints
    shoulders = [names.index("left_shoulder"), names.index("right_shoulder")]
    neck = coco.keypoints[:, shoulders].mean(axis=1, keepdims=True)
    sure = np.where(np.isnan(neck[..., 0]), 0, coco.scores[:, shoulders].min(axis=1, keepdims=True))
    keypoints, scores = np.concatenate([coco.keypoints, neck], axis=1), np.concatenate([coco.scores, sure], axis=1)
    order = [(*names, "neck").index(name) for name in SKELETONS["openpose_18"].keypoints]
    return Poses(keypoints, scores, coco.boxes, coco.instance_scores).reordered(order), "openpose_18"


def _mirrored(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


# A side has one family of colours (right warm, left cold), so that swapped sides are seen at a glance;
# what is farther from the trunk is lighter.
_COLOURS: dict[str, Colour] = {
    "head": (64, 222, 255),
    "right_head": (92, 190, 255),
    "left_head": (200, 235, 120),
    "trunk": (235, 120, 170),
    "right_trunk": (150, 90, 240),
    "left_trunk": (240, 110, 90),
    "right_upper_arm": (30, 130, 255),
    "right_forearm": (90, 180, 255),
    "left_upper_arm": (170, 190, 20),
    "left_forearm": (200, 230, 90),
    "right_thigh": (90, 60, 235),
    "right_shin": (150, 120, 255),
    "left_thigh": (250, 130, 40),
    "left_shin": (255, 180, 110),
}

_OPENPOSE_NAMES = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee right_ankle"
    " left_hip left_knee left_ankle right_eye left_eye right_ear left_ear"
)
_OPENPOSE_LIMBS = {
    (1, 2): "right_upper_arm",
    (1, 5): "left_upper_arm",
    (2, 3): "right_upper_arm",
    (3, 4): "right_forearm",
    (5, 6): "left_upper_arm",
    (6, 7): "left_forearm",
    (1, 8): "right_trunk",
    (8, 9): "right_thigh",
    (9, 10): "right_shin",
    (1, 11): "left_trunk",
    (11, 12): "left_thigh",
    (12, 13): "left_shin",
    (1, 0): "head",
    (0, 14): "right_head",
    (14, 16): "right_head",
    (0, 15): "left_head",
    (15, 17): "left_head",
}

_COCO_NAMES = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist"
    " left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
_COCO_LIMBS = {
    (0, 1): "left_head",
    (0, 2): "right_head",
    (1, 3): "left_head",
    (2, 4): "right_head",
    (5, 6): "trunk",
    (11, 12): "trunk",
    (5, 11): "left_trunk",
    (6, 12): "right_trunk",
    (5, 7): "left_upper_arm",
    (7, 9): "left_forearm",
    (6, 8): "right_upper_arm",
    (8, 10): "right_forearm",
    (11, 13): "left_thigh",
    (13, 15): "left_shin",
    (12, 14): "right_thigh",
    (14, 16): "right_shin",
}


# A hand by itself has all hues, one a finger; beside a body each hand keeps to its side's, warm or cold.
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_HAND_NAMES = ("wrist", *(f"{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4)))
_HAND_LIMBS = tuple((0 if joint == 1 else 4 * finger + joint - 1, 4 * finger + joint) for finger in range(5) for joint in (1, 2, 3, 4))
_HAND_HUES: dict[str, tuple[Colour, ...]] = {
    "hand": ((60, 60, 235), (40, 175, 255), (80, 200, 60), (235, 165, 40), (215, 70, 190)),
    "left_hand": ((240, 80, 130), (245, 125, 40), (215, 175, 20), (150, 190, 30), (60, 175, 90)),
    "right_hand": ((170, 70, 240), (95, 65, 230), (40, 110, 245), (20, 165, 250), (40, 205, 235)),
}


def _hand_colours(hand: str) -> tuple[Colour, ...]:
    """(20) a finger's hue, lighter with every bone away from the wrist."""
    shares = (0.0, 0.12, 0.24, 0.36)
    return tuple(_lighter(hue, share) for hue in _HAND_HUES[hand] for share in shares)


def _lighter(colour: Colour, share: float) -> Colour:
    blue, green, red = (round(value + (255 - value) * share) for value in colour)
    return blue, green, red


def _body(name: str, names: str, limbs: dict[tuple[int, int], str], sigmas: tuple[float, ...] = ()) -> Skeleton:
    keypoints = tuple(names.split())
    coco = tuple(keypoints.index(wanted) for wanted in _COCO_NAMES.split())
    parts = (Part("body", 0, len(keypoints)),)
    return Skeleton(name, keypoints, tuple(limbs), tuple(_COLOURS[part] for part in limbs.values()), coco, parts, sigmas)


def _with_hands(name: str, body: Skeleton) -> Skeleton:
    """The body's keypoints, then the left hand's, then the right hand's."""
    keypoints, limbs, colours, parts = body.keypoints, body.limbs, body.colours, body.parts
    for hand in ("left_hand", "right_hand"):
        start = len(keypoints)
        keypoints += tuple(f"{hand}_{joint}" for joint in _HAND_NAMES)
        limbs += tuple((start + a, start + b) for a, b in _HAND_LIMBS)
        colours += _hand_colours(hand)
        parts += (Part(hand, start, len(keypoints)),)
    return Skeleton(name, keypoints, limbs, colours, body.coco, parts)


# the bones are those of the part affinity fields (decoders/limbs.py) less the two that only fill gaps
_OPENPOSE = _body("openpose_18", _OPENPOSE_NAMES, _OPENPOSE_LIMBS)

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        _OPENPOSE,
        _body(
            "coco_17",
            _COCO_NAMES,
            _COCO_LIMBS,
            COCO_SIGMAS,
        ),
        # OpenPose's hand (Simon et al., 2017): the order that MediaPipe and COCO-WholeBody have as well
        Skeleton("hand_21", _HAND_NAMES, _HAND_LIMBS, _hand_colours("hand"), (), (Part("hand", 0, len(_HAND_NAMES)),)),
        _with_hands("openpose_18_hands", _OPENPOSE),
        # what detectors find: a box and no keypoints
        Skeleton("person", (), (), (), (), ()),
    )
}

#: how many keypoints a hand has
HAND_KEYPOINTS = len(SKELETONS["hand_21"].keypoints)
