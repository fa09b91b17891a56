"""Datasets: trees in COCO's layout, folders, photographs; what bad ones get."""

import hashlib
import json
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from zoo.context import Context
from zoo.datasets import BadAnnotations, BadImage, Coco, Folder, Images, Photos, Sample, overlap
from zoo.datasets.images import at_one_moment
from zoo.errors import StepFailed
from zoo.metrics import CocoOks
from zoo.sources import LocalFile

ROOT = Path(__file__).parent.parent.parent
VAL2017 = Coco(images="$ZOO_COCO/val2017", annotations="$ZOO_COCO/annotations/person_keypoints_val2017.json")


def picture(path: Path, seed: int, size: tuple[int, int] = (48, 64)) -> Path:
    """A smooth random picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.resize(noise, size[::-1]))
    return path


def person(id: int, image_id: int) -> dict[str, Any]:
    keypoints = [value for index in range(17) for value in (10 + 2 * index, 5 + index % 7 * 5, 2)]
    box = {"bbox": [10, 5, 34, 40], "area": 1200.0, "iscrowd": 0}
    return {"id": id, "image_id": image_id, "category_id": 1, "keypoints": keypoints, "num_keypoints": 17, **box}


@pytest.fixture
def tree(tmp_path: Path, context: Context) -> Context:
    """COCO's real layout with three images (one without a person), not in the order of their ids; a fourth is not annotated."""
    root = tmp_path / "coco"
    ids = [397133, 139, 785]
    for id in [*ids, 999]:
        picture(root / f"val2017/{id:012}.jpg", id)
    content = {
        "info": {"description": "synthetic"},
        "licenses": [],
        "images": [{"id": id, "file_name": f"{id:012}.jpg", "height": 48, "width": 64, "license": 1} for id in ids],
        "annotations": [person(1, 397133), person(2, 139)],
        "categories": [{"id": 1, "name": "person", "supercategory": "person", "keypoints": ["nose"] * 17, "skeleton": []}],
    }
    (root / "annotations").mkdir()
    (root / "annotations/person_keypoints_val2017.json").write_text(json.dumps(content))
    return replace(context, environment={"ZOO_COCO": str(root)})


def change(context: Context, edit: Callable[[dict[str, Any]], object]) -> None:
    file = context.path(VAL2017.annotations)
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def test_a_tree_in_cocos_layout_is_read_and_scored(tree: Context) -> None:
    assert VAL2017.absent(tree) == ""
    images = VAL2017.open(tree)
    assert images.ids == [139, 785, 397133]
    assert images.samples[0].name == "000000000139.jpg"
    assert images.read(images.samples[0]).shape == (48, 64, 3)
    found = [
        {key: one[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0} for one in (person(1, 397133), person(2, 139))
    ]
    assert images.annotations is not None
    assert CocoOks().evaluate(images.annotations, images.ids, found)["AP"] == pytest.approx(1.0)
    assert CocoOks().evaluate(images.annotations, images.ids, found[:1])["AR"] == pytest.approx(0.5)
    assert CocoOks().evaluate(images.annotations, images.subset(2).ids, found[:1])["AR"] == 0


def test_an_image_that_is_not_annotated_is_not_of_the_dataset(tree: Context) -> None:
    assert "000000000999.jpg" not in VAL2017.open(tree).digests(tree)


def test_a_variable_that_is_not_set_is_named(context: Context) -> None:
    assert "ZOO_COCO" in VAL2017.absent(context)
    with pytest.raises(StepFailed, match="ZOO_COCO"):
        VAL2017.open(context)


def test_a_missing_folder_and_a_missing_file_are_named(tree: Context) -> None:
    context = replace(tree, environment={"ZOO_COCO": "elsewhere"})
    assert "elsewhere/val2017" in VAL2017.absent(context)
    tree.path(VAL2017.annotations).unlink()
    assert "person_keypoints_val2017.json" in VAL2017.absent(tree)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda content: content.pop("images"), "images"),
        (lambda content: content["images"][1].pop("file_name"), r"file_name.*images"),
        (lambda content: content.pop("annotations"), "annotations"),
        (lambda content: content["images"][0].update(id="one"), "int"),
        (lambda content: content["images"][0].update(id=139), "two images have the id 139"),
        (lambda content: content["images"][0].update(file_name="000000000139.jpg"), "000000000139.jpg is listed twice"),
        (lambda content: content["annotations"][0].update(image_id=4), "annotation 1 belongs to image 4"),
        (lambda content: content.update(images=[], annotations=[]), "no images"),
    ],
)
def test_a_fault_of_the_annotations_is_named_with_the_file(tree: Context, edit: Callable[[dict[str, Any]], object], said: str) -> None:
    change(tree, edit)
    with pytest.raises(BadAnnotations, match=said) as caught:
        VAL2017.open(tree)
    assert "person_keypoints_val2017.json" in caught.value.message


