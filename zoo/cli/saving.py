"""`Saver`: what a demo leaves behind, pictures or a video, and the keypoints beside it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from zoo.cli.predictions import ENDINGS, VIDEOS, names, real
from zoo.datasets.images import Sample
from zoo.errors import StepFailed, UsageError
from zoo.files import replacing, write_bytes
from zoo.formats.native import people_of
from zoo.formats.prediction import Prediction
from zoo.pose.keypoints import Poses
from zoo.video.source import Frame, Source
from zoo.video.writer import VideoWriter

#: what is shown lies here, each recipe's in a folder of its own, unless another is named
FOLDER = Path("demo")
VIDEO = ".mp4"
#: how files end that somebody may want, and that are not written
OTHERS = (VIDEOS | ENDINGS | {".gif", ".json", ".jsonl"}) - {VIDEO}
#: the keypoints of a folder of pictures
POSES = "poses.jsonl"


def ready(save: Path, source: Source, samples: tuple[Sample, ...]) -> None:
    """Make the folder that is `save`, or that holds it.

    Raises UsageError where it cannot be made, where `save` ends like a file that is not written, or where something that is shown
    would be written over."""
    ending = save.suffix.lower()
    if ending in OTHERS:
        raise UsageError(
            f"{save}: a video is written as {VIDEO}, pictures into a folder", f"say --save {save.with_suffix(VIDEO)}, or a folder"
        )
    folder = save.parent if ending == VIDEO else save
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"nothing can be written to {folder}: {error.strerror}", "name another place with --save") from error
    if ending == VIDEO and save.is_dir():
        raise UsageError(f"{save} is a folder", "name a file that is not there")
    if samples and ending != VIDEO:
        shown, places = [sample.path for sample in samples], [save / f"{called}.jpg" for called in names(samples).values()]
    else:
        shown, places = [Path(source.name)], [_place(save, source.name)]
    if over := {real(path) for path in shown} & {real(place) for place in places}:
        raise UsageError(f"{min(over)} is shown, and would be written over", "save elsewhere")


class Saver:
    """Writes frames and keypoints of one source. A context manager: files take their names when it ends, however it ends.

    `save` is an MP4, or a folder: of a video an MP4 of its name is put there, of images a picture each."""

    def __init__(self, save: Path, source: Source, samples: tuple[Sample, ...], skeleton: str) -> None:
        self._skeleton, self._stack = skeleton, ExitStack()
        self._video: VideoWriter | None = None
        self._called = names(samples)
        self._lines: IO[str] | None = None
        whole = save.suffix.lower() == VIDEO
        self.folder = save.parent if whole else save
        if whole or not samples:
            path = _place(save, source.name)
            self._video, self.keypoints = VideoWriter(path, source.rate), path.with_suffix(".jsonl")
        else:
            self.keypoints = save / POSES

    @property
    def places(self) -> list[Path]:
        """What is written."""
        return [self._video.path if self._video else self.folder, self.keypoints]

    def write(self, frame: Frame, picture: NDArray[np.uint8], poses: Poses, ids: NDArray[np.int64] | None) -> None:
        """Add a frame: `picture` is what is shown of it. Raises StepFailed where it cannot be written."""
        try:
            if self._video:
                self._video.write(picture, frame.time)
            else:
                write_bytes(self.folder / f"{self._called[frame.name]}.jpg", _jpeg(picture))
            if self._lines is None:
                temporary = self._stack.enter_context(replacing(self.keypoints))
                self._lines = self._stack.enter_context(temporary.open("w", encoding="utf-8"))
            self._lines.write(line(frame, poses, ids, self._skeleton))
        except OSError as error:
            raise StepFailed(
                f"{self.folder} cannot be written to: {error.strerror or error}", "make room there, or save elsewhere"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # what ended the run is not told to the files: they are whole as far as they go
        try:
            if self._video:
                self._video.close()
        finally:
            self._stack.close()


def line(frame: Frame, poses: Poses, ids: NDArray[np.int64] | None, skeleton: str) -> str:
    """One frame's people as a line of JSON: frame, time in seconds, and each with id, score, box, and every keypoint or null."""
    height, width = frame.image.shape[:2]
    people = people_of(Prediction(frame.name or "frame", (width, height), skeleton, poses))
    said: dict[str, Any] = {"frame": frame.index, "time": round(frame.time, 6), "width": width, "height": height, "skeleton": skeleton}
    if frame.name:
        said["image"] = frame.name
    numbers = [None] * len(people) if ids is None else ids.tolist()
    said["people"] = [{"id": number, **msgspec.to_builtins(one)} for number, one in zip(numbers, people, strict=True)]
    return json.dumps(said, allow_nan=False) + "\n"


def _place(save: Path, name: str) -> Path:
    """Where the video of the source `name` is written."""
    return save if save.suffix.lower() == VIDEO else save / f"{_stem(name)}{VIDEO}"


def _stem(name: str) -> str:
    """What the video of a source is called: rtsp://host/door is door, /dev/video0 is video0, 0 is camera0."""
    stem = Path(name.partition("?")[0].rstrip("/")).stem or "video"
    return f"camera{stem}" if stem.isdigit() and name.isdigit() else stem


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    import cv2

    if max(picture.shape) > 65500:
        raise UsageError("no JPEG is so wide or high", "save a video, or smaller images")
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
