"""Running a float network to see the values of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.calibrators.histogram import Histogram
from zoo.context import Context
from zoo.errors import StepFailed

if TYPE_CHECKING:
    import onnx

#: The most that the tensors of one image may take together (bytes, by what the first image showed): a
#: network that needs more is run several times per image, for a part of its tensors each time.
BUDGET = 256 << 20

Feeds = Mapping[str, NDArray[Any]]


def collect(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds], bins: int, context: Context
) -> tuple[dict[str, Histogram], int]:
    """What each of `tensors` holds over all `feeds` (one at a time), and how many feeds there were.

    Memory is bounded by the network at one image's size, not by how many images there are or what is
    remembered. Raises StepFailed where there are no feeds, or a tensor holds nan or infinity."""
    seen = {name: Histogram(bins) for name in tensors}
    groups: list[list[str]] = []
    sessions: list[Any] = []
    images = 0
    for images, feed in enumerate(feeds, 1):
        if not sessions:
            groups = _groups(model, tensors, feed)
            sessions = [_session(model, group, context.threads) for group in groups]
        for session, group in zip(sessions, groups, strict=True):
            for name, values in zip(group, session.run(group, dict(feed)), strict=True):
                try:
                    seen[name].add(values)
                except ValueError as error:
                    raise StepFailed(
                        f"the tensor {name!r} holds {error} on calibration image {images}", "is the float model right? see its parity"
                    ) from error
        context.report("calibrating", images, None, "images")
    if not images:
        raise StepFailed("there are no calibration images", "name a dataset that is present here under `calibration:`")
    return seen, images


def _session(model: onnx.ModelProto, names: Sequence[str], threads: int) -> Any:
    """A session that gives out the inner tensors `names`."""
    import onnx
    import onnxruntime

    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    del inner.graph.output[:]
    types = {value.name: value for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    inner.graph.output.extend(types[name] for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # images of many sizes: an arena keeps the blocks of each
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(inner.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _groups(model: onnx.ModelProto, tensors: Sequence[str], feed: Feeds) -> list[list[str]]:
    """`tensors` in groups that fit the budget, by their sizes at the shapes of `feed`."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        if value.name in feed:
            for dimension, size in zip(value.type.tensor_type.shape.dim, feed[value.name].shape, strict=True):
                dimension.dim_value = size
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    shapes = {value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim] for value in values}
    groups: list[list[str]] = [[]]
    held = 0
    for name in tensors:
        size = 4 * int(np.prod(shapes.get(name, [1]), dtype=np.int64))
        if groups[-1] and held + size > BUDGET:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    return groups
