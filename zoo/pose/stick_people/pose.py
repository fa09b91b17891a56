"""How a body stands: angles in degrees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.pose.stick_people.dice import Dice


@dataclass(frozen=True)
class Arm:
    """One arm, from hanging down."""

    forward: float
    """How far the upper arm swings forward."""
    out: float
    """How far it is lifted sideways: 90 is level, 180 straight up."""
    elbow: float
    """How far the elbow is bent."""
    bend: Literal["forward", "up", "in"] = "forward"
    """Where the forearm goes when it is bent."""


@dataclass(frozen=True)
class Leg:
    """One leg, from standing straight."""

    forward: float
    out: float
    knee: float


@dataclass(frozen=True)
class Pose:
    """A whole body; of pairs the left one is the first."""

    arms: tuple[Arm, Arm]
    legs: tuple[Leg, Leg]
    lean: float
    """Turned in the picture, clockwise."""
    bow: float
    """How far the trunk is bent forward."""
    turn: float
    """Where the body looks: 0 to the viewer, 90 to the right of the picture, 180 away."""
    head: float
    """How much farther the head is turned."""
    above: float
    """From how high the viewer looks down."""


#: how often each is drawn
KINDS = {"stand": 0.26, "walk": 0.2, "run": 0.08, "wave": 0.12, "cheer": 0.07, "spread": 0.07, "akimbo": 0.07, "hold": 0.07, "sit": 0.06}


def draw_pose(dice: Dice) -> Pose:
    """One that people are seen in."""
    kind = dice.weighted(KINDS)
    sector = dice.weighted({"front": 0.48, "side": 0.32, "back": 0.2})
    turn = dice.sign() * {"front": dice.real(0, 50), "side": dice.real(50, 125), "back": dice.real(125, 180)}[sector]
    pose = Pose(
        arms=(_hanging(dice), _hanging(dice)),
        legs=(_standing(dice), _standing(dice)),
        lean=dice.either(10),
        bow=dice.real(-3, 8),
        turn=turn,
        head=dice.either(40),
        above=dice.real(3, 14),
    )
    if kind == "walk":
        return _strides(pose, dice, leg=(14, 30), knee=(4, 40), arm=(10, 35), elbow=(8, 50))
    if kind == "run":
        return replace(_strides(pose, dice, leg=(32, 55), knee=(25, 95), arm=(25, 55), elbow=(65, 100)), bow=dice.real(5, 20))
    if kind == "wave":
        raised, other = _raised(dice), pose.arms[dice.whole(0, 1)]
        return replace(pose, arms=(raised, other) if dice.chance(0.5) else (other, raised))
    if kind == "cheer":
        return replace(pose, arms=(_raised(dice), _raised(dice)))
    if kind == "spread":
        out = dice.real(55, 95)
        arms = [Arm(dice.real(-10, 20), out + dice.either(15), dice.real(0, 35), dice.pick(("forward", "up"))) for _ in range(2)]
        return replace(pose, arms=(arms[0], arms[1]))
    if kind == "akimbo":
        both = Arm(dice.real(-15, 5), dice.real(36, 50), dice.real(75, 100), "in")
        return replace(pose, arms=(both, both if dice.chance(0.6) else pose.arms[1]))
    if kind == "hold":
        arms = [Arm(dice.real(10, 50), dice.real(4, 20), dice.real(55, 105), dice.pick(("forward", "in"))) for _ in range(2)]
        return replace(pose, arms=(arms[0], arms[1]))
    if kind == "sit":
        legs = [Leg(dice.real(72, 95), dice.real(4, 16), dice.real(70, 100)) for _ in range(2)]
        arms = [Arm(dice.real(15, 40), dice.real(5, 15), dice.real(30, 75)) for _ in range(2)]
        return replace(pose, legs=(legs[0], legs[1]), arms=(arms[0], arms[1]), lean=dice.either(4))
    return pose


def _hanging(dice: Dice) -> Arm:
    return Arm(dice.either(14), dice.real(6, 20), dice.real(4, 38))


def _standing(dice: Dice) -> Leg:
    return Leg(dice.either(6), dice.real(1, 10), dice.real(0, 9))


def _raised(dice: Dice) -> Arm:
    return Arm(dice.real(-10, 20), dice.real(105, 165), dice.real(5, 85), "up")


Range = tuple[float, float]


def _strides(pose: Pose, dice: Dice, *, leg: Range, knee: Range, arm: Range, elbow: Range) -> Pose:
    """One leg before the other, and the arms the other way round."""
    first, stride, swing = dice.sign(), dice.real(*leg), dice.real(*arm)
    bent = {1: 0.3, -1: 1.0}  # the leg that is behind is the more bent
    legs = [Leg(side * stride * dice.real(0.8, 1.1), dice.real(0, 4), dice.real(*knee) * bent[side]) for side in (first, -first)]
    arms = [Arm(-side * swing * dice.real(0.7, 1.1), dice.real(5, 14), dice.real(*elbow)) for side in (first, -first)]
    return replace(pose, legs=(legs[0], legs[1]), arms=(arms[0], arms[1]))
