"""Poses as text that others read: the one list of formats that a command may name.

A format is a module with `write(predictions) -> str`. Where `TOGETHER` is true it takes all images at once, for one
file; else one, for a file of its own, called after the image with `SUFFIX`. All but `coco`, which leaves out too much,
have a `parse` as well. They are pure: records to text and back, no files.

| name | module | for |
|---|---|---|
| txt | txt.py | scripts and eyes: a line a keypoint |
| json | native.py | programs: all that is known of an image |
| coco | coco.py | COCO's evaluation |
| openpose | openpose.py | what reads OpenPose's own output |
"""

from collections.abc import Sequence
from typing import Protocol

from zoo.formats import coco, native, openpose, txt
from zoo.formats.prediction import Prediction

__all__ = ["FORMATS", "Format", "Prediction"]


class Format(Protocol):
    """What every module here has."""

    SUFFIX: str
    """How its files end."""
    TOGETHER: bool
    """Whether one file holds all images."""

    def write(self, predictions: Sequence[Prediction]) -> str:
        """The file's text; of exactly one prediction unless `TOGETHER`. Raises ZooError where the format cannot say them."""
        ...


FORMATS: dict[str, Format] = {"txt": txt, "json": native, "coco": coco, "openpose": openpose}
