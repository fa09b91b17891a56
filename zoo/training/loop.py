"""`train`: from a declaration and examples to weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.context import Accelerator, Context
from zoo.errors import UsageError
from zoo.models.base import Architecture
from zoo.optional import require
from zoo.training import checkpoint
from zoo.training.history import Epoch
from zoo.training.order import Order
from zoo.training.processes import together
from zoo.training.train import Train

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Trained:
    """What came of it."""

    state: dict[str, Any]
    """The state dict to publish, tensors on the CPU: the running mean where one was asked for, else the last weights."""
    history: tuple[Epoch, ...]


def train(
    model: Architecture,
    task: Train,
    examples: Any,
    *,
    initial: Mapping[str, Any] | None = None,
    folder: Path,
    context: Context,
    devices: int = 1,
    accelerator: Accelerator = "auto",
    nodes: int = 1,
    validate: Callable[[nn.Module, int, Context], dict[str, float]] | None = None,
    steps: int | None = None,
) -> Trained | None:
    """Train the network of `model` as `task` says, or go on with a training that was stopped.

    examples: `len`, `name(index)` for messages, and `[epoch, index]` -> arrays `image` (3, H, W), `heatmaps` (19, h, w), `pafs`
    (38, h, w) and `mask` (h, w), all float32. initial: weights to begin with, all or some of the network's (`initial_state`). folder: of
    the checkpoint and TensorBoard's logs; what stands there is gone on with. devices: processes on this machine, each with a GPU (CUDA)
    or a share of the CPU. nodes: machines; several are started by torchrun. validate: (network in evaluation, epoch from 1 on, context) ->
    figures, when `task.validation` says and at the end. steps: stop after so many of the whole training.

    Examples, initial and validate are pickled: each device has a process of its own, which this one ends. Under torchrun (RANK and
    WORLD_SIZE are set) this process is one of those itself, and all but the first give None.
    Raises MissingTool; UsageError where batch, devices and machines do not fit; StepFailed where the checkpoint is of another architecture
    or training or cannot be written, a loss or a weight is not finite, an example cannot be read or a process dies; Cancelled."""
    accelerated = fits(model, task, devices=devices, accelerator=accelerator, nodes=nodes)
    order = Order(len(examples), task.batch, task.accumulate, task.seed, devices * nodes)
    if not order.per_epoch:
        raise UsageError(f"there are {order.examples} examples, and a batch has {order.batch}", "a smaller `batch`, or more to learn from")
    from zoo.training.fit import Job, fit

    job = Job(
        model=model,
        task=task,
        examples=examples,
        initial=dict(initial or {}),
        folder=folder,
        validate=validate,
        until=min(steps or task.epochs * order.per_epoch, task.epochs * order.per_epoch),
        order=order,
        local=devices,
        accelerated=accelerated,
    )
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        fit(job, context=context)
        if os.environ["RANK"] != "0":
            return None
    else:
        together(fit, job, devices, context)
    content = checkpoint.load(folder, checkpoint.identity(model, task, len(examples)))
    assert content is not None  # `fit` leaves one
    history = [*content["history"], *([content["unfinished"]] if content["unfinished"] else [])]
    return Trained(content["ema"] or content["network"], msgspec.convert(history, tuple[Epoch, ...]))


def _accelerated(accelerator: Accelerator, devices: int) -> bool:
    """Whether it is computed on GPUs. Raises UsageError where there are not as many."""
    count = require("torch").cuda.device_count()
    if accelerator == "cpu" or (accelerator == "auto" and not count):
        return False
    if count < devices:
        raise UsageError(f"{devices} GPUs are wanted, and torch sees {count}", "`--devices` counts those of one machine")
    return True


def fits(model: Architecture, task: Train, *, devices: int, accelerator: Accelerator, nodes: int) -> bool:
    """Whether it is computed on GPUs. To be asked before anything is fetched or drawn to learn from.

    Raises MissingTool; UsageError where the numbers do not go together."""
    for module in ("torch", "lightning_fabric", "tensorboardX"):
        require(module)
    accelerated = _accelerated(accelerator, devices)
    processes = devices * nodes
    parts = processes * task.accumulate
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        if (world := int(os.environ["WORLD_SIZE"])) != processes:
            raise UsageError(
                f"torchrun started {world} processes, and {devices} devices on {nodes} machines are {processes}", "say both alike"
            )
    elif nodes > 1:
        raise UsageError(
            f"{nodes} machines are wanted", "torchrun starts the processes on each: torchrun --nnodes N --nproc-per-node DEVICES ..."
        )
    if task.batch % parts:
        raise UsageError(
            f"a batch of {task.batch} cannot be shared by {processes} devices in {task.accumulate} parts each",
            f"`batch` counts the examples of all devices together: a multiple of {parts}",
        )
    if task.targets.stride != model.stride or any(side % model.stride for side in task.size):
        height, width = task.size
        raise UsageError(
            f"targets of stride {task.targets.stride} on crops of {height}x{width}, and the network's stride is {model.stride}",
            "`targets.stride` of `train:` is the network's, and `size` a multiple of it",
        )
    return accelerated
