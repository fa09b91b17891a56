"""What is not scored: the regions of an image whose people are not annotated one by one."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.record import Record


class Ignore(Record, frozen=True, kw_only=True):
    """Whose pixels do not enter the loss."""

    rule: Annotated[
        Literal["crowds", "crowds_and_poor", "nothing"],
        Meta(
            description="crowds: of crowds, as Lightweight OpenPose has it; crowds_and_poor: of crowds, less who was annotated before "
            "them, and of people with few keypoints or a small area, as MindSpore's OpenPose has it."
        ),
    ] = "crowds"
    min_keypoints: Annotated[int, Meta(description="Fewer are few.", ge=0)] = 5
    min_area: Annotated[float, Meta(description="This much or less is small, in square pixels of the image.", ge=0)] = 1024.0
