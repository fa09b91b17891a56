"""Drawn people: a dataset that makes itself, with annotations that are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from zoo.context import Context
from zoo.datasets.coco import annotated
from zoo.datasets.images import DatasetBase, Images
from zoo.errors import StepFailed
from zoo.pose.stick_people.drawing import VERSION, Drawing
from zoo.record import fingerprint

ANNOTATIONS = "annotations.json"


class StickPeople(DatasetBase, frozen=True, kw_only=True, tag="stick_people"):
    """Scenes of clothed figures, drawn when they are needed and alike wherever that is. Nothing found in them says how well a
    network does on photographs, so their tables stand apart."""

    drawn: ClassVar[bool] = True

    scenes: Annotated[int, Meta(description="How many: scene n is that of seed and n, however many there are", ge=1, le=1_000_000)]
    seed: Annotated[int, Meta(description="What is learnt from and what judges have different ones", ge=0)]
    drawing: Annotated[Drawing, Meta(description="What is drawn")] = Drawing()
    version: Annotated[int, Meta(description="Of what draws them; another one draws others", ge=1)] = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version {self.version} is not what this zoo draws: that is {VERSION}, whose scenes are others")

    def absent(self, context: Context) -> str:
        """Never: they are drawn."""
        return ""

    def open(self, context: Context, fetched: Path | None = None) -> Images:
        if fetched is None:
            raise StepFailed("the scenes have not been drawn", "an action of the plan draws them: photos/NAME/render")
        return annotated(fetched, fetched / ANNOTATIONS)

    def digests(self, context: Context) -> dict[str, str]:
        """name -> a digest of all that a scene follows from: scenes are alike where these are, and none has to be drawn to know it."""
        said = self.said()
        return {scene_name(number): fingerprint([said, self.seed, number]) for number in range(1, self.scenes + 1)}

    def said(self) -> dict[str, Any]:
        """The generator's version and what it was told to draw."""
        return {"generator": "stick_people", "version": self.version, **msgspec.to_builtins(self.drawing)}

    def _digest(self, context: Context) -> str:
        return fingerprint([self.said(), self.seed, self.scenes])


def scene_name(number: int) -> str:
    """The file of a scene; they are counted from 1, as the ids of images are."""
    return f"{number:06d}.jpg"
