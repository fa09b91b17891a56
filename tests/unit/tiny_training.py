"""A network and examples that take no time to learn from, for tests of training."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zoo.context import Context, Progress
from zoo.errors import StepFailed
from zoo.models.base import HeatmapArchitecture
from zoo.training.fit import Job, fit
from zoo.training.order import Order
from zoo.training.train import Train

SIZE, STRIDE = 32, 8


class TinyNet(nn.Module):
    """Two stages on a grid of an eighth."""

    def __init__(self, width: int, norm: bool, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, STRIDE, STRIDE), nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout)
        )
        self.first = nn.Conv2d(width, 57, 1)
        self.second = nn.Conv2d(width + 57, 57, 1)

    def stages(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        features = self.features(image)
        maps = [self.first(features)]
        maps.append(self.second(torch.cat([features, maps[0]], dim=1)))
        return [(both[:, :19], both[:, 19:]) for both in maps]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.stages(image)[-1]


class Tiny(HeatmapArchitecture, frozen=True, tag="tiny_training"):
    """`TinyNet`."""

    width: int = 8
    norm: bool = False
    dropout: float = 0.0

    stride: ClassVar[int] = STRIDE
    skeleton: ClassVar[str] = "openpose_18"
    input: ClassVar[str] = "image"

    @property
    def outputs(self) -> dict[str, int]:
        return {"heatmaps": 19, "pafs": 38}

    def module(self) -> Any:
        return TinyNet(self.width, self.norm, self.dropout).eval()


class Example(NamedTuple):
    image: Any
    heatmaps: Any
    pafs: Any
    mask: Any


class Fakes:
    """Examples whose maps follow from their images. `at`: the (epoch, index) where something happens: `nan`, `raise`, `kill` (of the
    process that trains), `slow`."""

    def __init__(self, count: int = 16, at: tuple[int, int] | None = None, what: str = "") -> None:
        self.count, self.at, self.what = count, at, what

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index:03d}.jpg"

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, index = key
        image = np.random.default_rng([index, epoch]).uniform(-0.5, 0.5, (3, SIZE, SIZE)).astype(np.float32)
        cells = image[0].reshape(SIZE // STRIDE, STRIDE, SIZE // STRIDE, STRIDE).mean((1, 3))
        wanted = (np.linspace(-1, 1, 57, dtype=np.float32)[:, None, None] * cells + 0.1).astype(np.float32)
        mask = np.ones_like(cells)
        mask[0, 0] = 0
        if key == self.at:
            if self.what == "nan":
                image[0, 0, 0] = np.nan
            elif self.what == "raise":
                raise StepFailed(f"{self.name(index)} cannot be read", "take another")
            elif self.what == "kill":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(1)
            elif self.what == "slow":
                time.sleep(60)
        return Example(image, wanted[:19], wanted[19:], mask)


def task(**changed: Any) -> Train:
    """A training of four steps an epoch on 16 examples."""
    import msgspec

    plain: dict[str, Any] = {
        "dataset": "fakes", "size": [SIZE, SIZE], "optimizer": {"type": "adam", "lr": 0.01},
        "epochs": 3, "batch": 4, "checkpoint": 2, "seed": 5,
    }  # fmt: skip
    return msgspec.convert({**plain, **changed}, Train)


def job(folder: Path, task: Train, model: Tiny | None = None, examples: Any = None, **changed: Any) -> Job:
    """What a process of a training of one gets."""
    examples = Fakes() if examples is None else examples
    order = Order(len(examples), task.batch, task.accumulate, task.seed)
    plain: dict[str, Any] = {"initial": {}, "validate": None, "until": task.epochs * order.per_epoch, "local": 1, "accelerated": False}
    return Job(model=model or Tiny(), task=task, examples=examples, folder=folder, order=order, **{**plain, **changed})


def norms(network: Any, epoch: int, context: Context) -> dict[str, float]:
    """A validation: what the network says of a picture, and whether it was in evaluation."""
    context.report(f"validating epoch {epoch}")
    heatmaps, _ = network(torch.full((1, 3, SIZE, SIZE), 0.25))
    return {"said": float(heatmaps.mean()), "training": float(network.training)}


def killed(one: Job, moment: str) -> int:
    """`fit` in a process of its own that is killed at a `moment`: within a `step`, while `writing` a checkpoint, in `validation`; what
    ended it. Spawned: torch's threads, once they were used, do not outlive a fork, and whatever waits for them hangs."""
    child = multiprocessing.get_context("spawn").Process(target=_end, args=(one, moment))
    child.start()
    child.join(120)
    child.terminate()  # nothing, where it has ended
    assert child.exitcode is not None, "it hangs"
    return child.exitcode


def _end(one: Job, moment: str) -> None:
    seen = 0

    def listen(news: Progress) -> None:
        nonlocal seen
        seen += news.what.startswith({"step": "epoch 2 of 3, loss", "validation": "validating epoch 2"}.get(moment, "never"))
        if seen == (3 if moment == "step" else 1):
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "writing":
        write, calls = torch.save, iter((False, False, True))

        def save(content: Any, file: Any) -> None:
            if next(calls):
                file.write(b"half")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            write(content, file)

        torch.save = save
    fit(one, context=Context(root=one.folder, cache=one.folder, listener=listen))
