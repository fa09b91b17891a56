"""`Window`: where frames are shown as they come, and which keys were pressed meanwhile."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError
from zoo.optional import require

#: key -> the overlay that it turns on and off
TOGGLES = {"s": "skeleton", "h": "heatmap", "p": "paf", "b": "boxes", "i": "ids", "f": "status"}
#: the drivers of SDL that show nothing
UNSEEN = {"dummy", "offscreen"}
#: how often a window that stands still looks at its keys, seconds
_GLANCE_MS = 30


class Window:
    """A window of SDL. A context manager. Raises UsageError where there is no display."""

    def __init__(self, title: str) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        self._pygame = require("pygame")
        try:
            self._pygame.display.init()
            self._pygame.display.set_caption(title)
            self._largest = self._pygame.display.get_desktop_sizes()[0]
        except self._pygame.error as error:
            raise _no_display(str(error)) from error
        # where SDL finds no display it takes one that nobody sees
        if (driver := self._pygame.display.get_driver()) in UNSEEN and os.environ.get("SDL_VIDEODRIVER") != driver:
            self._pygame.display.quit()
            raise _no_display("there is no display")
        self._surface: Any = None
        self.paused = False

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show `image` (H, W, 3) BGR, made smaller where the desktop is. Raises UsageError where no window can be opened."""
        height, width = image.shape[:2]
        part = min(1.0, self._largest[0] / width, self._largest[1] / height)
        size = (max(1, round(width * part)), max(1, round(height * part)))
        picture = self._pygame.image.frombuffer(np.ascontiguousarray(image), (width, height), "BGR")
        if size != (width, height):
            picture = self._pygame.transform.smoothscale(picture, size)
        try:
            if self._surface is None or self._surface.get_size() != size:
                self._surface = self._pygame.display.set_mode(size)
        except self._pygame.error as error:
            raise _no_display(str(error)) from error
        self._surface.blit(picture, (0, 0))
        self._pygame.display.flip()

    def pressed(self) -> list[str]:
        """The names of the keys that were pressed since it was last asked; `q` also where the window was closed."""
        found = []
        for event in self._pygame.event.get():
            if event.type == self._pygame.QUIT:
                found.append("q")
            elif event.type == self._pygame.KEYDOWN:
                found.append(self._pygame.key.name(event.key))
        return found

    def wait(self) -> None:
        """A moment, for a window that stands still."""
        self._pygame.time.wait(_GLANCE_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pygame.display.quit()


def _no_display(why: str) -> UsageError:
    return UsageError(f"no window can be opened here: {why}", "leave --show away, and see the video that --save out.mp4 writes")
