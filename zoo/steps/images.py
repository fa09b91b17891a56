"""Real images as a network's feeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.context import Context
from zoo.datasets import Dataset
from zoo.pose.preprocess import Preprocess

Feeds = dict[str, NDArray[np.float32]]


def feeds(
    dataset: Dataset, photos: Path | None, count: int, preprocess: Preprocess, name: str, context: Context
) -> Iterator[tuple[str, Feeds]]:
    """The first `count` images of a dataset as (file name, {input name: (1, 3, h, w)})."""
    images = dataset.open(context, photos).subset(count)
    for sample in images.samples:
        yield sample.name, {name: preprocess.prepare(images.read(sample))[0]}
