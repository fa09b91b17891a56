"""`Examples`: the tensors that a network is trained with, one variation of one image each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.datasets.images import BadImage, Images
from zoo.errors import StepFailed
from zoo.pose.augment import Variation, part_counted
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.pose.skeletons import SKELETONS
from zoo.training.labels import Scene
from zoo.training.mask_files import Masks
from zoo.training.train import Train


class Example(NamedTuple):
    """What a network is shown, and what it is to say of it, on a grid of h x w cells."""

    image: NDArray[np.float32]
    """(3, H, W), prepared as the recipe says."""
    heatmaps: NDArray[np.float32]
    """(19, h, w): 18 keypoints and the background."""
    pafs: NDArray[np.float32]
    """(38, h, w): x and y of each limb's direction."""
    mask: NDArray[np.float32]
    """(h, w): 1 where a cell counts, 0 where it does not."""


class Examples:
    """All examples of a dataset. `examples[epoch, index]` is what an example becomes in that epoch: it follows from the task's seed and
    these two numbers alone, whoever asks, when and how often. To be sent to other processes, and read by torch's DataLoader."""

    def __init__(self, task: Train, preprocess: Preprocess, images: Images) -> None:
        """Reads the annotations. `preprocess` says how a crop's colours become the network's input; its fit is not asked.

        Raises BadAnnotations and StepFailed as `Labels.scenes` and `Masks` do, and StepFailed for a crop that is no whole number of
        cells."""
        height, width = task.size
        if height % task.targets.stride or width % task.targets.stride:
            raise StepFailed(
                f"crops of {width}x{height} pixels are no whole number of cells of {task.targets.stride}",
                "give `size` multiples of `stride`",
            )
        self.task = task
        self.scenes = task.labels.scenes(images)
        self._images = images
        self._masks = Masks(task.ignore, images)
        self._preprocess = preprocess.with_fit(Stretch(height=height, width=width), "resize_then_normalize")
        self._swaps = SKELETONS["openpose_18"].swaps
        self._centres = [(scene, number) for scene, one in enumerate(self.scenes) for number in range(len(one.centres))]

    def __len__(self) -> int:
        return len(self._centres)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        """`key`: the epoch and the example, both from 0 on. Raises BadImage where its image cannot be read, or is of another size
        than its annotations say."""
        epoch, index = key
        number, choice = self._centres[index]
        scene = self.scenes[number]
        pixels = self._read(scene)
        variation, people = self._vary(scene, scene.centres[choice], np.random.default_rng([self.task.seed, epoch, index]))
        tensor, _ = self._preprocess.prepare(variation.image(pixels))
        heatmaps, pafs = self.task.targets.maps(people, *self.task.size)
        return Example(tensor[0].astype(np.float32, copy=False), heatmaps, pafs, self._mask(scene, variation))

    def name(self, index: int) -> str:
        """What an example is called in messages: its image."""
        return self.scenes[self._centres[index][0]].sample.name

    def _read(self, scene: Scene) -> NDArray[np.uint8]:
        pixels = self._images.read(scene.sample)
        height, width = pixels.shape[:2]
        if (width, height) != scene.size:
            what = f"image {scene.sample.path} has {width}x{height} pixels, and its annotations are of {scene.size[0]}x{scene.size[1]}"
            raise BadImage(scene.sample.name, what, "scale one of them to the other")
        return pixels

    def _vary(self, scene: Scene, who: tuple[int, ...], generator: np.random.Generator) -> tuple[Variation, NDArray[np.float64]]:
        """A variation about one of the people `who`, and everyone in it, in pixels of the crop: that one first, so that where limbs
        meet the others' are on top, as in Lightweight OpenPose."""
        centre = who[int(generator.integers(len(who)))] if len(who) > 1 else who[0]
        height, width = self.task.size
        variation = self.task.augment.draw(generator, scene.size, (width, height), scene.boxes[centre], scene.boxes[list(scene.counting)])
        order = [centre, *(other for other in range(len(scene.people)) if other != centre)]
        return variation, variation.keypoints(scene.people[order], self._swaps)

    def _mask(self, scene: Scene, variation: Variation) -> NDArray[np.float32]:
        """Of a cell that counts in part more than half must count, as in Lightweight OpenPose."""
        stride = self.task.targets.stride
        ignored = self._masks.mask_of(scene.sample, *scene.size[::-1])
        if not ignored.any():
            return np.ones((self.task.size[0] // stride, self.task.size[1] // stride), np.float32)
        return np.rint(part_counted(variation.mask(ignored), stride))
