"""`OneEuro`: keypoints that do not tremble, of people whose ids are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoo.pose.keypoints import Poses


@dataclass
class _State:
    """A person's keypoints as last given out, and their speed."""

    time: float
    """Seconds."""
    keypoints: NDArray[np.float64]
    """(K, 2), nan where the keypoint was not seen then: it starts anew."""
    speed: NDArray[np.float64]
    """(K, 2) in the person's size a second."""


@dataclass
class OneEuro:
    """The 1 euro filter: a low pass whose cutoff rises with speed, so that who rests does not tremble and who runs does not lag.

    Speeds are in parts of the person's size, so that the same constants do for whoever is near or far. Someone who was not seen
    for longer than `forgets` starts anew, and so does every keypoint that was absent in the last frame.
    Source: Casiez, Roussel, Vogel, "1 euro filter: a simple speed-based low-pass filter for noisy input in interactive systems",
    CHI 2012.
    """

    cutoff: float = 1.5
    """Hz, of a keypoint that rests: lower trembles less and lags more."""
    beta: float = 4.0
    """Hz for each size of the person a second: higher lags less."""
    speed_cutoff: float = 1.0
    """Hz, of the speed itself."""
    forgets: float = 0.5
    """Seconds."""
    _states: dict[int, _State] = field(default_factory=dict)

    def smoothed(self, poses: Poses, ids: NDArray[np.integer], time: float) -> Poses:
        """`poses` of the people `ids` (N,) at `time` (seconds, not falling) with smoothed keypoints.

        Boxes of people with keypoints move along: they are the hulls of the new ones where they were the hulls of the old."""
        self._states = {name: state for name, state in self._states.items() if time - state.time <= self.forgets}
        keypoints = poses.keypoints.astype(np.float64)
        hulls = _hulls(keypoints)
        for person, name in enumerate(ids.tolist()):
            keypoints[person] = self._next(name, keypoints[person], poses.boxes[person], time)
        of_hull = np.all(np.abs(poses.boxes - hulls) < 1e-3, axis=1)
        boxes = np.where(of_hull[:, None], _hulls(keypoints), poses.boxes)
        return Poses(keypoints, poses.scores, boxes, poses.instance_scores)

    def _next(self, name: int, seen: NDArray[np.float64], box: NDArray[np.floating], time: float) -> NDArray[np.float64]:
        state = self._states.get(name)
        if state is None:
            self._states[name] = _State(time, seen.copy(), np.zeros_like(seen))
            return seen
        passed = time - state.time
        if passed <= 0:
            return seen
        size = max(1.0, float(np.nan_to_num(np.hypot(box[2] - box[0], box[3] - box[1]))))
        raw = np.nan_to_num((seen - state.keypoints) / (size * passed))
        share = _share(self.speed_cutoff, passed)
        speed = share * raw + (1 - share) * state.speed
        weight = _share(self.cutoff + self.beta * np.abs(speed), passed)
        moved = weight * seen + (1 - weight) * state.keypoints
        # who was absent then has nothing to be smoothed with
        fresh = np.isnan(state.keypoints)
        result = np.where(fresh, seen, moved)
        self._states[name] = _State(time, result.copy(), np.where(fresh | np.isnan(seen), 0.0, speed))
        return np.asarray(result, np.float64)


def _hulls(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K, 2) -> (N, 4); of nan where nothing is present."""
    if not keypoints.shape[1]:
        return np.full((len(keypoints), 4), np.nan)
    # fmin passes over nan, and says nothing where all are
    return np.concatenate([np.fmin.reduce(keypoints, axis=1), np.fmax.reduce(keypoints, axis=1)], axis=1)


def _share(cutoff: float | NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """How much of a new value a low pass of `cutoff` Hz takes, `seconds` after the last one."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * seconds)))
