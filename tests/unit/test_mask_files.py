"""Masks in files: where training finds them, and `zoo masks`, which writes them."""

import errno
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from workspaces import STOPPING, Said, Small, Zoo, picture

import zoo as package
from zoo.datasets import BadAnnotations
from zoo.datasets.coco import annotated
from zoo.training import mask_writing
from zoo.training.mask_files import JOURNAL, Masks
from zoo.training.masks import Ignore

HEIGHT, WIDTH = 96, 128
POOR = Ignore(rule="crowds_and_poor")


def annotation(id: int, image: int, *, crowd: bool = False, keypoints: int = 17, **more: Any) -> dict[str, Any]:
    x, y, side = 5 * (id % 7), 3 * (id % 11), 30 + id % 9
    shape = [[x, y, x + side, y, x + side, y + side, x, y + side]]
    told = {"num_keypoints": keypoints, "keypoints": [1, 1, 2] * 17, "bbox": [x, y, side, side], "area": 2000.0, "segmentation": shape}
    return {"id": id, "image_id": image, "category_id": 1, "iscrowd": int(crowd), **told, **more}


def tree(root: Path, count: int = 6, split: str = "val", *, pictures: bool = True, **image: Any) -> Path:
    """COCO's layout: of each three images the first has a crowd behind a person, the second somebody poor, the third nothing to ignore."""
    listed, annotations = [], []
    for number in range(1, count + 1):
        name = f"{number:012d}.jpg"
        listed.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, **image})
        annotations.append(annotation(10 * number, number))
        if number % 3 == 1:
            annotations.append(annotation(10 * number + 1, number, crowd=True))
        elif number % 3 == 2:
            annotations.append(annotation(10 * number + 1, number, keypoints=2))
        if pictures:
            picture(root / f"{split}2017" / name, number)
        else:
            (root / f"{split}2017").mkdir(parents=True, exist_ok=True)
            (root / f"{split}2017" / name).touch()
    file = root / f"annotations/person_keypoints_{split}2017.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": []}))
    return file