def test_annotations_that_are_no_json_are_named(tree: Context) -> None:
    tree.path(VAL2017.annotations).write_text('{"images": [')
    with pytest.raises(BadAnnotations, match=r"person_keypoints_val2017\.json is not JSON"):
        VAL2017.open(tree)


def test_a_missing_image_is_named_when_it_is_read(tree: Context) -> None:
    images = VAL2017.open(tree)
    images.samples[1].path.unlink()
    with pytest.raises(BadImage, match=r"000000000785\.jpg: No such file") as caught:
        images.read(images.samples[1])
    assert caught.value.name == "000000000785.jpg"
    assert images.digests(tree)["000000000785.jpg"] == "absent"
    assert images.without([caught.value.name]).ids == [139, 397133]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("cut", [0.0, 0.5, 0.98])
def test_an_image_that_is_cut_off_is_named_and_not_filled_up(tmp_path: Path, suffix: str, cut: float) -> None:
    path = picture(tmp_path / f"one.{suffix}", 1, (200, 300))
    data = path.read_bytes()
    images = Images((Sample(1, path, path.name),))
    assert images.read(images.samples[0]).shape == (200, 300, 3)
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(BadImage, match=f"one.{suffix}"):
        images.read(images.samples[0])


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    with pytest.raises(BadImage, match=r"page\.jpg cannot be decoded"):
        Images(()).read(Sample(1, tmp_path / "page.jpg", "page.jpg"))


def test_an_image_is_turned_as_its_exif_says_and_as_imread_does(tmp_path: Path) -> None:
    path = picture(tmp_path / "turned.jpg", 3)
    data = path.read_bytes()
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
    # Inside the segment stand the bytes that end a JPEG, as a thumbnail's do.
    exif = b"Exif\0\0" + tiff + b"\xff\xd9"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    image = Images(()).read(Sample(1, path, path.name))
    assert image.shape == (64, 48, 3)
    np.testing.assert_array_equal(image, cv2.imread(str(path), cv2.IMREAD_COLOR))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadImage):
        Images(()).read(Sample(1, path, path.name))


def test_a_gray_image_becomes_three_equal_channels(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "gray.png"), np.arange(48, dtype=np.uint8).reshape(6, 8))
    image = Images(()).read(Sample(1, tmp_path / "gray.png", "gray.png"))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_a_subset_is_the_first_by_id_and_has_a_digest_of_its_own(tree: Context) -> None:
    images = VAL2017.open(tree)
    assert images.subset(None) is images
    assert images.subset(2).ids == [139, 785]
    assert images.subset(100).ids == images.ids
    assert images.subset(2).digest(tree) == VAL2017.open(tree).subset(2).digest(tree) != images.digest(tree)


def test_the_digest_follows_images_and_annotations(tree: Context) -> None:
    images = VAL2017.open(tree)
    first = images.digest(tree)
    change(tree, lambda content: content["annotations"][0].update(area=1.0))
    second = images.digest(tree)
    picture(images.samples[2].path, 5)
    assert len({first, second, images.digest(tree)}) == 3


