"""Who is learnt from: people of COCO's annotations, in the order of keypoints that a network speaks."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.record import Record


class Labels(Record, frozen=True, kw_only=True):
    """Which people make an example, and what an example is."""

    per: Annotated[
        Literal["person", "image"],
        Meta(
            description="person: an example for each person that counts, the crop around them; image: one an image, around all who count."
        ),
    ] = "person"
    min_keypoints: Annotated[int, Meta(description="A person counts who has at least so many annotated keypoints.", ge=1)] = 5
    min_area: Annotated[float, Meta(description="... and whose annotation has at least so many square pixels of the image.", ge=0)] = 1024.0
    apart: Annotated[
        float,
        Meta(
            description="person: nobody makes an example who is nearer than this to one who has, in parts of that one's longer side.", ge=0
        ),
    ] = 0.3
