"""Graphs that OpenVINO's front ends open, through one reader: TensorFlow frozen graphs, TensorFlow Lite, OpenVINO IR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.record import Choice
from zoo.weights.graph import Layer, layers
from zoo.weights.names import NAMES, Place


class OpenVinoReader(Choice, frozen=True, tag="openvino"):
    """Reads the convolutions and linear layers of a graph by their names: `.pb` (frozen TensorFlow), `.tflite`
    (TensorFlow Lite), or `.xml` with its `.bin` (OpenVINO IR).

    Weights that are stored compressed (FP16) or quantised (INT8, FakeQuantize) come out as float32.
    """

    file: Annotated[str, Meta(description="name of the .pb, .tflite or .xml among the source's files")]
    names: Annotated[
        Literal["hand_landmark", "lightweight_openpose", "openpose_mobilenet"],
        Meta(description="which map leads from the graph's layers to our modules"),
    ]

    def read(self, folder: Path) -> dict[str, NDArray[Any]]:
        """The state dict of our module. Raises StepFailed where the graph and the map disagree, naming the first ten layers."""
        found, places = layers(folder / self.file), NAMES[self.names]()
        for text, odd in (
            ("lacks the layers", places.keys() - found.keys()),
            ("has layers of no known place:", found.keys() - places.keys()),
        ):
            if odd:
                raise StepFailed(
                    f"{self.file}: {text} {', '.join(sorted(odd)[:10])} ({len(odd)} in all)", f"is it a graph of {self.names}?"
                )
        state: dict[str, NDArray[Any]] = {}
        for name, place in places.items():
            state |= _tensors(found[name], place)
        return state


def _tensors(layer: Layer, place: Place) -> dict[str, NDArray[Any]]:
    """The entries of one layer, and of the BatchNorm behind it, of which a folded graph has left only the shift."""
    weight = layer.weight
    if place.inputs:
        ends = np.cumsum((0, *(width for width, _ in place.inputs)))
        order = sorted(range(len(place.inputs)), key=lambda block: place.inputs[block][1])
        weight = np.concatenate([weight[:, ends[block] : ends[block + 1]] for block in order], axis=1)
    channels = len(weight)
    bias = np.zeros(channels, np.float32) if layer.bias is None else layer.bias
    state = {f"{place.layer}.weight": weight}
    if place.bias:
        state[f"{place.layer}.bias"] = np.zeros(channels, np.float32) if place.norm else bias
    if place.norm:
        state[f"{place.norm}.weight"] = np.ones(channels, np.float32)
        state[f"{place.norm}.bias"] = bias
        state[f"{place.norm}.running_mean"] = np.zeros(channels, np.float32)
        # so that the module's division by sqrt(var + eps) is by one
        state[f"{place.norm}.running_var"] = np.full(channels, 1 - 1e-5, np.float32)
        state[f"{place.norm}.num_batches_tracked"] = np.array(0, np.int64)
    return state
