"""Real images as a network's feeds: whole, or the best box of each for a network that looks at boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import Images, Sample
from zoo.errors import StepFailed
from zoo.pose.preprocess import Preprocess, Tensor
from zoo.record import Record

Feeds = dict[str, Tensor]
Look = tuple[Sample, NDArray[Any] | None]
"""An image, and the box (4,) in it that is looked at; None: all of it."""


class Views(Record, frozen=True, kw_only=True):
    """What measuring and calibrating steps show a network."""

    dataset: Dataset
    boxes: Boxes | None = None
    """Whom a network that looks at boxes is shown."""

    def open(self, given: Mapping[str, Path], context: Context) -> tuple[Images, list[Look]]:
        """The images, and of each one look: with `boxes` the best of its boxes, and none of an image that has no box.

        `given` holds what actions have made before: `photos`, and a detector's `boxes`. Raises StepFailed where nothing is left."""
        images = self.dataset.open(context, given.get("photos"))
        if self.boxes is None:
            return images, [(sample, None) for sample in images.samples]
        found = self.boxes.read(self.dataset, images, given.get("boxes"), context)
        looks: list[Look] = []
        for sample in images.samples:
            if len(people := found[sample.id]):
                looks.append((sample, people.boxes[int(people.instance_scores.argmax())]))
        if not looks:
            raise StepFailed("there is no box in any of the images", "name another source with `boxes:`, or let it keep lower scores")
        return images, looks

    def feeds(
        self, given: Mapping[str, Path], count: int, preprocess: Preprocess, name: str, context: Context
    ) -> Iterator[tuple[str, Feeds]]:
        """The first `count` looks as (file name, {input name: (1, 3, h, w)})."""
        images, looks = self.open(given, context)
        for sample, box in looks[:count]:
            yield sample.name, {name: preprocess.prepare(images.read(sample), box)[0]}

    def facts(self, context: Context) -> Mapping[str, Any]:
        """What of the files enters an action's key."""
        boxes = {} if self.boxes is None else self.boxes.facts(self.dataset, context)
        return {"dataset": self.dataset.digest(context), **boxes}