def test_at_one_moment_a_dataset_is_looked_at_once_and_by_other_threads_anew(tree: Context) -> None:
    file = tree.path(VAL2017.images) / sorted(path.name for path in tree.path(VAL2017.images).iterdir())[0]
    before = VAL2017.digest(tree)
    with at_one_moment():
        assert VAL2017.digest(tree) == before
        file.write_bytes(b"other")
        assert VAL2017.digest(tree) == before
        with ThreadPoolExecutor(1) as pool:
            after = pool.submit(VAL2017.digest, tree).result()
        assert after != before
        elsewhere = replace(tree, environment={})
        assert VAL2017.digest(elsewhere) == "absent"
    assert VAL2017.digest(tree) == after


def test_an_image_is_digested_once_and_remembered(tree: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    images = VAL2017.open(tree)
    digests = images.digests(tree)
    assert digests["000000000139.jpg"] == hashlib.sha256(images.samples[0].path.read_bytes()).hexdigest()

    def refuse(*_: object) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr("zoo.files.digest_file", refuse)
    assert images.digests(tree) == digests


def test_a_folder_is_read_by_name_and_pattern(context: Context) -> None:
    for name in ("b.jpg", "a.png", "sub/c.jpg", "notes.txt"):
        picture(context.root / "calibration" / name.replace("txt", "jpg"), 1)
    (context.root / "calibration/notes.jpg").rename(context.root / "calibration/notes.txt")
    images = Folder(images="calibration").open(context)
    assert [(sample.id, sample.name) for sample in images.samples] == [(1, "a.png"), (2, "b.jpg")]
    assert images.annotations is None
    assert [sample.name for sample in Folder(images="calibration", pattern="**/*.jpg").open(context).samples] == ["b.jpg", "sub/c.jpg"]
    assert "no images *.webp" in Folder(images="calibration", pattern="*.webp").absent(context)
    assert "no folder" in Folder(images="nowhere").absent(context)


def test_images_of_two_datasets_are_told_by_their_bytes_whatever_they_are_called(tree: Context) -> None:
    evaluation = VAL2017.open(tree)
    picture(tree.root / "calibration/other.jpg", 77)
    (tree.root / "calibration/renamed.jpg").write_bytes(evaluation.samples[1].path.read_bytes())
    calibration = Folder(images="calibration")
    assert overlap(calibration, VAL2017, tree) == ["renamed.jpg"]
    assert overlap(VAL2017, calibration, tree) == ["000000000785.jpg"]
    assert overlap(Folder(images="calibration", pattern="o*"), VAL2017, tree) == []


def test_two_missing_images_are_not_the_same_image(tree: Context) -> None:
    for sample in VAL2017.open(tree).samples:
        sample.path.unlink()
    assert VAL2017.digests(tree) == {}
    assert overlap(VAL2017, VAL2017, tree) == []


def photos(annotations: str | None = None, names: tuple[str, ...] = ("second.png", "first.png")) -> Photos:
    sources = [{"type": "file", "files": [{"name": name, "path": name}]} for name in names]
    return msgspec.convert({"type": "photos", "annotations": annotations, "sources": sources}, Photos)


def test_photos_take_every_source_in_its_order(context: Context) -> None:
    for seed, name in enumerate(("first.png", "second.png")):
        picture(context.root / "fetched" / name, seed)
    dataset = photos()
    assert isinstance(dataset.sources[0], LocalFile)
    assert dataset.absent(context) == ""
    images = dataset.open(context, context.root / "fetched")
    assert [(sample.id, sample.name) for sample in images.samples] == [(1, "second.png"), (2, "first.png")]
    with pytest.raises(StepFailed, match="not been fetched"):
        dataset.open(context)


def test_photos_overlap_by_their_declared_digests(tree: Context) -> None:
    """Before anything is fetched."""
    path = VAL2017.open(tree).samples[0].path
    file = {"name": "one.jpg", "path": "one.jpg", "hash": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
    dataset = msgspec.convert({"type": "photos", "sources": [{"type": "file", "files": [file]}]}, Photos)
    assert overlap(dataset, VAL2017, tree) == ["one.jpg"]


def test_photos_say_what_is_missing_beside_the_images(context: Context) -> None:
    assert "no file" in photos("annotations.json").absent(context)
    assert "same name: one.png" in photos(names=("one.png", "one.png")).absent(context)


def annotated_photos() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "recipes/photos/annotations.json").read_text())
    return content


