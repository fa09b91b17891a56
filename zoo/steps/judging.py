"""`Judging`: which annotated images a figure is of, and by what it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from zoo.context import Context
from zoo.datasets import Dataset, overlap
from zoo.datasets.images import Images
from zoo.errors import StepFailed
from zoo.metrics import Metric
from zoo.steps import reports
from zoo.steps.step import Step


class Judging(Step, frozen=True, kw_only=True):
    """A step that judges what is found on a dataset in one protocol."""

    measures: ClassVar[bool] = True

    protocol: str
    dataset_name: str
    dataset: Dataset
    metric: Metric
    without: tuple[Dataset, ...] = ()
    """Images of the dataset that are also in one of these are left out: the model was calibrated on them."""
    limit: int | None = None

    def images(self, given: Mapping[str, Path], context: Context) -> tuple[Images, int]:
        """The images that count, and how many were left out. Raises StepFailed where the dataset has no annotations."""
        images = self.dataset.open(context, given.get("photos"))
        if images.annotations is None:
            raise StepFailed(f"{self.dataset_name} has no annotations", "accuracy needs a dataset with labels")
        left_out = sorted({name for other in self._present(context) for name in overlap(self.dataset, other, context)})
        return images.without(left_out).subset(self.limit), len(left_out)

    def data(self, images: Images, left_out: int, context: Context) -> reports.Data:
        """What the report says of these images."""
        return reports.Data(
            name=self.dataset_name,
            title=self.dataset.title or self.dataset_name,
            digest=images.digest(context),
            subset=self._subset(len(images), left_out),
            demonstration=self.dataset.demonstration,
            drawn=self.dataset.drawn,
        )

    def digests(self, context: Context) -> dict[str, str | list[str]]:
        """What the images add to the key: their dataset's digest, and those of the datasets that are left out of it."""
        return {"dataset": self.dataset.digest(context), "without": [other.digest(context) for other in self._present(context)]}

    def _present(self, context: Context) -> list[Dataset]:
        return [other for other in self.without if not other.absent(context)]

    def _subset(self, count: int, left_out: int) -> str:
        """Which of the dataset's images were used, in words."""
        others = f" but {left_out} that it is calibrated on" if left_out else ""
        return f"the first {count}{' of all' + others if others else ''}" if self.limit else f"all{others}"
