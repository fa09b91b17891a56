"""What a network is trained with: against what the original gives its own, and against itself."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from goldens_of_training import IDS, Half, about, coco_mini, golden
from test_labels import dataset, someone

from zoo.datasets.images import BadImage, Images
from zoo.errors import StepFailed
from zoo.pose.augment import Augment, Colour, part_counted
from zoo.pose.fits import Height
from zoo.pose.preprocess import Preprocess
from zoo.training.examples import Example, Examples
from zoo.training.mask_files import Masks
from zoo.training.masks import Ignore
from zoo.training.optimizers import Adam
from zoo.training.targets import Targets
from zoo.training.train import Train

TASK = Train(dataset="coco_mini", optimizer=Adam(lr=1e-4), epochs=1, batch=1)
GREY = Preprocess(fit=Height(height=256), mean=(128, 128, 128), std=(256, 256, 256), order="normalize_then_resize")


def changed(**fields: Any) -> Train:
    return msgspec.structs.replace(TASK, **fields)


@pytest.mark.assets
@pytest.mark.parametrize("id", IDS)
def test_with_every_random_number_a_half_an_example_is_the_originals(assets: Path, id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps to 1e-5. The image is beside the original's by up to a third of a pixel (tests/unit/test_augment.py says why and holds it to
    its levels), and so is the edge of what is ignored."""
    examples = Examples(TASK, GREY, coco_mini(assets))
    number = next(number for number, scene in enumerate(examples.scenes) if scene.sample.id == id)
    index = sum(len(scene.centres) for scene in examples.scenes[:number])
    scene = examples.scenes[number]
    low, high = scene.boxes[scene.centres[0][0]].reshape(2, 2)
    prepared = about(assets)[str(id)]["prepared"]
    np.testing.assert_allclose((low + high) / 2, prepared["objpos"])
    monkeypatch.setattr(np.random, "default_rng", Half)
    found, wanted = examples[0, index], golden(assets, id, "aug_half")
    assert found.image.shape == tuple(wanted.image_shape)
    np.testing.assert_allclose(found.heatmaps, wanted.keypoint_maps, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.pafs, wanted.paf_maps, rtol=0, atol=1e-5)
    apart = found.mask != wanted.mask
    assert apart.sum() <= 10 and (wanted.mask == 0).any() == (prepared["crowd_segmentations"] > 0)
    edge = cv2.morphologyEx(wanted.mask, cv2.MORPH_GRADIENT, np.ones((3, 3)))
    assert not (apart & (edge == 0)).any()
    stats = [found.image.mean((1, 2)), found.image.std((1, 2))]
    np.testing.assert_allclose(stats, wanted.image_stats, rtol=0, atol=4e-3)


@pytest.mark.assets
@pytest.mark.parametrize("id", IDS)
def test_the_mask_of_a_whole_image_is_the_originals(assets: Path, id: int) -> None:
    images, wanted = coco_mini(assets), golden(assets, id, "noaug")
    (sample,) = (sample for sample in images.samples if sample.id == id)
    ignored = Masks(Ignore(rule="crowds"), images).mask_of(sample, *wanted.image_shape[1:].tolist())
    np.testing.assert_allclose(part_counted(ignored, 8), wanted.mask, rtol=0, atol=1e-6)


def same(one: Example, other: Example) -> bool:
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.assets
def test_an_example_follows_from_seed_epoch_and_index_alone(assets: Path) -> None:
    few = coco_mini(assets).subset(20)
    examples, again = (Examples(TASK, GREY, few) for _ in range(2))
    assert len(examples) > 5
    first = examples[0, 3]
    again[1, 2], again[5, 3]
    assert same(first, again[0, 3])
    for other in (examples[1, 3], examples[0, 4], Examples(changed(seed=1), GREY, few)[0, 3]):
        assert not same(first, other)


@pytest.mark.assets
def test_arrays_are_of_the_sizes_and_types_that_a_network_takes(assets: Path) -> None:
    examples = Examples(changed(size=(128, 192), targets=Targets(stride=4)), GREY, coco_mini(assets).subset(20))
    found = examples[0, 0]
    assert [one.shape for one in found] == [(3, 128, 192), (19, 32, 48), (38, 32, 48), (32, 48)]
    assert all(one.dtype == np.float32 and one.flags.c_contiguous for one in found)


def painted(folder: Path, annotations: list[dict[str, Any]], size: tuple[int, int] = (200, 300)) -> Images:
    """Two images of one colour each."""
    images = dataset(folder, annotations)
    for sample in images.samples:
        cv2.imwrite(str(sample.path.with_suffix(".png")), np.full((size[1], size[0], 3), (10, 60, 250), np.uint8))
        sample.path.with_suffix(".png").rename(sample.path)
    return images


STILL = Augment(scale=(1, 1), target=0, rotate=0, shift=0, flip=0)


def test_colours_are_prepared_as_the_recipe_says(tmp_path: Path) -> None:
    preprocess = Preprocess(fit=Height(height=64), colour="rgb", mean=(50, 40, 30), std=(100, 10, 1))
    example = Examples(changed(size=(64, 64), augment=STILL), preprocess, painted(tmp_path, [someone(1)]))[0, 0]
    np.testing.assert_allclose(example.image[:, 32, 32], [2, 2, -20], rtol=1e-6)


