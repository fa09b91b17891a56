"""Where the joints of a body are: proportions, and from a pose to points in the picture.

Lengths are in parts of the stature; proportions after Drillis and Contini, 1966, with a head somewhat larger, as cameras and children
have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from zoo.pose.stick_people.dice import Dice
from zoo.pose.stick_people.pose import Arm, Leg, Pose

Points = NDArray[np.float64]

#: rows of `Body.points`
NAMES = (
    *("hips", "chest", "neck", "head", "nose", "left_eye", "right_eye", "left_ear", "right_ear", "mouth"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_toe", "right_toe", "left_heel", "right_heel"),
)
AT = {name: row for row, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Build:
    """What differs between bodies."""

    trunk: float = 0.29
    shoulders: float = 0.112
    """Half the distance between the joints."""
    hips: float = 0.058
    arm: float = 1.0
    leg: float = 1.0
    head: float = 0.078
    """Half the head's height."""
    stout: float = 1.0


def draw_build(dice: Dice) -> Build:
    """A grown-up, or a child with a larger head and shorter legs."""
    child = dice.chance(0.15)
    return Build(
        trunk=0.29 * dice.real(0.95, 1.05),
        shoulders=0.112 * dice.real(0.9, 1.12),
        hips=0.058 * dice.real(0.92, 1.15),
        arm=dice.real(0.94, 1.06),
        leg=dice.real(0.95, 1.06) * (0.88 if child else 1),
        head=0.078 * dice.real(0.95, 1.1) * (1.3 if child else 1),
        stout=dice.real(0.9, 1.3),
    )


@dataclass(frozen=True)
class Body:
    """Joints as they are seen: x to the right, y down, both in parts of the stature; the hips' middle is 0, 0."""

    points: Points
    """(N, 2), by `NAMES`."""
    near: NDArray[np.float64]
    """(N) how much nearer to the viewer than the hips' middle."""
    looks: float
    """Where the head looks, in degrees as `Pose.turn`."""
    pose: Pose
    build: Build

    def __getitem__(self, name: str) -> Points:
        point: Points = self.points[AT[name]]
        return point


def place(pose: Pose, build: Build) -> Body:
    """The joints of a body of this build in this pose."""
    at: dict[str, Points] = {"hips": _at(0, 0, 0)}
    upper = _about_x(radians(pose.bow))  # trunk, head and shoulders; arms hang from the shoulders as they like
    at["chest"] = upper @ _at(0, build.trunk * 0.68, 0)
    at["neck"] = upper @ _at(0, build.trunk + 0.025, 0)
    head = upper @ _at(0, build.trunk + 0.055 + build.head * 0.95, 0.01)
    at["head"] = head
    look = _about_y(radians(pose.head))
    size = build.head
    for name, offset in (
        ("nose", _at(0, -0.14, 0.92)),
        ("left_eye", _at(0.36, 0.12, 0.72)),
        ("right_eye", _at(-0.36, 0.12, 0.72)),
        ("left_ear", _at(0.76, -0.04, -0.05)),
        ("right_ear", _at(-0.76, -0.04, -0.05)),
        ("mouth", _at(0, -0.5, 0.78)),
    ):
        at[name] = head + look @ (offset * size)
    for side, sign, arm, leg in (("left", 1, pose.arms[0], pose.legs[0]), ("right", -1, pose.arms[1], pose.legs[1])):
        shoulder = upper @ _at(sign * build.shoulders, build.trunk, 0)
        elbow, wrist, hand = _arm(shoulder, arm, sign, build.arm)
        hip = _at(sign * build.hips, 0, 0)
        knee, ankle, toe, heel = _leg(hip, leg, sign, build.leg)
        at |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist, f"{side}_hand": hand}
        at |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle, f"{side}_toe": toe, f"{side}_heel": heel}
    points, near = _seen(np.stack([at[name] for name in NAMES]), pose)
    return Body(points, near, pose.turn + pose.head, pose, build)


def _arm(shoulder: Points, arm: Arm, sign: int, length: float) -> tuple[Points, Points, Points]:
    out, forward = radians(arm.out), radians(arm.forward)
    along = _at(sign * sin(out), -cos(out) * cos(forward), cos(out) * sin(forward) if arm.out < 90 else sin(forward) * 0.5)
    along /= np.linalg.norm(along)
    wanted = {"forward": _at(-0.25 * sign, 0, 1), "up": _at(-0.5 * sign, 1, 0.25), "in": _at(-sign, -0.15, 0.35)}[arm.bend]
    across = wanted - (wanted @ along) * along
    across /= np.linalg.norm(across)
    bent = radians(arm.elbow)
    fore = along * cos(bent) + across * sin(bent)
    elbow = shoulder + along * 0.178 * length
    wrist = elbow + fore * 0.15 * length
    return elbow, wrist, wrist + fore * 0.045 * length


def _leg(hip: Points, leg: Leg, sign: int, length: float) -> tuple[Points, Points, Points, Points]:
    out, thigh, shin = radians(leg.out), radians(leg.forward), radians(leg.forward - leg.knee)
    knee = hip + _at(sign * sin(out) * cos(thigh), -cos(out) * cos(thigh), sin(thigh)) * 0.245 * length
    ankle = knee + _at(sign * sin(out) * 0.4 * cos(shin), -cos(shin), sin(shin)) * 0.245 * length
    # the foot is level where the shin is upright, and follows it where the leg swings back
    tilt = min(shin, 0.0) * 0.7
    ahead, down = _at(sign * 0.25, sin(tilt), cos(tilt)), _at(0, -cos(tilt), sin(tilt))
    sole = ankle + down * 0.028
    return knee, ankle, sole + ahead * 0.095, sole - ahead * 0.02


def _seen(points: Points, pose: Pose) -> tuple[Points, NDArray[np.float64]]:
    """(N, 3) in the body's own frame, x to its left, y up, z ahead -> (N, 2) in the picture, (N) nearness.

    The left of a body that looks at the viewer is on the right of the picture."""
    turn, above, lean = radians(pose.turn), radians(pose.above), radians(pose.lean)
    across = points[:, 0] * cos(turn) + points[:, 2] * sin(turn)
    near = -points[:, 0] * sin(turn) + points[:, 2] * cos(turn)
    down = -points[:, 1] * cos(above) + near * sin(above)
    x, y = across * cos(lean) - down * sin(lean), across * sin(lean) + down * cos(lean)
    return np.stack([x, y], axis=1), near


def _at(x: float, y: float, z: float) -> Points:
    return np.array([x, y, z], np.float64)


def _about_x(angle: float) -> NDArray[np.float64]:
    """Turns what is up to the front."""
    return np.array([[1, 0, 0], [0, cos(angle), -sin(angle)], [0, sin(angle), cos(angle)]])


def _about_y(angle: float) -> NDArray[np.float64]:
    """Turns what is ahead to the left side, as a turn of the whole body does in the picture."""
    return np.array([[cos(angle), 0, sin(angle)], [0, 1, 0], [-sin(angle), 0, cos(angle)]])
