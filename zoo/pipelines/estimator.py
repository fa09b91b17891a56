"""`PoseModel`: images in, poses out; and `Estimator`, the one that is a single network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zoo.backends.runner import Runner
from zoo.errors import StepFailed, ZooError
from zoo.pose.geometry import Affine, Turn, View, turned
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess, Tensor
from zoo.pose.skeletons import SKELETONS, Skeleton

if TYPE_CHECKING:
    from zoo.pose.decoders import Decoder

Image = NDArray[np.uint8]


@runtime_checkable
class MultiScale(Protocol):
    """A decoder that averages the maps of several runs."""

    def decode_views(self, views: Sequence[View]) -> Poses:
        """One image at several sizes -> its people in image pixels."""


@runtime_checkable
class Turning(Protocol):
    """A decoder that knows which of several runs saw the image the right way up."""

    def decode_turns(self, views: Sequence[View]) -> Poses:
        """One image at several turns -> its people in image pixels."""


@dataclass
class Stopwatch:
    """Seconds by stage, summed until `reset`."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What happens inside is time of the stage `name`."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - started

    def reset(self) -> dict[str, float]:
        """What was summed; from here on it starts anew."""
        seconds, self.seconds = self.seconds, {}
        return seconds


class PoseModel(ABC):
    """Opened networks that make poses of images: a context manager; `close` gives back what the runtimes hold."""

    @property
    @abstractmethod
    def skeleton(self) -> Skeleton:
        """What the K keypoints of its poses are called, and how they hang together."""

    @property
    @abstractmethod
    def computed_in(self) -> str:
        """What its networks really compute in."""

    @abstractmethod
    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        """The people in each of `images`, (H, W, 3) uint8 BGR of any sizes, in that image's own pixels; batched where inputs
        come out alike and the network takes more than one. `watch` is told how long each stage takes.

        `boxes`: for a model that looks at boxes, whom to look at in each image (`Poses.of_boxes`).
        Raises ZooError where an image is no such array, or where boxes are given to a model that finds people by itself."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the runtimes hold."""

    def __call__(self, image: Image, boxes: NDArray[Any] | None = None) -> Poses:
        """The people in `image` (H, W, 3), uint8 BGR as cv2.imread gives it, in its own pixels; for a model that looks at boxes,
        the people in `boxes` (N, 4) x1, y1, x2, y2.

        Raises ZooError as `many` does, and where `boxes` are of another shape."""
        if boxes is None:
            return self.many([image])[0]
        corners = np.asarray(boxes, np.float64)
        corners = corners if corners.size else corners.reshape(0, 4)
        if corners.ndim != 2 or corners.shape[1] != 4:
            raise ZooError(f"boxes are an array (N, 4) of x1, y1, x2, y2, these have the shape {corners.shape}", "one box is (1, 4)")
        return self.many([image], boxes=[Poses.of_boxes(corners, np.ones(len(corners)))])[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class OneNetwork(PoseModel):
    """A network with what comes before and after it."""

    runner: Runner
    preprocess: Preprocess
    decode: Decoder

    @property
    def skeleton(self) -> Skeleton:
        """That of its decoder."""
        return SKELETONS[self.decode.skeleton]

    @property
    def computed_in(self) -> str:
        """What the runtime says."""
        return self.runner.computed_in

    def close(self) -> None:
        """Close the runner."""
        self.runner.close()


def fixed_batch(runner: Runner) -> int | None:
    """The inputs that each call takes; None where that is free."""
    return next(iter(runner.inputs.values())).shape[0]


def run(runner: Runner, tensor: Tensor, batch: int) -> dict[str, NDArray[Any]]:
    """The outputs (n, ...) of `tensor` (n, 3, h, w), n > 0, in calls of its own batch, or at most `batch` where that is free."""
    name, fixed = next(iter(runner.inputs)), fixed_batch(runner)
    found = []
    for start in range(0, len(tensor), fixed or batch):
        chunk = tensor[start : start + (fixed or batch)]
        # a network of a fixed batch is fed whole batches: the last image again where there is no other
        missing = (fixed or len(chunk)) - len(chunk)
        fed = np.concatenate([chunk, np.repeat(chunk[-1:], missing, axis=0)]) if missing else chunk
        found.append({output: array[: len(chunk)] for output, array in runner({name: fed}).items()})
    return found[0] if len(found) == 1 else {output: np.concatenate([one[output] for one in found]) for output in found[0]}


@dataclass(frozen=True)
class Estimator(OneNetwork):
    """One that looks at whole images."""

    scales: tuple[float, ...] = (1.0,)
    """The sizes, in parts of the fit's own, whose maps are averaged."""
    turns: tuple[Turn, ...] = (0,)
    """The turns of the image, of which the best is taken."""
    batch: int = 1
    """The most inputs in one call, where the network's batch is free."""
    name: str = ""
    """Which part of a pipeline it is: before the names of its stages."""

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        """See `PoseModel.many`."""
        if boxes is not None:
            raise ZooError("this model finds people by itself and was given boxes", "leave the boxes away")
        watch = watch or Stopwatch()
        looked = self.look(images, watch)
        with watch.stage(self._stage("decoding")):
            return [self.read(views) for views in looked]

    @property
    def looks(self) -> Hashable:
        """How it shows images to the network: two of equal looks that stand on the same network are told the same by it."""
        return self.preprocess, self.scales, self.turns

    def look(self, images: Sequence[Image], watch: Stopwatch | None = None) -> list[list[View]]:
        """What the network says of each image: a view for each of `scales` and `turns`. Raises ZooError as `many` does."""
        watch = watch or Stopwatch()
        with watch.stage(self._stage("preparing")):
            sized = [self.preprocess.with_fit(self.preprocess.fit.scaled(scale)) for scale in self.scales]
            ready = [self._prepared(one, image, turn) for image in images for one in sized for turn in self.turns]
        with watch.stage(self._stage("network")):
            outputs = self._run([tensor for tensor, _ in ready])
        views = [View(output, affine) for output, (_, affine) in zip(outputs, ready, strict=True)]
        count = len(self.scales) * len(self.turns)
        return [views[start : start + count] for start in range(0, len(views), count)]

    def _stage(self, name: str) -> str:
        return f"{self.name} {name}" if self.name else name

    @staticmethod
    def _prepared(preprocess: Preprocess, image: Image, turn: Turn) -> tuple[Tensor, Affine]:
        tensor, affine = preprocess.prepare(turned(image, turn) if turn else image)
        return tensor, affine.after(turn) if turn else affine

    def read(self, views: Sequence[View]) -> Poses:
        """The people of one image, from what `look` said of it. Raises StepFailed where the decoder cannot read so many views."""
        if self.turns != (0,):
            if not isinstance(self.decode, Turning) or len(self.scales) > 1:
                raise StepFailed(f"{type(self.decode).__name__} cannot choose among these runs", "leave `turns:` or `scales:` away")
            return self.decode.decode_turns(views)
        if len(views) == 1:
            return self.decode.decode(*views[0])
        if not isinstance(self.decode, MultiScale):
            raise StepFailed(f"{type(self.decode).__name__} decodes one scale at a time", "leave `scales:` away, or name another decoder")
        return self.decode.decode_views(views)

    def _run(self, tensors: Sequence[Tensor]) -> list[dict[str, NDArray[Any]]]:
        """Each tensor's outputs, (1, ...) each, in the order of `tensors`; those of one shape share calls."""
        size = fixed_batch(self.runner) or self.batch
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, tensor in enumerate(tensors):
            alike.setdefault(tensor.shape, []).append(place)
        found: dict[int, dict[str, NDArray[Any]]] = {}
        for places in alike.values():
            for start in range(0, len(places), size):
                chunk = places[start : start + size]
                outputs = run(self.runner, np.concatenate([tensors[place] for place in chunk]), self.batch)
                for row, place in enumerate(chunk):
                    found[place] = {output: array[row : row + 1] for output, array in outputs.items()}
        return [found[place] for place in range(len(tensors))]