def rewrite(file: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def expected(file: Path, image: int, ignore: Ignore = POOR) -> NDArray[np.bool_]:
    people = [one for one in json.loads(file.read_text())["annotations"] if one["image_id"] == image]
    return ignore.ignored(people, HEIGHT, WIDTH)


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != JOURNAL}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in the current folder whose $ZOO_COCO is coco/, without images."""
    Small.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    monkeypatch.delenv("ZOO_COCO", raising=False)
    return tmp_path


def written(zoo: Zoo, *words: str) -> list[dict[str, Any]]:
    said = zoo("masks", "--json", *words)
    assert said.code == 0, said.err
    return list(json.loads(said.out))


# what is written


def test_masks_of_the_coco_tree_are_beside_its_images_and_only_where_something_is_ignored(place: Path, zoo: Zoo) -> None:
    files = {split: tree(place / "coco", 6, split) for split in ("train", "val")}
    said = zoo("masks")
    assert said.code == 0 and said.err.count("passed over") == 0
    assert "val: something is not scored in 4 of 6 images, 4 masks written: coco/ignore_mask_val" in said.out
    for split, file in files.items():
        folder = place / f"coco/ignore_mask_{split}"
        assert list(masks_in(folder)) == [f"{number:012d}.png" for number in (1, 2, 4, 5)]
        for path in folder.glob("*.png"):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(image, expected(file, int(path.stem)) * np.uint8(255))


@pytest.mark.assets
def test_the_masks_of_a_dataset_of_zoo_yaml_are_the_goldens(assets: Path, tmp_path: Path, zoo: Zoo) -> None:
    root = Path(package.__file__).parents[1]
    (row,) = written(zoo, "--workspace", str(root), "--dataset", "coco_mini", "--save", str(tmp_path), "--jobs", "2")
    assert row["images"] == 97 and row["masks"] == row["new"] == len(list((tmp_path / "ignore_mask_images").glob("*.png")))
    stored = np.load(assets / "goldens/pre_post/mindspore_ignore_masks.npz")
    for image in (57597, 217285, 183709):
        mask = cv2.imread(str(tmp_path / f"ignore_mask_images/{image:012d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, stored[f"{image}.mask_miss"] * np.uint8(255))


def test_several_processes_write_what_one_does(place: Path, zoo: Zoo) -> None:
    tree(place / "coco", 100, pictures=False)
    for jobs in ("1", "2"):
        (row,) = written(zoo, "--jobs", jobs, "-o", f"out{jobs}")
        assert (row["images"], row["masks"], row["new"], row["known"]) == (100, 67, 67, 0)
    assert masks_in(place / "out1/ignore_mask_val") == masks_in(place / "out2/ignore_mask_val")


def test_what_is_done_is_not_done_again_but_a_mask_that_has_gone_is(place: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(place / "coco")
    written(zoo)
    (place / "coco/ignore_mask_val/000000000004.png").unlink()
    drawn: list[int] = []
    draw = mask_writing.draw
    monkeypatch.setattr(mask_writing, "draw", lambda tasks, folder: drawn.extend(task.id for task in tasks) or draw(tasks, folder))
    (row,) = written(zoo, "--jobs", "1")
    assert (drawn, row["known"], row["new"], row["masks"]) == ([4], 5, 1, 4)
    (row,) = written(zoo, "--jobs", "1")
    assert (drawn, row["known"], row["new"], row["masks"]) == ([4], 6, 0, 4)


def test_masks_of_another_rule_or_of_others_are_not_mixed_and_again_replaces_them(place: Path, zoo: Zoo) -> None:
    file, folder = tree(place / "coco"), place / "coco/ignore_mask_val"
    written(zoo)
    said = zoo("masks", "--rule", "crowds")
    assert said.code == 2 and "holds 4 masks of another rule" in said.err and "--again replaces them" in said.err
    written(zoo, "--rule", "crowds", "--again")
    assert list(masks_in(folder)) == ["000000000001.png", "000000000004.png"]
    np.testing.assert_array_equal(cv2.imread(str(folder / "000000000001.png"), 0) > 0, expected(file, 1, Ignore(rule="crowds")))
    (folder / JOURNAL).unlink()
    said = zoo("masks")
    assert said.code == 2 and "holds 2 masks that zoo masks has not written" in said.err
    assert len(masks_in(folder)) == 2


# stopped


def interrupted(place: Path, most: int, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), "ZOO_WORKSPACE": str(place)}
    command = [sys.executable, "-c", STOPPING.format(most=most, signal=name), "masks", *words]
    return subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "jobs"), [("SIGKILL", "2"), ("SIGTERM", "2"), ("SIGINT", "1")])
def test_a_run_that_was_stopped_is_gone_on_with(place: Path, zoo: Zoo, name: str, jobs: str) -> None:
    tree(place / "coco", 120, pictures=False)
    folder = place / "coco/ignore_mask_val"
    said = interrupted(place, 60, name, "--jobs", jobs)
    assert said.returncode == (-9 if name == "SIGKILL" else 130), said.stderr
    if name != "SIGKILL":
        assert "the same command goes on" in said.stderr and "Traceback" not in said.stderr
    wait_for_the_end_of_all(place)
    for path in folder.glob("*.png"):
        assert cv2.imread(str(path), 0).shape == (HEIGHT, WIDTH)
    (row,) = written(zoo, "--jobs", "1")
    assert 59 <= row["known"] < 120 and row["known"] + row["new"] == 120 and row["masks"] == 80
    assert list(masks_in(folder)) == [f"{number:012d}.png" for number in range(1, 121) if number % 3]


def wait_for_the_end_of_all(place: Path) -> None:
    """No process that draws outlives the run that it draws for."""

    def left() -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cwd").resolve() == place and "spawn_main" in (path / "cmdline").read_text():
                    found.append(path.name)
            except OSError:
                continue
        return found

    until = time.monotonic() + 10
    while left() and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == []


def test_two_runs_at_a_time_do_not_write_to_one_folder(place: Path, zoo: Zoo) -> None:
    tree(place / "coco")
    written(zoo)
    with mask_writing._alone(place / "coco/ignore_mask_val"):
        refused(zoo("masks"), 2, "another zoo masks is writing to")


def test_a_full_disk_is_told_and_what_was_written_stays(place: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(place / "coco", 60, pictures=False)
    write, count = mask_writing.write_bytes, 0

    def full(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count > 30:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(mask_writing, "write_bytes", full)
    said = zoo("masks", "--jobs", "1")
    assert said.code == 4 and "No space left on device" in said.err and "the same command goes on" in said.err
    assert len(masks_in(place / "coco/ignore_mask_val")) == 30
    monkeypatch.undo()
    monkeypatch.chdir(place)
    (row,) = written(zoo, "--jobs", "1")
    assert row["masks"] == 40 and row["known"] > 0


# what is wrong


def refused(said: Said, code: int, *told: str) -> None:
    assert said.code == code, said
    for text in told:
        assert text in said.err


def test_all_that_is_missing_of_cocos_layout_is_named_at_once(place: Path, zoo: Zoo) -> None:
    refused(zoo("masks"), 2, "there is no folder", "coco")
    (place / "coco").mkdir()
    wanted = ("train2017", "val2017", "person_keypoints_train2017.json", "person_keypoints_val2017.json", "annotations_trainval2017.zip")
    refused(zoo("masks"), 2, "not laid out as COCO", *wanted)
    for split in ("train", "val"):
        tree(place / "coco", 2, split).unlink()
    refused(zoo("masks"), 2, *wanted[2:])
    assert not list(place.glob("coco/ignore*"))


def test_the_folder_inside_the_tree_is_not_the_tree(place: Path, zoo: Zoo) -> None:
    tree(place / "coco")
    refused(zoo("masks", "coco/val2017"), 2, "did you mean coco?")


def test_a_tree_with_one_split_works_and_says_that_the_other_is_passed_over(place: Path, zoo: Zoo) -> None:
    tree(place / "elsewhere")
    said = zoo("masks", "elsewhere")
    assert said.code == 0 and "train is passed over: there is no elsewhere/train2017" in said.err
    assert len(masks_in(place / "elsewhere/ignore_mask_val")) == 4


def test_without_a_folder_or_zoo_coco_it_asks_for_one(place: Path, zoo: Zoo) -> None:
    (place / "zoo.yaml").write_text((place / "zoo.yaml").read_text().replace("environment: {ZOO_COCO: coco}\n", ""))
    refused(zoo("masks"), 2, "which COCO tree?", "export ZOO_COCO=FOLDER")
    refused(zoo("masks", "coco", "--dataset", "coco_val2017"), 2, "name one of them")
    refused(zoo("masks", "--dataset", "other"), 2, "the dataset other has no annotations", "coco_val2017, coco_train2017")
    refused(zoo("masks", "--dataset", "nobody"), 2, "there is no dataset nobody")


def test_a_folder_that_cannot_be_written_is_told_before_anything_starts(place: Path, zoo: Zoo) -> None:
    tree(place / "coco")
    (place / "file").touch()
    refused(zoo("masks", "-o", "file/below"), 2, "nothing can be written to file/below/ignore_mask_val", "--save")


def test_images_without_a_size_are_all_named(place: Path, zoo: Zoo) -> None:
    file = tree(place / "coco")

    def spoil(content: Any) -> None:
        del content["images"][1]["width"]
        content["images"][3]["height"] = 0
        content["images"][4]["height"] = 10**9

    rewrite(file, spoil)
    told = ("2 (000000000002.jpg: Nonex96)", "4 (000000000004.jpg: 128x0)", "5 (000000000005.jpg", str(file.name))
    refused(zoo("masks"), 4, *told)


def test_names_of_images_that_lead_elsewhere_are_named_and_images_that_are_missing_told(place: Path, zoo: Zoo) -> None:
    file = tree(place / "coco")
    (place / "coco/val2017/000000000003.jpg").unlink()
    said = zoo("masks")
    assert said.code == 0 and "1 of 6 images are not in" in said.err and "'000000000003.jpg'" in said.err
    rewrite(file, lambda content: content["images"][2].update(file_name="../a.jpg"))
    refused(zoo("masks", "--again"), 4, "no names of images: '../a.jpg'")
    rewrite(file, lambda content: [image.update(file_name=f"{image['id']}.jpg") for image in content["images"]])
    refused(zoo("masks", "--again"), 4, "holds none of the 6 images")


def test_an_image_with_a_malformed_annotation_is_named_passed_over_and_tried_again(place: Path, zoo: Zoo) -> None:
    file = tree(place / "coco")
    rewrite(file, lambda content: content["annotations"][1].update(segmentation={"size": [1, 1], "counts": [1]}))
    for _ in range(2):
        said = zoo("masks")
        assert said.code == 1 and "passed over: image 1: annotation 11: its segmentation is of an image of 1x1" in said.err
        assert file.name in said.err and "in 3 of 6 images" in said.out


# where training finds them


def test_training_reads_a_written_mask_of_the_images_size_and_draws_the_others(tmp_path: Path) -> None:
    file = tree(tmp_path)
    images = annotated(tmp_path / "val2017", file)
    folder = tmp_path / "ignore_mask_val"
    folder.mkdir()
    painted = np.zeros((HEIGHT, WIDTH), np.uint8)
    painted[:5] = 255
    assert cv2.imwrite(str(folder / "000000000001.png"), painted)
    assert cv2.imwrite(str(folder / "000000000002.png"), painted[:50])
    (folder / "000000000004.png").write_bytes(b"\x89PNG cut off")
    masks = Masks(POOR, images)
    by_id = {sample.id: masks.mask_of(sample, HEIGHT, WIDTH) for sample in images.samples}
    np.testing.assert_array_equal(by_id[1], painted > 0)
    for image in (2, 3, 4, 5, 6):
        np.testing.assert_array_equal(by_id[image], expected(file, image))
    assert not by_id[3].any() and by_id[2].any()


def test_masks_go_to_the_processes_that_read_examples_without_the_file_that_they_were_read_from(tmp_path: Path) -> None:
    file = tree(tmp_path, 60, pictures=False)
    rewrite(file, lambda content: content.update(info="x" * 10**6))
    images = annotated(tmp_path / "val2017", file)
    sent = pickle.dumps(Masks(POOR, images))
    assert len(sent) < 100_000
    np.testing.assert_array_equal(pickle.loads(sent).mask_of(images.samples[0], HEIGHT, WIDTH), expected(file, 1))


def test_masks_of_another_rule_or_of_other_annotations_are_not_read(place: Path, zoo: Zoo) -> None:
    file = tree(place / "coco")
    written(zoo)
    images = annotated(place / "coco/val2017", file)
    painted = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert cv2.imwrite(str(place / "coco/ignore_mask_val/000000000001.png"), painted)
    first = images.samples[0]
    assert Masks(POOR, images).mask_of(first, HEIGHT, WIDTH).all()
    crowds = Ignore(rule="crowds")
    np.testing.assert_array_equal(Masks(crowds, images).mask_of(first, HEIGHT, WIDTH), expected(file, 1, crowds))
    file.write_text(file.read_text() + "\n")
    np.testing.assert_array_equal(Masks(POOR, images).mask_of(first, HEIGHT, WIDTH), expected(file, 1))


def test_a_malformed_annotation_is_told_with_its_file_before_the_first_example(tmp_path: Path) -> None:
    file = tree(tmp_path)
    rewrite(file, lambda content: content["annotations"][1].update(segmentation=[[1, 2, 3]]))
    with pytest.raises(BadAnnotations, match=r"person_keypoints_val2017.json: annotation 11: its segmentation has no polygon"):
        Masks(POOR, annotated(tmp_path / "val2017", file))


def test_an_image_of_another_size_than_its_annotations_is_told(tmp_path: Path) -> None:
    file = tree(tmp_path)
    counts = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH - 50, 50]}
    rewrite(file, lambda content: content["annotations"][1].update(segmentation=counts))
    images = annotated(tmp_path / "val2017", file)
    with pytest.raises(BadAnnotations, match=r"val2017.json: annotation 11: its segmentation is of an image of 128x96, and not of 64x48"):
        Masks(POOR, images).mask_of(images.samples[0], 48, 64)
