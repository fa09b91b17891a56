"""`Tracker`: who in this frame is who in the last ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoo.pose.keypoints import Floats, Poses
from zoo.pose.oks import oks
from zoo.pose.skeletons import Skeleton

#: the spread of a keypoint where COCO defines none: about the mean of COCO's
SPREAD = 0.07


@dataclass
class _Track:
    """One person, as last seen."""

    keypoints: NDArray[np.float64]
    """(K, 2), nan where unknown."""
    box: NDArray[np.float64]
    missed: int = 0


@dataclass
class Tracker:
    """Ids that people keep from frame to frame.

    The surest of the people now seen chooses first: the track most similar to it, if that is similar enough, else a new id.
    How similar two are is the OKS over the keypoints that both have; of people without keypoints, the IoU of their boxes. An id is
    never given to a second person.

    Source: the demo of Lightweight OpenPose (Osokin, 2018), which hands ids on greedily by the similarity of common keypoints.
    """

    skeleton: Skeleton
    least: float = 0.3
    """Who is less similar than this is someone else."""
    common: int = 3
    """So many keypoints two poses have in common, or all of the smaller one: fewer say nothing."""
    patience: int = 15
    """For so many frames someone may be out of sight."""
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _next: int = 0

    def ids(self, poses: Poses) -> NDArray[np.int64]:
        """(N,) the id of each of the people in the next frame: 0, 1, 2, ... in the order in which they first appear."""
        similar = self._similar(poses)
        names, found = list(self._tracks), np.full(len(poses), -1, np.int64)
        for person in np.argsort(-poses.instance_scores, kind="stable"):
            best = int(similar[person].argmax()) if names else -1
            if best >= 0 and similar[person, best] > self.least:
                found[person] = names[best]
                similar[:, best] = -1.0  # each is one person's
        for person in np.flatnonzero(found < 0):
            found[person] = self._next
            self._next += 1
        self._remember(poses, found)
        return found

    def _remember(self, poses: Poses, found: NDArray[np.int64]) -> None:
        for track in self._tracks.values():
            track.missed += 1
        for person, name in enumerate(found.tolist()):
            keypoints = poses.keypoints[person].astype(np.float64)
            self._tracks[name] = _Track(keypoints, poses.boxes[person].astype(np.float64))
        self._tracks = {name: track for name, track in self._tracks.items() if track.missed <= self.patience}

    def _similar(self, poses: Poses) -> NDArray[np.float64]:
        """(N, T) similarity of the people to the tracks, 0 to 1."""
        tracks = list(self._tracks.values())
        if not tracks or not len(poses):
            return np.zeros((len(poses), len(tracks)))
        boxes = np.stack([track.box for track in tracks])
        if not self.skeleton.keypoints:
            return _iou(poses.boxes, boxes)
        known = np.stack([track.keypoints for track in tracks])
        sigmas = self.skeleton.sigmas or (SPREAD,) * len(self.skeleton.keypoints)
        areas = (_area(poses.boxes)[:, None] + _area(boxes)) / 2 + 1.0
        here, there = poses.present.astype(np.int64), (~np.isnan(known[..., 0])).astype(np.int64)
        common = here @ there.T
        enough = np.minimum(self.common, np.minimum(here.sum(axis=1)[:, None], there.sum(axis=1)))
        similar = oks(poses.keypoints, known, areas, sigmas, shared=True)
        return np.asarray(np.where((common >= enough) & (common > 0), similar, 0.0), np.float64)


def _area(boxes: Floats) -> NDArray[np.float64]:
    sides = np.nan_to_num(boxes[:, 2:] - boxes[:, :2])
    return np.asarray(np.maximum(sides[:, 0] * sides[:, 1], 0), np.float64)


def _iou(one: Floats, other: Floats) -> NDArray[np.float64]:
    """(N, M) intersection over union; 0 where a box has no area."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    sides = np.maximum(np.nan_to_num(high - low), 0)
    inside = sides[..., 0] * sides[..., 1]
    union = _area(one)[:, None] + _area(other) - inside
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=union > 0), np.float64)
