"""Of which shapes a figure is made, and in what order they are painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Literal

import numpy as np

from zoo.pose.stick_people.body import AT, Body, Points
from zoo.pose.stick_people.clothes import Colour, Outfit

#: what a keypoint may lie on and still be seen, beside the shapes of its own limb
BODY, HEAD = "body", "head"

Edge = Literal["all", "sides", "none"]

_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_CAP = np.exp(1j * np.linspace(-np.pi / 2, np.pi / 2, 7))


@dataclass(frozen=True)
class Shape:
    """One filled polygon."""

    outline: Points
    """(N, 2) parts of the stature, in the body's frame."""
    part: str
    """What it belongs to: `left_arm`, `body`, ..."""
    colour: Colour
    second: Colour | None = None
    """Where the outfit's pattern says so; None: no pattern."""
    edge: Edge = "all"
    """Which of its border is drawn dark: `all`, `sides` (of a limb, whose ends run into others), `none`."""
    light: Points | None = None
    """(N, 2) the outline of its lit part."""


def shapes(body: Body, outfit: Outfit, light: float) -> list[Shape]:
    """All shapes of a figure, the farthest first. `light`: 1 or -1, the side of the picture that the light comes from."""
    layers = [*_trunk(body, outfit, light), *_head(body, outfit)]
    for side in ("left", "right"):
        layers += [*_arm(body, outfit, side, light), *_leg(body, outfit, side, light)]
    return [shape for _, shape in sorted(layers, key=lambda layer: layer[0])]


Layers = Iterator[tuple[float, Shape]]


def _trunk(body: Body, outfit: Outfit, light: float) -> Layers:
    stout = body.build.stout
    front = cos(radians(body.pose.turn))
    rounds = [(body["left_shoulder"], 0.036), (body["right_shoulder"], 0.036), (body["chest"], 0.066 * stout)]
    rounds += [(body["left_hip"], 0.046 * stout), (body["right_hip"], 0.046 * stout), (body["hips"], 0.06 * stout)]
    middle = (body["hips"] + body["chest"]) / 2
    lit = _oval(middle + _by(0.035 * light * (0.4 + abs(front)), -0.05), 0.022 + 0.025 * abs(front), 0.13)
    yield 0.0, Shape(_hull(rounds), BODY, outfit.top, outfit.accent, light=lit)
    yield -0.004, Shape(_limb(body["neck"] + (body["head"] - body["neck"]) * 0.4, body["neck"], 0.03, 0.036 * stout), BODY, outfit.skin)
    if outfit.legs == "skirt":
        hem = [(body[f"{side}_hip"] * 0.35 + body[f"{side}_knee"] * 0.65, 0.062) for side in ("left", "right")]
        waist = [(body[f"{side}_hip"], 0.05 * stout) for side in ("left", "right")]
        yield -0.01, Shape(_hull(hem + waist), "skirt", outfit.bottom)
    else:
        belt = [(body[f"{side}_hip"] + _by(0, 0.012), 0.052 * stout) for side in ("left", "right")]
        yield -0.012, Shape(_hull([*belt, (body["hips"] + _by(0, 0.015), 0.055 * stout)]), BODY, outfit.bottom)
    if outfit.backpack and front < 0.25:
        # on the back: beside the body in profile
        away = _by(-sin(radians(body.pose.turn)) * 0.085, 0)
        middle = body["chest"] * 0.85 + body["hips"] * 0.15 + away
        wide = 0.05 + 0.04 * abs(front)
        box = [(middle + _by(x * wide * 0.7, y * 0.075), 0.022) for x in (-1, 1) for y in (-1, 1)]
        yield (0.03 if front < -0.3 else -0.02), Shape(_hull(box), "pack", outfit.pack)
    if front > 0.2:
        yield from _front(body, outfit, front)


def _front(body: Body, outfit: Outfit, front: float) -> Layers:
    """What is seen of a top from before."""
    ahead = _by(sin(radians(body.pose.turn)) * 0.055, 0.01)
    collar = body["neck"] + ahead * 0.5
    down = (body["hips"] - body["neck"]) / np.linalg.norm(body["hips"] - body["neck"])
    side = _by(-down[1], down[0]) * front
    v = np.stack([collar - side * 0.036, collar + side * 0.036, collar + down * 0.062 + ahead * 0.5])
    if outfit.chest != "nothing":
        yield 0.004, Shape(v, BODY, outfit.skin, edge="none")
    if outfit.chest == "badge":
        yield 0.005, Shape(_oval(body["chest"] + ahead, 0.045 * front, 0.034), BODY, outfit.accent, edge="none")
    if outfit.chest == "buttons":
        top, low = collar + down * 0.06 + ahead * 0.5, body["hips"] + ahead
        yield 0.005, Shape(_limb(top, low, 0.007, 0.007), BODY, _shade(outfit.accent, 0.9), edge="none")
    if outfit.chest == "open":  # a jacket, and what is below it
        top, low = collar + ahead * 0.5, body["hips"] + ahead
        strip = np.stack([top - side * 0.02, top + side * 0.02, low + side * 0.045, low - side * 0.045])
        yield 0.003, Shape(strip, BODY, outfit.accent, edge="none")


