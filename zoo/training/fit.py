"""What each process of a training does: the steps, and between them checkpoints, validation and news."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn

from zoo.context import Context, Progress
from zoo.errors import Cancelled, StepFailed
from zoo.models.base import Architecture
from zoo.training import checkpoint
from zoo.training.ema import Ema
from zoo.training.history import Epoch, Running
from zoo.training.loader import Parts, workers
from zoo.training.logs import Logs
from zoo.training.loss import stage_losses
from zoo.training.optimizers import parameter_groups
from zoo.training.order import Order
from zoo.training.train import Train

#: (the network in evaluation, epoch from 1 on, context) -> figures
Validate = Callable[[Any, int, Context], dict[str, float]]
#: how long a process waits for the others: one of them may be validating
PATIENCE = timedelta(days=1)
NAMED = 10
#: of images and kernels: convolutions in bf16 and fp16 are quicker with the channels last, on CPUs and GPUs alike
LAYOUT = torch.channels_last


@dataclass(frozen=True)
class Job:
    """A training, as each of its processes gets it. All of it can be pickled."""

    model: Architecture
    task: Train
    examples: Any
    initial: dict[str, Any]
    folder: Path
    validate: Validate | None
    until: int
    """Stop after so many steps of the whole training."""
    order: Order
    local: int
    """Processes on this machine."""
    accelerated: bool


class Stages(nn.Module):
    """A network whose forward pass gives the maps of all its stages: what DDP and autocast are to see."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        stages: list[tuple[Tensor, Tensor]] = self.network.stages(image)
        return stages


class FixedScaler(torch.amp.GradScaler):
    """A factor of the loss that stays: steps whose gradients overflow are left out all the same."""

    def __init__(self, device: str, scale: float) -> None:
        super().__init__(device, init_scale=scale)
        self._fixed = scale

    def update(self, new_scale: float | Tensor | None = None) -> None:
        super().update(self._fixed)


def fit(job: Job, *, context: Context) -> None:
    """Train up to step `job.until`, from the checkpoint in `job.folder` where there is one, and leave one there.

    One of `job.order.processes`: those beside this one are told by the variables that torchrun sets. Raises StepFailed where the checkpoint
    is another training's, a loss or a weight is not finite, or the disk is full; what an example raises; Cancelled."""
    fabric = _fabric(job)
    fabric.launch()
    Fit(job, fabric, context).run()


