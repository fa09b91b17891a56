"""What every dataset keeps, whichever it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import cv2
import msgspec
import numpy as np
import pytest

from zoo.context import Context
from zoo.datasets import Dataset, Images
from zoo.datasets.images import DatasetBase
from zoo.errors import StepFailed
from zoo.record import canonical

ANNOTATIONS = {"images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}], "annotations": [], "categories": []}
#: tag -> the YAML of a dataset whose images are in images/
EXAMPLES: dict[str, dict[str, Any]] = {
    "coco": {"images": "images", "annotations": "a.json"},
    "folder": {"images": "images"},
    "photos": {
        "sources": [{"type": "file", "files": [{"name": name, "path": name} for name in ("a.png", "b.png")]}],
        "annotations": "a.json",
    },
    "stick_people": {"scenes": 2, "seed": 1},
}
#: those that need nothing of the machine, and whose content is all declared
ALWAYS_HERE = {"stick_people"}
DATASETS = get_args(Dataset)


def tag(dataset: type[DatasetBase]) -> str:
    return str(dataset.__struct_config__.tag)


@pytest.fixture(params=DATASETS, ids=tag)
def dataset(request: pytest.FixtureRequest) -> DatasetBase:
    name = tag(request.param)
    assert name in EXAMPLES, f"add an example of the dataset {name} to EXAMPLES"
    converted: DatasetBase = msgspec.convert({"type": name, "title": "T", "licence": "L", **EXAMPLES[name]}, Dataset)
    return converted


@pytest.fixture
def opened(dataset: DatasetBase, context: Context) -> Callable[[], Images]:
    """The images are there; a call opens the dataset."""
    (context.root / "images").mkdir()
    for value, name in enumerate(("a.png", "b.png")):
        assert cv2.imwrite(str(context.root / "images" / name), np.full((4, 6, 3), value, np.uint8))
    for name in ("a.json", "images/annotations.json"):
        (context.root / name).write_text(json.dumps(ANNOTATIONS))
    return lambda: dataset.open(context, context.root / "images")


def test_its_canonical_bytes_are_the_same_record_again(dataset: DatasetBase) -> None:
    assert msgspec.json.decode(canonical(dataset), type=Dataset) == dataset


def test_it_is_absent_with_a_reason_and_then_refuses_to_open(dataset: DatasetBase, context: Context, tmp_path: Path) -> None:
    reason = dataset.absent(context)
    if tag(type(dataset)) in ALWAYS_HERE:
        assert reason == "" and dataset.digest(context) != "absent"
        with pytest.raises(StepFailed):
            dataset.open(context)
        return
    assert str(tmp_path) in reason
    with pytest.raises(StepFailed) as caught:
        dataset.open(context, tmp_path)
    assert reason in caught.value.message


def test_it_opens_by_id_and_always_alike(dataset: DatasetBase, context: Context, opened: Callable[[], Images]) -> None:
    images = opened()
    assert dataset.absent(context) == ""
    assert images.ids == sorted(images.ids) and len(images) == 2
    assert images == opened()
    assert images.digest(context) == opened().digest(context)
    assert set(images.digests(context)) == {"a.png", "b.png"}


def test_it_reads_uint8_bgr(opened: Callable[[], Images]) -> None:
    images = opened()
    for sample in images.samples:
        image = images.read(sample)
        assert image.dtype == np.uint8 and image.shape == (4, 6, 3)
        assert (image == ("a.png", "b.png").index(sample.name)).all()


def test_its_digest_for_a_key_follows_what_it_holds(dataset: DatasetBase, context: Context, opened: Callable[[], Images]) -> None:
    opened()
    first = dataset.digest(context)
    assert first == dataset.digest(context) != "absent"
    if tag(type(dataset)) in ALWAYS_HERE:
        assert msgspec.structs.replace(dataset, seed=2).digest(context) != first
        return
    (context.root / "a.json").write_text(json.dumps({**ANNOTATIONS, "images": ANNOTATIONS["images"][::-1], "info": 1}))
    assert cv2.imwrite(str(context.root / "images/a.png"), np.full((5, 5, 3), 9, np.uint8))
    assert dataset.digest(context) not in (first, "absent")


def test_its_digest_says_that_it_is_absent(dataset: DatasetBase, context: Context) -> None:
    assert (dataset.digest(context) == "absent") == (tag(type(dataset)) not in ALWAYS_HERE)
