"""What fits to one width and height have in common."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from msgspec import Meta

from zoo.record import Choice


class ToSize(Choice, frozen=True, kw_only=True):
    """A fit whose inputs all have the same size, whatever the image's is."""

    width: Annotated[int, Meta(description="width of the input in pixels", ge=1)]
    height: Annotated[int, Meta(description="height of the input in pixels", ge=1)]

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every input; None where that depends on the image."""
        return self.height, self.width

    def scaled(self, factor: float) -> Self:
        """The same fit to `factor` times both sides."""
        return msgspec.structs.replace(self, width=max(1, round(self.width * factor)), height=max(1, round(self.height * factor)))