def _fabric(job: Job) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = "cuda" if job.accelerated else "cpu"
    plugins: list[Any] = []
    if job.task.precision == "bf16":
        plugins.append(MixedPrecision("bf16-mixed", device))
    elif job.task.precision == "fp16":
        scale = job.task.loss_scale
        scaler = FixedScaler(device, scale) if scale else torch.amp.GradScaler(device)
        plugins.append(MixedPrecision("16-mixed", device, scaler))
    strategy: Any = "auto"
    if job.order.processes > 1:
        strategy = DDPStrategy(cluster_environment=TorchElasticEnvironment(), timeout=PATIENCE, gradient_as_bucket_view=True)
    return Fabric(accelerator=device, devices=job.local, num_nodes=job.order.processes // job.local, strategy=strategy, plugins=plugins)


class Fit:
    """A training under way in one process. Process 0 alone keeps the mean of the weights, writes and reports."""

    def __init__(self, job: Job, fabric: Fabric, context: Context) -> None:
        self.job, self.task, self.order, self.fabric = job, job.task, job.order, fabric
        self.first = fabric.is_global_zero
        self.context = context if self.first else replace(context, listener=_silent)
        self.total = self.task.epochs * self.order.per_epoch
        self.identity = checkpoint.identity(job.model, job.task, job.order.examples)
        self.history: list[Epoch] = []
        self.unfinished: Epoch | None = None
        self.running = Running()
        self.step = 0
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        torch.manual_seed(self.task.seed)
        self.network: nn.Module = job.model.module()
        if not hasattr(self.network, "stages"):
            raise StepFailed(
                f"{type(job.model).__name__} cannot be trained: its network does not give the maps of its stages",
                "heatmaps and PAFs are what is learnt: networks of OpenPose's kind have a method `stages` for them",
            )
        self.network.load_state_dict({**self.network.state_dict(), **{key: torch.as_tensor(value) for key, value in job.initial.items()}})
        self.network.train().to(memory_format=LAYOUT)
        groups = parameter_groups(self.network, self.task.optimizer, self.task.multipliers, self.task.frozen)
        self.stages = fabric.setup_module(Stages(self.network))
        self.optimizer = fabric.setup_optimizers(self.task.optimizer.build(groups))
        self.ema = Ema(self.network, self.task.ema) if self.task.ema and self.first else None
        self._resume()

    def run(self) -> None:
        """Take the steps that are left."""
        job, order = self.job, self.order
        with ExitStack() as stack:
            self.logs = stack.enter_context(Logs(job.folder / "tensorboard", self.step)) if self.first else None
            if len(self.history) < self.step // order.per_epoch:
                self._end_epoch()  # it was stopped in the validation
            if self.step >= job.until:
                return
            left = order.examples % order.batch
            self.context.report(
                "the first examples" + (f"; {left} of {order.examples}, others in each epoch, fill no batch" if left else ""),
                self.step, self.total, "steps",
            )  # fmt: skip
            rank, count = self.fabric.global_rank, workers(job.local, job.accelerated)
            parts = stack.enter_context(Parts(job.examples, order, rank, self.step, job.until, workers=count, pin=job.accelerated))
            while self.step < job.until:
                try:
                    self._take(parts)
                except Cancelled:
                    self._save()
                    raise
                if self.step % order.per_epoch == 0:
                    self._end_epoch()
                elif self.step == job.until:
                    self._stop()
                elif self.step % self.task.checkpoint == 0:
                    self._save()

    def _take(self, parts: Parts) -> None:
        """One step, and the news of it."""
        task = self.task
        began, waited = perf_counter(), parts.waited
        factor = task.schedule.multiplier(self.step, self.order.per_epoch, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor * (self.step >= group["frozen"])
        total: Tensor | float = 0.0
        for part in range(task.accumulate):
            image, heatmaps, pafs, mask = (tensor.to(self.fabric.device, non_blocking=True) for tensor in next(parts))
            image = image.contiguous(memory_format=LAYOUT)
            with self.fabric.no_backward_sync(self.stages, enabled=part + 1 < task.accumulate):
                losses = stage_losses(self.stages(image), heatmaps, pafs, mask, task.loss) / task.accumulate
                self.fabric.backward(losses.sum())
            total = total + losses.detach()
        values = self.fabric.all_reduce(total, reduce_op="mean").tolist()
        loss = sum(map(sum, values))
        if not math.isfinite(loss):
            raise self._lost(loss)
        if task.clip:
            # gradients that overflow in fp16 are the scaler's, which leaves the step out
            self.fabric.clip_gradients(self.stages, self.optimizer, max_norm=task.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        rate = task.optimizer.lr * factor
        if self.ema:
            self.ema.update(self.step)
        self.running.add(values, images=task.batch, seconds=perf_counter() - began, waited=parts.waited - waited, rate=rate)
        if self.logs:
            self.logs.step(self.step, loss, rate)
        self._report()

    def _report(self) -> None:
        epoch = (self.step - 1) // self.order.per_epoch + 1
        what = f"epoch {epoch} of {self.task.epochs}, loss {self.running.loss:.4g}, {self.running.speed:.3g} images/s"
        self.context.report(what, self.step, self.total, "steps")

    def _lost(self, loss: float) -> StepFailed:
        epoch, within = divmod(self.step, self.order.per_epoch)
        names = [str(self.job.examples.name(index)) for index in self.order.indices(self.step)]
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return StepFailed(
            f"the loss is {loss} in epoch {epoch + 1}, step {within + 1} of {self.order.per_epoch} (step {self.step + 1} in all), "
            f"on {', '.join(names[:NAMED])}{more}",
            f"{checkpoint.kept(self.job.folder)}; {checkpoint.ADVICE}",
        )

    def _end_epoch(self) -> None:
        """Remember it, validated where that is due, and begin the next."""
        epoch, validation = self.step // self.order.per_epoch, self.task.validation
        figures: dict[str, float] = {}
        if self.job.validate and (self.step == self.job.until or (validation and epoch % validation.every == 0)):
            self._save()  # it may take long
            figures = self._validated(epoch)
        self.history.append(self._told(epoch, figures))
        self.running = Running()
        self._save()

    def _stop(self) -> None:
        """Within an epoch, which another run can go on with."""
        self._save()
        epoch = self.step // self.order.per_epoch + 1
        self.unfinished = self._told(epoch, self._validated(epoch))
        self._save()

    def _told(self, epoch: int, figures: dict[str, float]) -> Epoch:
        told = self.running.told(epoch, self.step, figures)
        if self.logs:
            self.logs.epoch(told)
        return told

    def _validated(self, epoch: int) -> dict[str, float]:
        """The figures of the network as it would be published."""
        if not (self.first and self.job.validate):
            return {}
        network = self.ema.network if self.ema else self.network
        network.eval()
        with torch.no_grad():
            self._show(network)
            figures = self.job.validate(network, epoch, self.context)
        self.network.train()
        return figures

    def _show(self, network: Any) -> None:
        """What it makes of the first example."""
        example = self.job.examples[0, 0]
        heatmaps, _ = network.stages(torch.from_numpy(example.image)[None].to(self.fabric.device))[-1]
        if self.logs:
            # the last channel is the background
            self.logs.picture("heatmaps", example.heatmaps[:-1], heatmaps[0, :-1].float().cpu().numpy(), self.step)

    def _save(self) -> None:
        if not self.first:
            return
        content = {
            "identity": self.identity,
            "step": self.step,
            "network": self.network.state_dict(),
            "ema": self.ema.network.state_dict() if self.ema else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "random": checkpoint.random_states(self.fabric.device),
            "history": msgspec.to_builtins(self.history),
            "running": vars(self.running),
            "unfinished": msgspec.to_builtins(self.unfinished),
        }
        checkpoint.save(self.job.folder, content)

    def _resume(self) -> None:
        """Go on from the checkpoint, if there is one; every process as the first one read it."""
        content = self.fabric.broadcast(checkpoint.load(self.job.folder, self.identity) if self.first else None)
        torch.manual_seed(self.task.seed + self.fabric.global_rank + (content["step"] if content else 0))
        if content is None:
            return
        self.step, self.running = content["step"], Running(**content["running"])
        self.history = msgspec.convert(content["history"], list[Epoch])
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.fabric.strategy.precision.load_state_dict(content["scaler"])
        if self.ema:
            self.ema.network.load_state_dict(content["ema"])
        if self.first:
            checkpoint.set_random_states(content["random"], self.fabric.device)


def _silent(_: Progress) -> None:
    return
