"""Boxes of the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from zoo.annotations import Part, instances
from zoo.context import Context
from zoo.datasets import Dataset
from zoo.datasets.images import Images
from zoo.errors import StepFailed
from zoo.pose.keypoints import Poses
from zoo.record import Choice


class AnnotatedBoxes(Choice, frozen=True, kw_only=True, tag="annotations"):
    """The annotated box of every instance that has keypoints, with the score 1: what a network can do that is shown all
    people and nobody else. Figures made with them stand far above those made with a detector."""

    part: Annotated[
        Part,
        Meta(description="person: people (or hands) by their own boxes; hands: those of COCO-WholeBody; image: the whole image"),
    ] = "person"

    def read(self, dataset: Dataset, images: Images, found: Path | None, context: Context) -> dict[int, Poses]:
        """Image id -> its boxes, in the order of the annotations. Raises StepFailed where there are none."""
        if images.annotations is None:
            raise StepFailed("the dataset has no annotations", "boxes of the ground truth need a dataset with labels")
        return {
            id: Poses.of_boxes(np.array([one.box for one in several]).reshape(-1, 4), np.ones(len(several)))
            for id, several in instances(images.annotations, images.ids, self.part).items()
        }

    def said(self, dataset: Dataset, found: Path | None, context: Context) -> Any:
        """What of it makes figures comparable."""
        return "ground truth" if self.part == "person" else f"ground truth, {self.part}"

    def lacking(self, dataset: Dataset, context: Context) -> str:
        """Why it has no boxes for a dataset; empty where it has."""
        return ""

    def facts(self, dataset: Dataset, context: Context) -> Mapping[str, Any]:
        """What of its files enters an action's key: the dataset's digest already covers the annotations."""
        return {}