def _arm(body: Body, outfit: Outfit, side: str, light: float) -> Layers:
    part = f"{side}_arm"
    stout = 0.4 + 0.6 * body.build.stout
    shoulder, elbow, wrist, hand = (body[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
    at = [float(body.near[AT[f"{side}_{name}"]]) for name in ("shoulder", "elbow", "wrist")]
    # what hangs straight down is before the trunk, from whichever side it is seen
    upper, fore = (at[0] + at[1]) / 2 + 0.035, (at[1] + at[2]) / 2 + 0.036
    far = _far(upper)
    cloth, second, skin = _shade(outfit.top, far), _shade(outfit.accent, far), _shade(outfit.skin, far)
    sleeve = 1.12 if outfit.sleeves != "none" else 1.0
    wide, narrow, thin = 0.036 * stout, 0.029 * stout, 0.022 * stout
    if outfit.sleeves == "short":
        yield upper, _strip(shoulder, elbow, wide, narrow, part, light, colour=skin)
        yield (
            upper + 1e-4,
            _strip(shoulder, shoulder + (elbow - shoulder) * 0.62, wide * sleeve, narrow * 1.3, part, light, colour=cloth, second=second),
        )
    else:
        bare = outfit.sleeves == "none"
        colours = (skin, None) if bare else (cloth, second)
        yield upper, _strip(shoulder, elbow, wide * sleeve, narrow * sleeve, part, light, colour=colours[0], second=colours[1])
    yield fore - 1e-4, _strip(wrist, hand, thin * 0.95, 0.024, part, light, colour=skin, edge="all")
    if outfit.sleeves == "long":
        yield fore, _strip(elbow, wrist, narrow * sleeve, thin * 1.15, part, light, colour=cloth, second=second)
    else:
        yield fore, _strip(elbow, wrist, narrow, thin, part, light, colour=skin)


def _leg(body: Body, outfit: Outfit, side: str, light: float) -> Layers:
    part = f"{side}_leg"
    stout = 0.4 + 0.6 * body.build.stout
    hip, knee, ankle, toe, heel = (body[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe", "heel"))
    at = [float(body.near[AT[f"{side}_{name}"]]) for name in ("hip", "knee", "ankle")]
    thigh, shin = (at[0] + at[1]) / 2 - 0.1, (at[1] + at[2]) / 2 - 0.095
    if body.pose.legs[side == "right"].forward < 65:  # below the top's hem, unless it is lifted
        thigh = min(thigh, -0.02)
    far = _far((at[0] + at[1]) / 2)
    cloth, skin = _shade(outfit.bottom, far), _shade(outfit.skin, far)
    loose = 1.1
    wide, middle, thin = 0.054 * stout * loose, 0.04 * stout * loose, 0.027 * stout
    yield thigh, _strip(hip, knee, wide, middle, part, light, colour=skin if outfit.legs == "skirt" else cloth)
    if outfit.legs == "trousers":
        yield shin, _strip(knee, ankle, middle, thin * 1.2, part, light, colour=cloth)
    else:
        yield shin, _strip(knee, ankle, middle * 0.92, thin, part, light, colour=skin)
    if outfit.legs == "shorts":
        yield thigh + 1e-4, _strip(hip, knee * 0.88 + hip * 0.12, wide, middle * 1.1, part, light, colour=cloth)
    foot = _hull([(heel, 0.021), (toe, 0.017), (ankle, 0.02)])
    yield min(shin, thigh) - 1e-4 if at[2] < at[1] - 0.05 else shin + 2e-4, Shape(foot, part, _shade(outfit.shoes, far))


def _head(body: Body, outfit: Outfit) -> Layers:
    middle, high = body["head"], body.build.head
    looks = radians((body.looks + 180) % 360 - 180)
    ahead, sideways = cos(looks), sin(looks)
    wide = high * float(np.hypot(0.8 * ahead, 0.92 * sideways))
    lean = radians(body.pose.lean)
    up = _by(sin(lean), -cos(lean))
    across = _by(cos(lean), sin(lean))
    bald, long = outfit.cut == "bald", outfit.cut == "long"
    hair = outfit.skin if bald else outfit.hair
    if long:
        centre = middle - up * high * 0.5 - across * sideways * high * 0.3
        yield (0.05 if ahead < 0.1 else -0.03), Shape(_oval(centre, wide * 1.08, high * 1.4, lean), HEAD, hair)
    edge: Edge = "none" if long and ahead < 0.1 else "all"
    yield 0.052, Shape(_oval(middle + up * high * 0.03, wide * 1.04, high * 1.03, lean), HEAD, hair, edge=edge)
    ears = [name for name in ("left_ear", "right_ear") if not long and _seen(body, name)]
    for name in ears:
        if body.near[AT[name]] - body.near[AT["head"]] < high * 0.3:
            yield 0.0525, Shape(_oval(body[name], high * 0.13, high * 0.2, lean), HEAD, _shade(outfit.skin, 0.93))
    share = max(0.0, (ahead + 0.5) / 1.5)
    if share > 0.08:
        face = wide * 0.86 * share**0.4
        centre = middle + across * sideways * (wide - face) * 0.96 - up * high * (0.0 if bald else 0.16)
        yield 0.053, Shape(_oval(centre, face, high * (1.0 if bald else 0.86), lean), HEAD, outfit.skin, edge="none")
    for name in ears:
        if body.near[AT[name]] - body.near[AT["head"]] >= high * 0.3:
            yield 0.0535, Shape(_oval(body[name], high * 0.12, high * 0.2, lean), HEAD, _shade(outfit.skin, 0.85))
    if _seen(body, "nose"):
        tip = _oval(body["nose"], high * 0.12, high * 0.17, lean)
        yield 0.054, Shape(tip, HEAD, _shade(outfit.skin, 0.84), edge="none")
    if ahead > 0.05:
        yield 0.0545, Shape(_oval(body["mouth"], high * 0.3 * ahead, high * 0.07, lean), HEAD, (70, 60, 150), edge="none")
    for name in ("left_eye", "right_eye"):
        if _seen(body, name):
            yield 0.055, Shape(_oval(body[name], high * 0.17, high * 0.13, lean), HEAD, (240, 240, 240), edge="none")
            pupil = _oval(body[name] + across * sideways * high * 0.05, high * 0.1, high * 0.12, lean)
            yield 0.056, Shape(pupil, HEAD, (40, 30, 25), edge="none")


#: how much of a head's half height a feature has to be nearer than the head's middle to be seen
_FROM = {"nose": -0.25, "left_eye": 0.1, "right_eye": 0.1, "left_ear": -0.3, "right_ear": -0.3}


def _seen(body: Body, name: str) -> bool:
    return float(body.near[AT[name]] - body.near[AT["head"]]) > _FROM[name] * body.build.head


def hidden(body: Body, outfit: Outfit) -> set[str]:
    """The keypoints that the figure's own roundness hides: what is painted at their place is the near side of the same part."""
    found = {name for name in _FROM if not _seen(body, name)}
    if outfit.cut == "long":
        found |= {"left_ear", "right_ear"}
    for name, half in (("shoulder", body.build.shoulders), ("hip", body.build.hips)):
        middle = body.near[AT["chest"]] if name == "shoulder" else body.near[AT["hips"]]
        found |= {f"{side}_{name}" for side in ("left", "right") if body.near[AT[f"{side}_{name}"]] - middle < -0.75 * half}
    return found


def own_parts(name: str) -> frozenset[str]:
    """The parts on which a keypoint of COCO's is seen."""
    side, _, joint = name.partition("_")
    if joint in ("shoulder",):
        return frozenset({BODY, f"{side}_arm"})
    if joint in ("elbow", "wrist"):
        return frozenset({f"{side}_arm"})
    if joint == "hip":
        return frozenset({BODY, "skirt", f"{side}_leg"})
    if joint in ("knee", "ankle"):
        return frozenset({f"{side}_leg", *(("skirt",) if joint == "knee" else ())})
    return frozenset({HEAD})


def _far(near: float) -> float:
    """How bright a limb is: what is behind the body lies in its shadow."""
    return float(np.clip(1 + near * 1.6, 0.78, 1.0))


def _shade(colour: Colour, factor: float) -> Colour:
    blue, green, red = (min(255.0, value * factor) for value in colour)
    return blue, green, red


def _strip(
    a: Points,
    b: Points,
    ra: float,
    rb: float,
    part: str,
    light: float,
    *,
    colour: Colour,
    second: Colour | None = None,
    edge: Edge = "sides",
) -> Shape:
    shift = _by(0.32 * light, -0.12)
    return Shape(_limb(a, b, ra, rb), part, colour, second, edge, _limb(a + shift * ra, b + shift * rb, ra * 0.42, rb * 0.42))


def _by(x: float, y: float) -> Points:
    return np.array([x, y])


def _limb(a: Points, b: Points, ra: float, rb: float) -> Points:
    """(14, 2) a bar with round ends, of another thickness at each; the first seven points go around `b`."""
    start, end = complex(a[0], a[1]), complex(b[0], b[1])
    length = abs(end - start)
    along = (end - start) / length if length > 1e-6 else 1j
    outline = np.empty(14, np.complex128)
    outline[:7] = _CAP * (along * rb) + end
    outline[7:] = _CAP * (-along * ra) + start
    return outline.view(np.float64).reshape(14, 2)


def _oval(middle: Points, rx: float, ry: float, lean: float = 0.0) -> Points:
    """(20, 2)"""
    c, s = cos(lean), sin(lean)
    points: Points = middle + _CIRCLE @ np.array([[rx * c, rx * s], [-ry * s, ry * c]])
    return points


def _hull(rounds: list[tuple[Points, float]]) -> Points:
    """(N, 2) what a band around these discs encloses."""
    import cv2

    points = np.concatenate([centre + _CIRCLE * radius for centre, radius in rounds]).astype(np.float32)
    return np.asarray(cv2.convexHull(points)[:, 0], np.float64)
