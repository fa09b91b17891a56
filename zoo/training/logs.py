"""What TensorBoard shows of a training."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.optional import require
from zoo.training.history import Epoch

#: pixels of a picture for one cell of the network's grid
CELL = 4


class Logs:
    """A context manager that writes events into a folder. What an earlier run logged of later steps than `step` is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = require("tensorboardX").SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    def step(self, step: int, loss: float, rate: float) -> None:
        """One step."""
        self._writer.add_scalar("step/loss", loss, step)
        self._writer.add_scalar("step/rate", rate, step)

    def epoch(self, told: Epoch) -> None:
        """One epoch."""
        for number, (heatmaps, pafs) in enumerate(told.stages):
            self._writer.add_scalar(f"stage_{number}/heatmaps", heatmaps, told.step)
            self._writer.add_scalar(f"stage_{number}/pafs", pafs, told.step)
        for name, value in (("loss", told.loss), ("images_per_second", told.images_per_second), ("waiting", told.waiting)):
            self._writer.add_scalar(f"epoch/{name}", value, told.step)
        for name, value in told.validation.items():
            self._writer.add_scalar(f"validation/{name}", value, told.step)

    def picture(self, name: str, wanted: NDArray[Any], said: NDArray[Any], step: int) -> None:
        """Heatmaps of keypoints (K, h, w), the greatest of each cell: those that are wanted, and beside them the network's."""
        import cv2
        from tensorboardX.proto.summary_pb2 import Summary

        grey = (np.hstack([wanted.max(axis=0), said.max(axis=0)]).clip(0, 1) * 255).astype(np.uint8)
        grey = grey.repeat(CELL, axis=0).repeat(CELL, axis=1)
        # as tensorboardX's own `add_image` does it, but for Pillow, which nothing else here needs
        image = Summary.Image(
            height=len(grey), width=grey.shape[1], colorspace=1, encoded_image_string=cv2.imencode(".png", grey)[1].tobytes()
        )
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
