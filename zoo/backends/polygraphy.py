"""Our runners in Polygraphy's Comparator. Import this module only where Polygraphy is wanted at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata
from polygraphy.logger import G_LOGGER

from zoo.backends.runner import Runner

G_LOGGER.module_severity = G_LOGGER.ERROR


class PolygraphyRunner(BaseRunner):  # type: ignore[misc]  # Polygraphy has no types
    """Wraps an opened `Runner`, which stays open: whoever opened it closes it."""

    def __init__(self, runner: Runner, name: str | None = None) -> None:
        super().__init__(name=name, prefix="zoo")
        self._runner = runner

    def get_input_metadata_impl(self) -> Any:
        """Names, types and shapes of the inputs (-1 where an axis is free)."""
        metadata = TensorMetadata()
        for name, spec in self._runner.inputs.items():
            metadata.add(name, dtype=spec.dtype, shape=[-1 if size is None else size for size in spec.shape])
        return metadata

    def infer_impl(self, feed_dict: Mapping[str, Any]) -> dict[str, Any]:
        """One inference."""
        started = time.perf_counter()
        outputs = self._runner(feed_dict)
        self.inference_time = time.perf_counter() - started
        return outputs
