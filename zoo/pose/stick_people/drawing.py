"""What is drawn: the generator's version, and what of its scenes may be chosen."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.record import Record

#: Raised by whatever changes a pixel or a keypoint: figures of two versions never stand in one table.
VERSION = 3

Side = Annotated[int, Meta(ge=256, le=4096)]
Count = Annotated[int, Meta(ge=1, le=20)]
Height = Annotated[int, Meta(ge=40)]


class Drawing(Record, frozen=True, kw_only=True):
    """What every scene of a dataset has in common."""

    size: Annotated[tuple[Side, Side], Meta(description="Height and width of the images")] = (256, 256)
    people: Annotated[tuple[Count, Count], Meta(description="From so many to so many people, those in a crowd aside")] = (2, 6)
    heights: Annotated[
        tuple[Height, Height], Meta(description="How high they are in pixels, from top to toe, were nothing before them")
    ] = (40, 200)
    crowds: Annotated[float, Meta(description="In what part of the scenes a crowd stands, annotated as one region", ge=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        for name, (low, high) in (("people", self.people), ("heights", self.heights)):
            if low > high:
                raise ValueError(f"{name}: from {low} to {high} is none")
        if self.heights[1] > self.size[0]:
            raise ValueError(f"heights: {self.heights[1]} pixels are more than the image's {self.size[0]}")
