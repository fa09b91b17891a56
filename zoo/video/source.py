"""`Source`: where frames come from, and `open_video`, which makes one of a file, a camera or an address."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed, UsageError
from zoo.optional import require

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: an address, as in rtsp://host/stream
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
#: how FFmpeg calls this system's cameras, and how it is told the one of a number
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}
#: seconds until a server that says nothing is given up: to be reached, and for a frame
_PATIENCE = (10.0, 10.0)
#: seconds that closing waits for whoever reads
_LEAVE = 2.0
#: pixels of a frame that is taken, as of an image that is read
LARGEST = 1 << 26
#: a file may end this much before the length that it declares, in seconds: containers round, and so do sound tracks
_ROUNDED = 0.5


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source."""

    image: NDArray[np.uint8]
    """(H, W, 3) BGR, the right way up."""
    index: int
    """Its place in the source, from 0; those that a live source dropped are counted."""
    time: float
    """Seconds since the first frame."""
    taken: float
    """When it was asked for (a file) or came (a camera), by `time.perf_counter`: what latency is counted from."""
    name: str = ""
    """The file's name, of a folder's images."""


class Source(ABC):
    """Frames, one after the other; a context manager. May be iterated once."""

    name: str
    live: bool = False
    """Whether frames come at their own pace, and those that nobody waits for are dropped."""
    rate: Fraction | None = None
    """Frames a second, as declared; None where unknown."""
    total: int | None = None
    """How many frames are to be expected; None where unknown."""
    reading: str = ""
    """What of it is being read, where that has a name of its own."""
    lost: str = ""
    """What could not be read, known at the end; empty where all was."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames. What is damaged is passed over and told in `lost`."""

    def close(self) -> None:
        """Give back the file or the camera."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def is_video(text: str) -> bool:
    """Whether `text` names a camera (`0`, /dev/video0) or an address, and not a file or folder."""
    return text.isdigit() or bool(_ADDRESS.match(text)) or text.startswith("/dev/")


def open_video(text: str) -> Video:
    """The video that `text` names: a file, a camera (`0`, /dev/video0) or an address (rtsp://..., http://...).

    Raises UsageError where there is none, StepFailed where it cannot be opened, MissingTool without PyAV."""
    camera = text.isdigit() or text.startswith("/dev/")
    address = bool(_ADDRESS.match(text))
    options: dict[str, Any] = {}
    path = text
    if camera:
        system = next((one for one in _CAMERAS if sys.platform.startswith(one)), None)
        if system is None:
            raise UsageError(f"cameras are not known on {sys.platform}", "give the address of its stream, or a file")
        options["format"], pattern = _CAMERAS[system]
        path = pattern.format(text) if text.isdigit() else text
    elif address:
        options["timeout"] = _PATIENCE
        if text.lower().startswith("rtsp"):
            options["options"] = {"rtsp_transport": "tcp"}  # over UDP lost packets become grey pictures
    av = require("av")
    try:
        container = av.open(path, **options)
    except (av.FFmpegError, OSError) as error:
        raise _unopened(text, path, error, camera=camera, address=address) from error
    return Video(text, container, live=camera or (address and container.duration is None))


class Video(Source):
    """A file, a camera or a stream that is decoded by PyAV."""

    def __init__(self, name: str, container: InputContainer, *, live: bool) -> None:
        self.name, self.live, self._container = name, live, container
        streams = container.streams.video
        if not streams:
            container.close()
            raise UsageError(f"{name} holds no pictures", "it may be sound alone: name another file")
        self._stream: VideoStream = streams[0]
        try:
            self._allowed(self._stream.codec_context.width, self._stream.codec_context.height)
        except UsageError:
            container.close()
            raise
        # more threads were slower where the cores run networks (benchmarks/README.md)
        self._stream.codec_context.thread_count = 1
        self.rate = self._stream.average_rate or self._stream.guessed_rate
        self._declared = self._stream.frames or None
        seconds = float(container.duration / 1_000_000) if container.duration else None
        self._seconds = None if live else seconds
        guessed = round(seconds * float(self.rate)) if seconds and self.rate else None
        self.total = None if live else self._declared or guessed
        self._damaged, self._reason = 0, ""
        self._busy, self._closed = Lock(), False

    def __iter__(self) -> Iterator[Frame]:
        count, time, first = 0, 0.0, None
        step = 1 / float(self.rate or 30)
        asked = perf_counter()
        for picture in self._pictures():
            stamp = picture.time
            first = stamp if first is None else first
            # no stamp, or one that goes back: as long after the last as frames are apart
            later = stamp - first if stamp is not None and first is not None else -1.0
            time = (later if later > time else time + step) if count else 0.0
            yield Frame(upright(picture), count, time, perf_counter() if self.live else asked)
            count += 1
            asked = perf_counter()
        if not count:
            why = f": {self._reason}" if self._reason else ""
            raise StepFailed(f"no frame of {self.name} can be decoded{why}", "is the file whole, and the camera free?")
        self.lost = self._short(count, time + step)

    def _pictures(self) -> Iterator[VideoFrame]:
        """What can be decoded. Raises StepFailed where a live source breaks off."""
        av = require("av")
        packets = self._container.demux(self._stream)
        while True:
            try:
                with self._busy:
                    if self._closed:
                        return
                    packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                if self.live:
                    raise StepFailed(f"{self.name} broke off: {_said(error)}", "is the camera or the server still there?") from error
                self._reason = _said(error)
                # the decoder still holds those that it puts into another order
                with suppress(av.FFmpegError):
                    yield from self._stream.codec_context.decode(None)
                return
            try:
                with self._busy:
                    pictures = packet.decode()
            except av.FFmpegError as error:
                self._damaged, self._reason = self._damaged + 1, _said(error)
                continue
            for picture in pictures:
                self._allowed(picture.width, picture.height)
                yield picture

    def _allowed(self, width: int, height: int) -> None:
        """Raises UsageError where a frame has more pixels than are taken: it would be copied several times."""
        if width * height > LARGEST:
            megapixels = f"{width}x{height} pixels, {width * height / 1e6:.0f} megapixels"
            raise UsageError(f"a frame of {self.name} has {megapixels}: more than {LARGEST / 1e6:.0f} are not taken", "scale it down")

    def close(self) -> None:
        """See `Source.close`."""
        # a thread that hangs in it keeps it: closed under its hands it would take the process with it
        if self._busy.acquire(timeout=_LEAVE):
            self._closed = True
            self._container.close()
            self._busy.release()

    def _short(self, count: int, seconds: float) -> str:
        """What is missing of the declared length, in words; empty where nothing is."""
        why = f" ({self._reason})" if self._reason else ""
        if self._declared and count < self._declared:
            return f"{count} of {self._declared} frames could be read{why}"
        if self._declared is None and self._seconds and seconds < self._seconds - _ROUNDED:
            return f"{seconds:.1f} of {self._seconds:.1f} s could be read{why}"
        return f"{self._damaged} damaged part{'s' * (self._damaged > 1)} passed over{why}" if self._damaged else ""


def upright(picture: VideoFrame) -> NDArray[np.uint8]:
    """A decoded picture as (H, W, 3) BGR, turned the way that its metadata say (telephones write them)."""
    image = picture.to_ndarray(format="bgr24")
    # counter-clockwise, as FFmpeg's display matrix has it
    turned = np.rot90(image, round(picture.rotation / 90) % 4) if picture.rotation else image
    return np.ascontiguousarray(turned, np.uint8)


def _unopened(text: str, path: str, error: Exception, *, camera: bool, address: bool) -> StepFailed | UsageError:
    said = _said(error)
    if camera:
        here = sorted(str(one) for one in Path("/dev").glob("video*"))
        known = f"cameras of this machine: {', '.join(here)}" if here else "this machine shows no camera at all (/dev/video*)"
        return UsageError(f"the camera {path} cannot be opened: {said}", f"{known}; a file or an address works as well")
    if address:
        return StepFailed(f"{text} cannot be opened: {said}", "is the server up, and the address right?")
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return UsageError(f"{text}: {said}", "name a video, an image, a folder of images, a camera (0) or an address")
    return UsageError(
        f"{text} is no video that can be read: {said}", "an MP4 that was cut off may have lost its index, which stands at its end"
    )


def _said(error: Exception) -> str:
    if isinstance(error, require("av").error.ExitError):  # the one that is raised when it takes too long
        return f"nothing came for {_PATIENCE[1]:g} s"
    return str(getattr(error, "strerror", None) or error)
