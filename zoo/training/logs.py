"""What TensorBoard shows of a training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.training.history import Epoch

#: what an epoch tells of each stage
MAPS = ("heatmaps", "pafs")
#: pixels of a picture for one cell of the network's grid
CELL = 4
#: what was logged is on the disk after so many seconds at the latest
DELAY = 30.0


class Logs:
    """A context manager that writes events into a folder. What an earlier run logged of later steps than `step` is hidden.

    They are written in the caller's thread: tensorboardX's own writer has one for itself, and waits for it for ever where the disk is full.
    Raises StepFailed there."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # the name ends in the second, which two runs may share
        self._writer = EventsWriter(str(folder / "events"), f".{step}.{time.time_ns() % 10**9}")
        self._flushed = time.monotonic()
        log = event_pb2.SessionLog
        self._write(step + 1, session_log=log(status=log.START))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._writer.close()
        except OSError as fault:
            if error is None:
                raise self._full(fault) from fault

    def step(self, step: int, loss: float, rate: float) -> None:
        """One step."""
        self._scalars(step, {"step/loss": loss, "step/rate": rate})

    def epoch(self, told: Epoch) -> None:
        """One epoch."""
        values = {
            f"stage_{number}/{maps}": loss for number, stage in enumerate(told.stages) for maps, loss in zip(MAPS, stage, strict=True)
        }
        values |= {"epoch/loss": told.loss, "epoch/images_per_second": told.images_per_second, "epoch/waiting": told.waiting}
        values |= {f"validation/{name}": value for name, value in told.validation.items()}
        self._scalars(told.step, values)

    def picture(self, name: str, wanted: NDArray[Any], said: NDArray[Any], step: int) -> None:
        """Heatmaps of keypoints (K, h, w), the greatest of each cell: those that are wanted, and beside them the network's."""
        import cv2

        grey = (np.hstack([wanted.max(axis=0), said.max(axis=0)]).clip(0, 1) * 255).astype(np.uint8)
        grey = grey.repeat(CELL, axis=0).repeat(CELL, axis=1)
        # tensorboardX's own `add_image` needs Pillow for this, which nothing else here does
        png = cv2.imencode(".png", grey)[1].tobytes()
        image = self._summary.Image(height=grey.shape[0], width=grey.shape[1], colorspace=1, encoded_image_string=png)
        self._write(step, summary=self._summary(value=[self._summary.Value(tag=name, image=image)]))

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._write(step, summary=self._summary(value=[self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]))

    def _write(self, step: int, **content: Any) -> None:
        try:
            self._writer.write_event(self._event(wall_time=time.time(), step=step, **content))
            if time.monotonic() > self._flushed + DELAY:
                self._writer.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> StepFailed:
        return StepFailed(f"{self._folder}: TensorBoard's log cannot be written: {error.strerror or error}", "is the disk full?")