def test_limbs_of_the_others_are_drawn_over_those_of_the_one_in_the_middle(tmp_path: Path) -> None:
    """A shoulder and an elbow of two people: the second person's limb crosses the first's."""

    def arm(id: int, start: tuple[int, int], end: tuple[int, int], **other: Any) -> dict[str, Any]:
        points = [0] * 51
        points[18:21], points[24:27] = (*start, 2), (*end, 2)  # the right shoulder and elbow
        return {**someone(id, **other), "keypoints": points}

    people = [arm(1, (60, 100), (140, 100)), arm(2, (100, 60), (100, 140), at=(100.0, 100.0))]
    task = changed(size=(160, 160), augment=STILL, labels=msgspec.structs.replace(TASK.labels, min_keypoints=1))
    examples = Examples(task, GREY, painted(tmp_path, people))
    assert len(examples) == 2
    for index, on_top in enumerate([(0, 1), (1, 0)]):
        scene = examples.scenes[0]
        low, high = scene.boxes[index].reshape(2, 2)
        column, row = ((100, 100) - (low + high) / 2 + 80).astype(int) // 8
        assert tuple(examples[0, index].pafs[14:16, row, column]) == on_top


def test_what_is_ignored_does_not_count_and_the_rest_does(tmp_path: Path) -> None:
    corner = [[100, 0, 200, 0, 200, 150, 100, 150]]
    crowd = {**someone(2), "iscrowd": 1, "keypoints": [0] * 51, "segmentation": corner}
    images = painted(tmp_path, [someone(1, at=(100.0, 150.0)), crowd])
    task = changed(size=(400, 400), augment=STILL)
    mask = Examples(task, GREY, images)[0, 0].mask
    columns, rows = np.flatnonzero((mask == 0).any(0)), np.flatnonzero((mask == 0).any(1))
    # the image lies at 100, 50 of the crop
    assert mask.shape == (50, 50) and abs(columns[[0, -1]] - [25, 36]).max() <= 1 and abs(rows[[0, -1]] - [6, 24]).max() <= 1
    assert set(np.unique(mask)) == {0, 1}
    assert (Examples(msgspec.structs.replace(task, ignore=Ignore(rule="nothing")), GREY, images)[0, 0].mask == 1).all()


def test_one_example_an_image_is_about_another_person_each_time(tmp_path: Path) -> None:
    people = [someone(1, at=(50.0, 100.0)), someone(2, at=(150.0, 200.0)), someone(3, at=(100.0, 50.0), seen=2)]
    task = changed(size=(320, 320), augment=STILL, labels=msgspec.structs.replace(TASK.labels, per="image"))
    examples = Examples(task, GREY, painted(tmp_path, people))
    assert len(examples) == 1
    noses = (examples[epoch, 0].heatmaps[0] for epoch in range(20))
    centres = {tuple(np.argwhere(nose > 0.8)[0].tolist()) for nose in noses}
    assert len(centres) == 2


def test_an_image_of_another_size_than_its_annotations_say_is_refused(tmp_path: Path) -> None:
    examples = Examples(TASK, GREY, painted(tmp_path, [someone(1)], size=(100, 150)))
    with pytest.raises(BadImage, match=r"1\.jpg has 100x150 pixels, and its annotations are of 200x300"):
        examples[0, 0]


def test_a_crop_is_a_whole_number_of_cells(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="368x100 pixels are no whole number of cells of 8"):
        Examples(changed(size=(100, 368)), GREY, painted(tmp_path, [someone(1)]))


@pytest.mark.assets
def test_colours_change_the_image_and_nothing_else(assets: Path) -> None:
    few = coco_mini(assets).subset(20)
    plain = Examples(TASK, GREY, few)[0, 0]
    coloured = Examples(changed(augment=Augment(colour=Colour(brightness=0.2, hue=30))), GREY, few)[0, 0]
    assert not (plain.image == coloured.image).all() and same(plain._replace(image=coloured.image), coloured)


@pytest.mark.assets
def test_examples_may_be_sent_to_another_process_and_are_named_by_their_images(assets: Path) -> None:
    few = coco_mini(assets).subset(60)
    examples = Examples(TASK, GREY, few)
    sent = pickle.loads(pickle.dumps(examples))
    assert same(sent[1, 5], examples[1, 5])
    names = [examples.name(index) for index in range(len(examples))]
    assert set(names) == {scene.sample.name for scene in examples.scenes} and names == sorted(names)


@pytest.mark.assets
def test_torchs_loader_gives_the_same_examples_from_its_own_processes(assets: Path) -> None:
    torch = pytest.importorskip("torch")
    few = coco_mini(assets).subset(20)
    examples = Examples(TASK, GREY, few)
    keys = [(2, index) for index in (3, 0, 4, 1)]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a fork has none of OpenCV's threads
    batches = list(torch.utils.data.DataLoader(examples, batch_sampler=[keys[:2], keys[2:]], num_workers=2))
    cv2.setNumThreads(threads)
    for (one, other), batch in zip((keys[:2], keys[2:]), batches, strict=True):
        assert isinstance(batch, Example) and batch.image.shape == (2, 3, 368, 368)
        for place, key in enumerate((one, other)):
            assert same(examples[key], Example(*(part[place].numpy() for part in batch)))
