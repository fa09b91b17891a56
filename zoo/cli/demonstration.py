"""The loop of `zoo demo`: frames through a model, who is who, what is drawn over them, and how fast it goes."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from zoo.cli.predictions import nobody
from zoo.cli.saving import Saver
from zoo.cli.window import TOGGLES, Window
from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample
from zoo.errors import Bug, Cancelled, StepFailed, ZooError
from zoo.faults import naming, reason
from zoo.pipelines.estimator import Estimator, PoseModel
from zoo.pose.draw import draw
from zoo.pose.geometry import View
from zoo.pose.keypoints import Poses
from zoo.pose.overlays import fields_over, heatmaps_over, status_over
from zoo.pose.smooth import OneEuro
from zoo.pose.tracking import Tracker
from zoo.stream import flow
from zoo.video.source import Frame, Source

#: overlay -> what it shows
OVERLAYS = {
    "skeleton": "limbs and joints",
    "heatmap": "where the network sees keypoints",
    "paf": "where limbs point to",
    "boxes": "people's boxes",
    "ids": "who is who",
    "status": "frames a second, latency, people",
}
#: frames over which the speed is told
_RECENT = 30
#: latencies that are kept for the median: the memory of a camera that never ends does not grow
_KEPT = 10_000


class Pictures(Source):
    """Images as frames, `rate` a second. What cannot be read is passed over, or raised where `strict`."""

    def __init__(self, samples: tuple[Sample, ...], rate: int, *, strict: bool = False) -> None:
        self.name, self.rate, self.total = "images", Fraction(rate), len(samples)
        self._samples, self._strict = samples, strict

    def __iter__(self) -> Iterator[Frame]:
        images, bad = Images(self._samples), []
        count = 0
        for sample in self._samples:
            taken, self.reading = perf_counter(), sample.name
            try:
                image = images.read(sample)
            except BadImage as error:
                if self._strict:
                    raise
                bad.append(error.message)
                continue
            yield Frame(image, count, count / float(self.rate or 1), taken, sample.name)
            count += 1
        self.lost = "; ".join(bad)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame with what was found in it."""

    frame: Frame
    poses: Poses
    views: list[View]
    """The network's runs, where its maps may be wanted."""
    fault: Exception | None = None


@dataclass
class Demonstration:
    """What is shown, and what was counted."""

    overlays: set[str]
    threshold: float = 0.0
    """Keypoints of a smaller score are not drawn."""
    tracker: Tracker | None = None
    smoother: OneEuro | None = None
    frames: int = 0
    people: int = 0
    dropped: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """The frames that the model failed on."""
    fail_fast: bool = False
    """End at the first of them."""
    bugs: int = 0
    """How many of them failed as nobody foresaw."""
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _moments: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def latency(self) -> float:
        """Seconds from the frame's coming until it is drawn, the median."""
        return statistics.median(self._latencies) if self._latencies else 0.0

    @property
    def rate(self) -> float:
        """Frames a second, of the whole run."""
        return self.frames / self.seconds if self.seconds else 0.0

    def run(self, model: PoseModel, source: Source, context: Context, *, workers: int, saver: Saver | None, window: Window | None) -> None:
        """All frames of `source`, in order; ends with it, or by a key of the window. Raises Cancelled where the run is stopped."""
        keep = isinstance(model, Estimator) and (window is not None or bool(self.overlays & {"heatmap", "paf"}))

        def work(frame: Frame) -> _Seen:
            try:
                if keep and isinstance(model, Estimator):
                    views = model.look([frame.image])[0]
                    return _Seen(frame, model.read(views), views)
                return _Seen(frame, model.many([frame.image])[0], [])
            except Cancelled:
                raise
            except Exception as error:  # whatever a runtime or a decoder raises on one frame must not take the others with it
                # a frame of a file is never left out: it is shown as it came
                return _Seen(frame, nobody(model), [], error)

        started = perf_counter()
        ahead = 0 if source.live else 2
        stream = flow(
            source,
            work,
            workers=workers,
            context=context,
            ahead=ahead,
            named=_called,
            coming=lambda: source.reading or f"frames of {source.name}",
        )
        with closing(stream) as results:
            for seen in results:
                self._take(model, seen, saver, window)
                self.seconds = perf_counter() - started
                context.report("finding people", self.frames, source.total, "frames")
                if window and self._ended(window, context):
                    break

    def _take(self, model: PoseModel, seen: _Seen, saver: Saver | None, window: Window | None) -> None:
        frame, poses = seen.frame, seen.poses
        if seen.fault:
            first = not self.frames and not frame.name
            if first and isinstance(seen.fault, ZooError):
                raise StepFailed(f"{_called(frame)}: {seen.fault.message}", "what fails on the first frame of a video fails on all")
            if first or self.fail_fast:
                raise naming(seen.fault, _called(frame))
            self.faults.append(f"{_called(frame)}: {reason(seen.fault)}")
            self.bugs += not isinstance(seen.fault, ZooError) or isinstance(seen.fault, Bug)
        ids = self.tracker.ids(poses) if self.tracker else None
        if self.smoother and ids is not None:
            poses = self.smoother.smoothed(poses, ids, frame.time)
        self.dropped += frame.index - (self.frames + self.dropped)
        self.frames += 1
        self.people += len(poses)
        now = perf_counter()
        self._latencies.append(now - frame.taken)
        self._moments.append(now)
        if saver or window:
            picture = self.picture(model, frame.image, poses, ids, seen.views)
            if saver:
                saver.write(frame, picture, poses, ids)
            if window:
                window.show(picture)

    def picture(
        self, model: PoseModel, image: NDArray[np.uint8], poses: Poses, ids: NDArray[np.int64] | None, views: list[View]
    ) -> NDArray[np.uint8]:
        """A new image with the overlays that are on."""
        if views and isinstance(model, Estimator):
            # the first of several sizes or turns: maps of others look the same
            outputs, affine = views[0]
            reads = model.decode.reads()
            maps = {field: getattr(model.decode, field) for field in reads}
            if "heatmap" in self.overlays and "heatmaps" in reads:
                image = heatmaps_over(image, outputs[maps["heatmaps"]][0, : reads["heatmaps"]], affine)
            if "paf" in self.overlays and "pafs" in reads:
                image = fields_over(image, outputs[maps["pafs"]][0, : reads["pafs"]], affine)
        shown = ids if "ids" in self.overlays else None
        if self.overlays & {"skeleton", "boxes"} or shown is not None:
            limbs, boxes = "skeleton" in self.overlays, "boxes" in self.overlays
            image = draw(image, poses, model.skeleton, boxes=boxes, limbs=limbs, ids=shown, threshold=self.threshold)
        return status_over(image, self._status(len(poses))) if "status" in self.overlays else image

    def _status(self, people: int) -> str:
        spent = self._moments[-1] - self._moments[0] if len(self._moments) > 1 else 0.0
        speed = f"{(len(self._moments) - 1) / spent:.1f} FPS  " if spent else ""
        return f"{speed}{1e3 * self._latencies[-1]:.0f} ms  {people} {'person' if people == 1 else 'people'}"

    def _ended(self, window: Window, context: Context) -> bool:
        """Do what the keys say; True where they say that it ends."""
        while True:
            for key in window.pressed():
                if key in ("q", "escape"):
                    return True
                if key == "space":
                    window.paused = not window.paused
                elif key in TOGGLES:
                    self.overlays ^= {TOGGLES[key]}
            if not window.paused:
                return False
            context.report("paused", self.frames)
            window.wait()


def _called(frame: Frame) -> str:
    return frame.name or f"frame {frame.index}"
