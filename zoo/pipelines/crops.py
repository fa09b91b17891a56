"""`CropEstimator`: a network that is shown one person (or hand) at a time, each in a crop of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed, ZooError
from zoo.pipelines.estimator import Image, OneNetwork, Stopwatch, Turning, fixed_batch, run
from zoo.pose.geometry import Affine, Turn, View, turned
from zoo.pose.keypoints import Poses
from zoo.pose.people import People
from zoo.pose.preprocess import Tensor, check_image

if TYPE_CHECKING:
    from zoo.pose.decoders.crops import Found

Outputs = Mapping[str, NDArray[Any]]


@runtime_checkable
class OfCrops(Protocol):
    """A decoder that reads many crops at once, one person in each."""

    def decode_crops(self, outputs: Outputs, affines: Sequence[Affine]) -> Found:
        """Outputs (N, ...) -> keypoints and scores of N people."""


@runtime_checkable
class Mirroring(Protocol):
    """A decoder that can read the outputs of a mirrored crop."""

    def reads(self) -> dict[str, int]:
        """Field that names an output -> how many channels of it are read."""

    def unmirrored(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """The outputs of mirrored crops, as those of the crops."""


@dataclass(frozen=True)
class CropEstimator(OneNetwork):
    """One that looks at boxes: its `preprocess.fit` cuts them."""

    people: People
    """How the people of an image are scored, and which of them are the same."""
    flip: bool = False
    """Whether each crop is run mirrored as well, and the outputs of both are averaged."""
    turns: tuple[Turn, ...] = (0,)
    """The turns of a crop, of which the best is taken."""
    batch: int = 1
    """The most crops in one call, where the network's batch is free."""
    name: str = ""
    """Which part of a pipeline it is: before the names of its stages."""

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        """See `PoseModel.many`. Without `boxes` every image is taken for one person's. The crops of all images share calls."""
        watch = watch or Stopwatch()
        stage = f"{self.name} " if self.name else ""
        given = [_whole(image) for image in images] if boxes is None else boxes
        if len(given) != len(images):
            raise ZooError(f"there are boxes for {len(given)} images and not for {len(images)}", "an image without any has boxes (0, 4)")
        owners = np.repeat(np.arange(len(images)), np.array([len(one) for one in given], np.intp))
        cut = np.concatenate([one.boxes for one in given]) if len(owners) else np.zeros((0, 4))
        keypoints, scores, areas = self._nobody(len(owners))
        size = fixed_batch(self.runner) or self.batch
        for start in range(0, len(owners), size):
            chunk = slice(start, start + size)
            with watch.stage(f"{stage}preparing"):
                tensor, affines = self.preprocess.prepare_crops([images[owner] for owner in owners[chunk]], list(cut[chunk]))
                if self.turns != (0,):
                    tensor = np.stack([_turned(crop, turn) for crop in tensor for turn in self.turns])
            with watch.stage(f"{stage}network"):
                outputs = self._outputs(tensor)
            with watch.stage(f"{stage}decoding"):
                keypoints[chunk], scores[chunk] = self._decoded(outputs, affines)
                areas[chunk] = [affine.area for affine in affines]
        with watch.stage(f"{stage}decoding"):
            sigmas = np.array(self.skeleton.sigmas)
            return [
                self.people.of(keypoints[mine], scores[mine], one.boxes, one.instance_scores, areas[mine], sigmas)
                for one, mine in ((one, owners == index) for index, one in enumerate(given))
            ]

    def _outputs(self, tensor: Tensor) -> Outputs:
        """Tensor (n, 3, h, w) -> outputs (n, ...), averaged with those of its mirror image where `flip`."""
        outputs = run(self.runner, tensor, self.batch)
        if not self.flip:
            return outputs
        if not isinstance(self.decode, Mirroring):
            raise StepFailed(f"{type(self.decode).__name__} cannot read a mirrored crop", "leave `flip:` away")
        mirrored = self.decode.unmirrored(run(self.runner, np.ascontiguousarray(tensor[..., ::-1]), self.batch))
        read = [getattr(self.decode, field) for field in self.decode.reads()]
        return {**outputs, **{name: (outputs[name] + mirrored[name]) / 2 for name in read}}

    def _decoded(self, outputs: Outputs, affines: Sequence[Affine]) -> Found:
        """Outputs (n * turns, ...) -> keypoints and scores of n people."""
        if self.turns == (0,) and isinstance(self.decode, OfCrops):
            return self.decode.decode_crops(outputs, affines)
        keypoints, scores, _ = self._nobody(len(affines))
        for place, affine in enumerate(affines):
            # to the decoder the crop is the image: it may want to enlarge maps to the size of what the network saw
            crop = Affine(np.eye(2, 3), affine.input, affine.input, (0, 0, *affine.input))
            first = place * len(self.turns)
            views = [
                View({name: array[row : row + 1] for name, array in outputs.items()}, crop.after(turn) if turn else crop)
                for row, turn in enumerate(self.turns, first)
            ]
            poses = self._best(views)
            if len(poses):
                best = int(poses.instance_scores.argmax())
                keypoints[place], scores[place] = affine.to_image(poses.keypoints[best]), poses.scores[best]
        return keypoints, scores

    def _best(self, views: Sequence[View]) -> Poses:
        if self.turns == (0,):
            return self.decode.decode(*views[0])
        if not isinstance(self.decode, Turning):
            raise StepFailed(f"{type(self.decode).__name__} cannot choose among turns", "leave `turns:` away")
        return self.decode.decode_turns(views)

    def _nobody(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Keypoints, scores and areas of `count` people of whom nothing is found yet."""
        keypoints = len(self.skeleton.keypoints)
        return np.full((count, keypoints, 2), np.nan), np.zeros((count, keypoints)), np.zeros(count)


def _turned(crop: Tensor, turn: Turn) -> Tensor:
    """(3, h, w), turned clockwise."""
    return turned(crop.transpose(1, 2, 0), turn).transpose(2, 0, 1)


def _whole(image: Image) -> Poses:
    """The whole image as the one box of a person. Raises ZooError where it is no image."""
    check_image(image)
    return Poses.of_boxes(np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]), np.ones(1))
