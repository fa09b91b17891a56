"""`VideoWriter`: frames into an MP4, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed, UsageError
from zoo.files import replacing
from zoo.optional import require

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

#: 1/90000 s: MPEG's own clock, in which the frames of every usual rate are whole
CLOCK = 90_000
#: H.264 where the frames look at most like their originals for the time that they take (x264's names)
_OPTIONS = {"preset": "superfast", "crf": "23"}
#: no decoder takes an H.264 picture of a longer side
_LARGEST = 16_384


class VideoWriter:
    """An MP4 of H.264, which every player shows. A context manager.

    It is written under a temporary name beside `path` and takes its place when the block ends, also by ^C or an error: what
    was written until then can be played. Without a single frame nothing is left."""

    def __init__(self, path: Path, rate: Fraction | None = None) -> None:
        self.path = path
        self.frames = 0
        self._rate = rate or Fraction(30)
        self._stack = ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        self._last = -1
        self._encode: Any = None

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Add `image` (H, W, 3) BGR, shown from `time` seconds on (later than the one before).

        The video has the first frame's size, made even by repeating the last row and column. One of another size is fitted into
        it with black beside it. Raises UsageError where an image is too large for a video, StepFailed where it cannot be written."""
        av = require("av")
        try:
            if self._container is None:
                self._open(image)
            frame = av.VideoFrame.from_ndarray(self._fitted(image), format="bgr24")
            frame.time_base = Fraction(1, CLOCK)
            frame.pts = self._last = max(self._last + 1, round(time * CLOCK))
            self._mux(frame)
        except (av.FFmpegError, OSError) as error:
            raise StepFailed(f"{self.path} cannot be written: {error.strerror or error}", "is there room on the disk?") from error
        self.frames += 1

    def close(self) -> None:
        """Write what the encoder still holds and give the file its name. Raises StepFailed where that cannot be written."""
        if self._container is None:
            return
        av = require("av")
        try:
            # the container's index is written as it closes, the file gets its name after that
            with self._stack, self._container:
                self._mux(None)
        except (av.FFmpegError, OSError) as error:
            raise StepFailed(f"{self.path} cannot be written: {error.strerror or error}", "is there room on the disk?") from error
        finally:
            self._container = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = (side + side % 2 for side in image.shape[:2])
        if max(width, height) > _LARGEST:
            raise UsageError(f"{width}x{height} pixels are too many for a video", "save the pictures into a folder instead")
        av = require("av")
        temporary = self._stack.enter_context(replacing(self.path))
        container: OutputContainer = av.open(str(temporary), "w", format="mp4")
        stream = container.add_stream("libx264", rate=self._rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        self._container, self._stream, self._size = container, stream, (width, height)

    def _fitted(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        width, height = self._size
        across, down = width - image.shape[1], height - image.shape[0]
        if (across, down) == (0, 0):
            return np.ascontiguousarray(image)
        if across in (0, 1) and down in (0, 1):
            return np.pad(image, ((0, down), (0, across), (0, 0)), mode="edge")
        av = require("av")
        part = min(width / image.shape[1], height / image.shape[0])
        inner = (max(1, min(width, round(image.shape[1] * part))), max(1, min(height, round(image.shape[0] * part))))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        scaled = frame.reformat(width=inner[0], height=inner[1]).to_ndarray(format="bgr24")
        whole = np.zeros((height, width, 3), np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        whole[top : top + inner[1], left : left + inner[0]] = scaled
        return whole

    def _mux(self, frame: Any) -> None:
        assert self._container is not None and self._stream is not None
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
