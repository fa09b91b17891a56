"""A network's outputs by name, held to the shape that a decoder reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from zoo.errors import StepFailed


def take(outputs: Mapping[str, NDArray[Any]], name: str, count: int | None, channels: int, *axes: str) -> NDArray[Any]:
    """The output `name`, (`count`, C, and one more axis for each of `axes`) -> its first `channels`: a view, read only.

    A `count` of None takes any. Raises StepFailed when there is no such output, or when it is of another shape, has fewer
    channels or an empty axis.
    """
    output = _named(outputs, name)
    right = output.ndim == 2 + len(axes) and count in (None, output.shape[0]) and output.shape[1] >= channels
    if not right or 0 in output.shape[2:]:
        wanted = ", ".join(["crops" if count is None else str(count), f"{channels} or more", *axes])
        raise StepFailed(f"the output {name!r} has the shape {list(output.shape)}", f"the decoder needs [{wanted}]")
    return output[:, :channels]


def whole(outputs: Mapping[str, NDArray[Any]], name: str, *shape: int) -> NDArray[Any]:
    """The output `name`, (1, *shape), of one image -> without its first axis: it may be a view, read only.

    Raises StepFailed when there is no such output, or when it is of another shape."""
    output = _named(outputs, name)
    if output.shape != (1, *shape):
        raise StepFailed(f"the output {name!r} has the shape {list(output.shape)}", f"the decoder needs {[1, *shape]} for this input")
    return output.reshape(shape)


def _named(outputs: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in outputs:
        raise StepFailed(f"the decoder asks for the output {name!r}", f"the network gives: {', '.join(outputs) or 'none'}")
    return outputs[name]