def test_the_photos_annotations_hold_together() -> None:
    content = annotated_photos()
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    assert [image["file_name"] for image in content["images"]] == ["astronaut.png", "bus.jpg", "zidane.jpg"]
    assert [one["image_id"] for one in content["annotations"]] == [1, 2, 2, 2, 2, 3, 3]
    assert [one["id"] for one in content["annotations"]] == list(range(1, 8))
    for one in content["annotations"]:
        points = np.array(one["keypoints"]).reshape(17, 3)
        outline = [np.array(part, np.float32).reshape(-1, 2) for part in one["segmentation"]]
        assert set(points[:, 2]) <= {0, 1, 2}
        assert not points[points[:, 2] == 0].any()
        assert one["num_keypoints"] == np.count_nonzero(points[:, 2])
        assert one["area"] == pytest.approx(sum(float(cv2.contourArea(part)) for part in outline), rel=1e-4)
        hull = np.concatenate(outline)
        assert one["bbox"] == pytest.approx([*hull.min(axis=0), *(hull.max(axis=0) - hull.min(axis=0))])
        assert (hull >= 0).all() and (hull <= sizes[one["image_id"]]).all()
        for x, y, visible in points:
            inside = max(float(cv2.pointPolygonTest(part, (float(x), float(y)), True)) for part in outline)
            assert not visible or inside >= 0, f"person {one['id']}: a keypoint at {x}, {y} outside the outline"


def test_the_photos_annotations_found_again_score_one() -> None:
    content = annotated_photos()
    found = [{key: one[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0} for one in content["annotations"]]
    figures = CocoOks().evaluate(ROOT / "recipes/photos/annotations.json", [1, 2, 3], found)
    assert figures["AP"] == pytest.approx(1.0) and figures["AR"] == pytest.approx(1.0)
    assert "APM" not in figures


@pytest.mark.assets
def test_images_decode_to_the_arrays_that_the_originals_saw(assets: Path) -> None:
    for golden in json.loads((assets / "goldens/pre_post/preprocess_inputs.images.json").read_text()):
        name = golden["file_name"]
        image = Images(()).read(Sample(golden["image_id"], assets / "coco_mini/images" / name, name))
        assert image.shape == (golden["height"], golden["width"], 3)
        assert hashlib.sha256(image.tobytes()).hexdigest() == golden["decoded_bgr_sha256"]


@pytest.mark.assets
def test_coco_mini_and_calibration_open_and_share_nothing(assets: Path, context: Context) -> None:
    context = replace(context, environment={"ZOO_ASSETS": str(assets)})
    mini = Coco(images="$ZOO_ASSETS/coco_mini/images", annotations="$ZOO_ASSETS/coco_mini/annotations/person_keypoints_val_mini.json")
    folder = Folder(images="$ZOO_ASSETS/calibration")
    assert (len(mini.open(context)), len(folder.open(context))) == (97, 67)
    assert overlap(folder, mini, context) == []
    assert len(overlap(mini, mini, context)) == 97


def test_images_that_are_omitted_are_not_there(tree: Context) -> None:
    fewer = msgspec.structs.replace(VAL2017, omit=(139,))
    assert fewer.open(tree).ids == [785, 397133]
    assert fewer.digest(tree) != VAL2017.digest(tree)
    assert set(fewer.digests(tree)) == {"000000000785.jpg", "000000397133.jpg"}
    (tree.path("$ZOO_COCO/val2017") / "000000000139.jpg").write_bytes(b"another")
    assert fewer.digest(tree) == msgspec.structs.replace(VAL2017, omit=(139,)).digest(tree) != VAL2017.digest(tree)


def test_omitting_an_image_that_is_not_listed_or_all_of_them_is_an_error(tree: Context) -> None:
    with pytest.raises(BadAnnotations, match=r"not all listed: 5, 140$"):
        msgspec.structs.replace(VAL2017, omit=(139, 140, 5)).open(tree)
    with pytest.raises(BadAnnotations, match="all images are omitted"):
        msgspec.structs.replace(VAL2017, omit=(139, 785, 397133)).open(tree)
