"""`Newest`: a live source whose next frame is always the newest one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from zoo.video.source import Frame, Source

#: how often it looks whether the run was stopped, seconds
GLANCE = 0.2
#: how long the last frame is waited for, seconds
PATIENCE = 2.0


class Newest(Source):
    """Reads `source` in a thread of its own and keeps one frame: whoever is slow gets the newest, and the others are dropped.

    A frame is handed out once. The source's end, and what it raises, come after the last frame; where `cancelled` is set they do
    not wait for it."""

    def __init__(self, source: Source, cancelled: threading.Event) -> None:
        self.name, self.live, self.rate, self.total = source.name, True, source.rate, None
        self._source, self._cancelled = source, cancelled
        self._frame: Frame | None = None
        self._news = threading.Condition()
        self._ended = self._closing = False
        self._error: BaseException | None = None
        self._reader = threading.Thread(target=self._read, name=f"frames of {source.name}", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        if not self._reader.is_alive():
            self._reader.start()
        while True:
            with self._news:
                # with a timeout: whoever cancels does not know of this condition
                while self._frame is None and not self._ended and not self._cancelled.is_set():
                    self._news.wait(GLANCE)
                frame, self._frame = self._frame, None
                if frame is None:
                    break
            yield frame
        if self._error:
            raise self._error
        self.lost = self._source.lost

    def close(self) -> None:
        """Stop reading, and close the source."""
        with self._news:
            self._closing = self._ended = True
            self._news.notify_all()
        if self._reader.ident is not None:
            self._reader.join(timeout=PATIENCE)
        # a camera that hangs is left to its thread: closed under its hands it would take the process with it
        if not self._reader.is_alive():
            self._source.close()

    def _read(self) -> None:
        try:
            for frame in self._source:
                with self._news:
                    if self._closing:
                        return
                    self._frame = frame
                    self._news.notify()
        except BaseException as error:  # it is raised where the frames are asked for
            self._error = error
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()
