"""`zoo predict`: which images are meant, which files are written, and that one bad image spoils nothing."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
import tiny_top_down
from workspaces import Small, Zoo, picture

from zoo.cli.predict import command as predict
from zoo.cli.predictions import Writer, gathered, names
from zoo.context import Context, Progress
from zoo.datasets.images import Sample
from zoo.errors import Cancelled, StepFailed, UsageError, ZooError
from zoo.formats import FORMATS, native, openpose, txt
from zoo.pipelines.estimator import Estimator, Image, PoseModel, Stopwatch
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Skeleton
from zoo.stream import layouts

ROOT = Path(__file__).parents[2]
LAYOUTS = layouts(2)


@dataclass
class Fake(PoseModel):
    """Finds, in an image of width W, W // 20 people, each a line of keypoints; fails on images of height 13."""

    name: str = "openpose_18_hands"
    calls: list[int] = field(default_factory=list)

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[self.name]

    @property
    def computed_in(self) -> str:
        return "fp32"

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        self.calls.append(len(images))
        if any(len(image) == 13 for image in images):
            raise StepFailed("an image of height 13 brings bad luck")
        return [self._one(image.shape[1]) for image in images]

    def _one(self, width: int) -> Poses:
        count, joints = width // 20, len(self.skeleton.keypoints)
        points = np.stack(np.broadcast_arrays(np.arange(joints) + width / 7, 10.0 * np.arange(count)[:, None] + 3), axis=-1)
        points[:, 1] = np.nan
        scores = np.where(np.isnan(points[..., 0]), 0.0, 0.5)
        return Poses.of(points, scores, np.arange(count) + 1.0)

    def close(self) -> None:
        return


class Detector(Fake):
    """Finds one box in every image."""

    def _one(self, width: int) -> Poses:
        return Poses.of_boxes(np.array([[3.0, 4.0, 20.0, 25.0]]), np.array([0.5]))


def image(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> Path:
    picture(path, seed, max(height, 8), max(width, 8))
    if (height, width) != (max(height, 8), max(width, 8)):
        cv2.imwrite(str(path), cv2.imread(str(path))[:height, :width])
    return path


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def called(samples: Sequence[Sample]) -> list[str]:
    return [sample.name for sample in samples]


def written(writer: Writer, model: PoseModel, paths: Sequence[Path], context: Context, batch: int = 4) -> dict[str, bytes]:
    """What `writer` writes of the images that `paths` name."""
    writer.ready()
    writer.write_all(lambda _: model, LAYOUTS, gathered(paths, writer.folder / "drawn"), batch, context)
    return contents(writer.folder)


# which images are meant


def test_files_are_taken_as_they_are_and_folders_by_their_endings_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "sub/deep/c.webp", "sub/d.tiff", "notes.txt", "e.jpg/f.bmp", "named"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"")
    (tmp_path / "in/empty").mkdir()
    found = gathered([tmp_path / "in/named", tmp_path / "in"], tmp_path / "out" / "drawn")
    assert called(found) == ["named", "a.PNG", "b.jpg", "e.jpg/f.bmp", "sub/d.tiff", "sub/deep/c.webp"]
    assert [sample.path for sample in found][1] == tmp_path / "in/a.PNG"
    assert [sample.id for sample in found] == list(range(6))


@pytest.mark.parametrize("twice", [["in", "in"], ["in/a.jpg", "in"], ["in", "./in/../in/a.jpg"], ["in/", "in/sub/.."]])
def test_what_is_named_twice_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    image(Path("in/a.jpg"))
    Path("in/sub").mkdir()
    assert called(gathered([Path(path) for path in [*twice, str(tmp_path / "in")]], Path("out") / "drawn")) == ["a.jpg"]


def test_two_images_of_one_name_are_refused_and_both_are_named(tmp_path: Path) -> None:
    one, other = image(tmp_path / "one/a.jpg"), image(tmp_path / "other/a.jpg")
    with pytest.raises(UsageError) as error:
        gathered([tmp_path / "one", other], tmp_path / "out" / "drawn")
    assert error.value.message == f"two images are called a.jpg: {one}, {other}" and "the folder that holds both" in error.value.hint
    assert called(gathered([tmp_path], tmp_path / "out" / "drawn")) == ["one/a.jpg", "other/a.jpg"]


@pytest.mark.parametrize("inside", [[], ["notes.txt"], ["sub/deeper/"], ["image.jpg.txt"]])
def test_a_folder_without_images_is_refused_with_what_images_end_in(tmp_path: Path, inside: list[str]) -> None:
    for name in inside:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            (tmp_path / "in" / name).write_bytes(b"")
    (tmp_path / "in").mkdir(exist_ok=True)
    with pytest.raises(UsageError, match=r"there are no images in \S*in\n") as error:
        gathered([tmp_path / "in"], tmp_path / "out" / "drawn")
    assert ".jpg" in error.value.hint


@pytest.mark.parametrize("output", ["in/out", "in", "elsewhere/../in"])
def test_pictures_drawn_before_are_no_images_wherever_the_output_lies(tmp_path: Path, output: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    image(tmp_path / "in/a.jpg")
    image(tmp_path / output / "drawn/sub/a.jpg")
    assert called(gathered([tmp_path / "in"], tmp_path / output / "drawn")) == ["a.jpg"]
    for path in ("drawn", "drawn/sub/a.jpg"):
        with pytest.raises(UsageError, match="where pictures are drawn"):
            gathered([tmp_path / "in/a.jpg", tmp_path / output / path], tmp_path / output / "drawn")


def test_links_to_files_are_followed_and_circles_of_folders_are_not(tmp_path: Path) -> None:
    image(tmp_path / "in/a.jpg")
    (tmp_path / "in/link.jpg").symlink_to("a.jpg")
    (tmp_path / "in/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "in/self.jpg").symlink_to("self.jpg")
    (tmp_path / "in/circle").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in/pipe.jpg")  # reading it would wait for ever
    assert called(gathered([tmp_path / "in"], tmp_path / "out" / "drawn")) == ["a.jpg", "gone.jpg", "link.jpg", "self.jpg"]
    (tmp_path / "door").symlink_to(tmp_path / "in")
    assert called(gathered([tmp_path / "door"], tmp_path / "out" / "drawn"))[0] == "a.jpg", "a link that is named is followed"


@pytest.mark.parametrize(
    ("images", "files"),
    [
        (["a.jpg", "b.jpg"], ["a", "b"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png"]),
        (["a", "a.jpg"], ["a", "a.jpg"]),
        (["x/a.jpg", "y/a.jpg", "a.b.jpg"], ["x/a", "y/a", "a.b"]),
        ([".jpg", "a..jpg", " .png"], [".jpg", "a.", " "]),
    ],
)
def test_every_image_has_files_of_its_own(images: list[str], files: list[str]) -> None:
    found = names([Sample(i, Path(name), name) for i, name in enumerate(images)])
    assert [found[name] for name in images] == files and len(set(files)) == len(files)


# which files are written


def test_every_format_is_written_and_says_the_same(tmp_path: Path, context: Context) -> None:
    image(tmp_path / "in/a.jpg", 40)
    image(tmp_path / "in/sub/b.png", 60)
    image(tmp_path / "in/nobody.png", 10)
    writer = Writer(tmp_path / "out", ["txt", "json", "coco", "openpose"], draw=True)
    found = written(writer, Fake(), [tmp_path / "in"], context)
    assert sorted(found) == [
        "drawn/a.jpg", "drawn/nobody.jpg", "drawn/sub/b.jpg",
        "json/a.json", "json/nobody.json", "json/sub/b.json",
        "openpose/a_keypoints.json", "openpose/nobody_keypoints.json", "openpose/sub/b_keypoints.json",
        "predictions.json", "predictions.txt",
    ]  # fmt: skip
    assert (writer.people, writer.bad) == (5, [])
    lines = txt.parse(found["predictions.txt"].decode(), "openpose_18_hands")
    assert list(lines) == ["a.jpg", "sub/b.png"]
    for name, width in (("a.jpg", 40), ("sub/b.png", 60)):
        wanted, stem = Fake()._one(width), name.rpartition(".")[0]
        read = native.parse(found[f"json/{stem}.json"].decode())
        assert (read.image, read.size, read.skeleton) == (name, (width, 30), "openpose_18_hands")
        np.testing.assert_array_equal(read.poses.keypoints, wanted.keypoints)
        np.testing.assert_allclose(lines[name].keypoints, wanted.keypoints, atol=5e-4)
        theirs = openpose.parse(found[f"openpose/{stem}_keypoints.json"].decode(), name, (width, 30))
        np.testing.assert_allclose(theirs.poses.keypoints, wanted.keypoints, atol=5e-4)
        drawn = cv2.imdecode(np.frombuffer(found[f"drawn/{stem}.jpg"], np.uint8), cv2.IMREAD_COLOR)
        assert drawn.shape == (30, width, 3)
        assert np.abs(drawn.astype(int) - cv2.imread(str(tmp_path / "in" / name))).max() > 50, "nothing is drawn"
    results = json.loads(found["predictions.json"])
    assert [one["image_id"] for one in results] == ["a.jpg"] * 2 + ["sub/b.png"] * 3
    assert native.parse(found["json/nobody.json"].decode()).poses.keypoints.shape == (0, 60, 2)


def test_a_detectors_people_are_written_and_drawn(tmp_path: Path, context: Context) -> None:
    samples = gathered([image(tmp_path / "a.png")], tmp_path / "out" / "drawn")
    writer = Writer(tmp_path / "out", ["txt", "json", "coco"], draw=True)
    writer.write_all(lambda _: Detector("person"), LAYOUTS, samples, 1, context)
    found = contents(writer.folder)
    assert found["predictions.txt"].decode().splitlines() == ["a.png 0 box 0 3.000 4.000 0.500000", "a.png 0 box 1 20.000 25.000 0.500000"]
    assert json.loads(found["predictions.json"])[0]["bbox"] == [3, 4, 17, 21]
    assert native.parse(found["json/a.json"].decode()).poses.boxes.tolist() == [[3, 4, 20, 25]]
    picture = cv2.imdecode(np.frombuffer(found["drawn/a.jpg"], np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert np.abs(picture[15, 3] - cv2.imread(str(tmp_path / "a.png"))[15, 3]).max() > 30
    with pytest.raises(ZooError, match="person has none of COCO's keypoints"):
        Writer(tmp_path / "out", ["openpose"]).write_all(lambda _: Detector("person"), LAYOUTS, samples, 1, context)


def test_no_image_can_be_called_as_another_file_is(tmp_path: Path, context: Context) -> None:
    for name in ("predictions.jpg", "a.jpg", "a_keypoints.jpg", "json/a.jpg", "drawn/a.png", "coco.jpg"):
        image(tmp_path / "in" / name)
    found = written(Writer(tmp_path / "out", ["txt", "json", "coco", "openpose"], draw=True), Fake(), [tmp_path / "in"], context)
    assert len(found) == 3 * 6 + 2
    assert isinstance(json.loads(found["predictions.json"]), list) and isinstance(json.loads(found["json/predictions.json"]), dict)
    for name in ("a.jpg", "a_keypoints.jpg", "json/a.jpg"):
        assert native.parse(found[f"json/{name.removesuffix('.jpg')}.json"].decode()).image == name


@pytest.mark.parametrize(
    "name", ["ünï cödé/фото 写真.jpg", "a b%20.jpg", "-x.jpg", "[1].jpg", "new\nline.jpg", os.fsdecode(b"latin\xe9.jpg")]
)
def test_a_name_may_hold_anything(tmp_path: Path, context: Context, name: str) -> None:
    image(tmp_path / "plain.jpg")
    target = tmp_path / "in" / name
    target.parent.mkdir(parents=True)
    (tmp_path / "plain.jpg").rename(target)
    found = written(Writer(tmp_path / "out", ["txt", "json", "coco", "openpose"], draw=True), Fake(), [tmp_path / "in"], context)
    assert len(found) == 5 and native.parse(found[f"json/{name.removesuffix('.jpg')}.json"].decode()).image == name
    assert list(txt.parse(found["predictions.txt"].decode(), "openpose_18_hands")) == [name]


ODD: dict[str, Callable[[Path], object]] = {
    "one pixel": lambda path: cv2.imwrite(str(path), np.zeros((1, 1, 3), np.uint8)),
    "a line": lambda path: cv2.imwrite(str(path), np.zeros((1, 300, 3), np.uint8)),
    "16 bits": lambda path: cv2.imwrite(str(path), np.full((30, 40, 3), 40_000, np.uint16)),
    "grey": lambda path: cv2.imwrite(str(path), np.zeros((30, 40), np.uint8)),
    "alpha": lambda path: cv2.imwrite(str(path), np.zeros((30, 40, 4), np.uint8)),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_image_is_an_image(tmp_path: Path, context: Context, what: str) -> None:
    assert ODD[what](tmp_path / "odd.png")
    writer = Writer(tmp_path / "out", ["json"], draw=True)
    found = written(writer, Fake(), [tmp_path / "odd.png"], context)
    height, width = cv2.imread(str(tmp_path / "odd.png")).shape[:2]
    assert writer.bad == [] and native.parse(found["json/odd.json"].decode()).size == (width, height)
    assert cv2.imdecode(np.frombuffer(found["drawn/odd.jpg"], np.uint8), cv2.IMREAD_COLOR).shape == (height, width, 3)


def test_a_turned_photograph_is_taken_upright(tmp_path: Path, context: Context) -> None:
    data = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    # EXIF: one entry, orientation 6: a quarter to the right
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    (tmp_path / "turned.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    found = written(Writer(tmp_path / "out", ["json"], draw=True), Fake(), [tmp_path / "turned.jpg"], context)
    assert native.parse(found["json/turned.json"].decode()).size == (30, 40)
    assert cv2.imdecode(np.frombuffer(found["drawn/turned.jpg"], np.uint8), cv2.IMREAD_COLOR).shape == (40, 30, 3)


def test_a_picture_larger_than_any_jpeg_is_said_and_not_an_empty_file(tmp_path: Path, context: Context) -> None:
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((65501, 1, 3), np.uint8))
    image(tmp_path / "a.jpg")
    writer = Writer(tmp_path / "out", ["json"], draw=True)
    found = written(writer, Fake("openpose_18"), [tmp_path / "long.png", tmp_path / "a.jpg"], context)
    assert sorted(found) == ["drawn/a.jpg", "json/a.json", "json/long.json"]
    assert [name for name, _ in writer.bad] == ["long.png"]


# batches, and images that are bad


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_batches_give_the_same_as_single_images(tmp_path: Path, context: Context, batch: int) -> None:
    for number in range(11):
        image(tmp_path / "in" / f"{number:02}.png", 20 + 5 * number)
    formats = ["txt", "json"]
    wanted = written(Writer(tmp_path / "single", formats), Fake(), [tmp_path / "in"], context, batch=1)
    model = Fake()
    assert written(Writer(tmp_path / "out", formats), model, [tmp_path / "in"], context, batch=batch) == wanted
    assert sum(model.calls) == 11 and max(model.calls) == {1: 1, 2: 8, 4: 11}[batch]


def test_large_images_are_run_as_soon_as_they_fill_what_may_be_held(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        image(tmp_path / "in" / f"{number}.png", 40, 40)
    wanted = written(Writer(tmp_path / "together", ["txt", "json"]), Fake(), [tmp_path / "in"], context)
    monkeypatch.setattr("zoo.cli.predictions.HELD", 3 * 40 * 40 * 3)
    model = Fake()
    assert written(Writer(tmp_path / "out", ["txt", "json"]), model, [tmp_path / "in"], context) == wanted
    assert model.calls == [3, 3, 2]


def test_progress_counts_what_is_done_and_not_what_is_only_read(tmp_path: Path, context: Context) -> None:
    for number in range(10):
        image(tmp_path / "in" / f"{number}.png")
    news: list[Progress] = []
    heard = dataclasses.replace(context, listener=news.append)
    written(Writer(tmp_path / "out", ["txt"]), Fake(), [tmp_path / "in"], heard, batch=2)
    # eight at once
    assert [one.done for one in news] == [0, 8, 10]
    assert {(one.total, one.unit) for one in news} == {(10, "images")}


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("no image"), "cannot be decoded"),
    "nothing": (lambda path: path.write_bytes(b""), "is empty"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "cannot be decoded"),
    "a link to nowhere": (lambda path: (path.unlink(), path.symlink_to("nowhere.jpg")), "No such file"),
    "what the model cannot take": (lambda path: image(path, 40, 13), "brings bad luck"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_bad_image_is_noted_with_its_reason_and_the_rest_is_written(tmp_path: Path, context: Context, what: str, batch: int) -> None:
    for number in range(4):
        image(tmp_path / "in" / f"{number}.jpg", 40 + 20 * number)
    harm, reason = BAD[what]
    harm(tmp_path / "in/1.jpg")
    writer = Writer(tmp_path / "out", ["txt", "json"], draw=True)
    found = written(writer, Fake(), [tmp_path / "in"], context, batch)
    assert [name for name, _ in writer.bad] == ["1.jpg"] and reason in writer.bad[0][1]
    assert sorted(found) == [f"{part}/{n}.{end}" for part, end in (("drawn", "jpg"), ("json", "json")) for n in (0, 2, 3)] + [
        "predictions.txt"
    ]
    assert list(txt.parse(found["predictions.txt"].decode(), "openpose_18_hands")) == ["0.jpg", "2.jpg", "3.jpg"]
    assert writer.people == 2 + 4 + 5


class Breaking(Fake):
    """Whose decoder fails on images 60 wide, as nobody foresaw."""

    def _one(self, width: int) -> Poses:
        if width == 60:
            raise IndexError("index 19 is out of bounds")
        return super()._one(width)


@pytest.mark.parametrize("batch", [1, 4])
def test_an_image_on_which_a_decoder_breaks_is_named_and_the_rest_is_written(tmp_path: Path, context: Context, batch: int) -> None:
    for number in range(4):
        image(tmp_path / "in" / f"{number}.jpg", 40 + 20 * number)
    writer = Writer(tmp_path / "out", ["json"])
    assert sorted(written(writer, Breaking(), [tmp_path / "in"], context, batch)) == ["json/0.json", "json/2.json", "json/3.json"]
    ((name, why),) = writer.bad
    assert name == "1.jpg" and why.startswith("a bug: IndexError: index 19 is out of bounds (test_predict.py:")
    assert writer.bugs == 1


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [(Breaking(), (60, 30), "1.jpg: a bug: IndexError"), (Fake(), (60, 13), "1.jpg: an image of height 13 brings bad luck")],
)
def test_asked_to_it_ends_at_the_first_bad_image_and_names_it(
    tmp_path: Path, context: Context, model: Fake, size: tuple[int, int], said: str
) -> None:
    for number in range(4):
        image(tmp_path / "in" / f"{number}.jpg", 40)
    image(tmp_path / "in/1.jpg", *size)
    writer = Writer(tmp_path / "out", ["txt", "json"], fail_fast=True)
    with pytest.raises(ZooError) as caught:
        written(writer, model, [tmp_path / "in"], context, 1)
    assert said in caught.value.message.splitlines()[-1]
    assert "json/0.json" in contents(writer.folder) and "predictions.txt" not in contents(writer.folder)


def test_a_run_that_is_stopped_leaves_whole_files_only(tmp_path: Path, context: Context) -> None:
    for number in range(30):
        image(tmp_path / "in" / f"{number}.png", 40)

    def stop(news: Progress) -> None:
        if news.done == 3:
            context.cancelled.set()

    writer = Writer(tmp_path / "out", ["txt", "json", "openpose"], draw=True)
    with pytest.raises(Cancelled):
        written(writer, Fake(), [tmp_path / "in"], dataclasses.replace(context, listener=stop), batch=1)
    found = contents(writer.folder)
    context.cancelled.clear()
    whole = written(Writer(tmp_path / "whole", ["txt", "json", "openpose"], draw=True), Fake(), [tmp_path / "in"], context)
    assert found.items() <= whole.items()
    assert 9 <= len(found) <= 3 * (3 + 4 + 1), "three files each of those that were done, and of those that were under way"


def test_a_stopped_model_is_no_bad_image(tmp_path: Path, context: Context) -> None:
    class Stopped(Fake):
        def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
            raise Cancelled("stopped")

    writer = Writer(tmp_path / "out", ["json"])
    with pytest.raises(Cancelled):
        written(writer, Stopped(), [image(tmp_path / "a.png")], context)
    assert writer.bad == []


@pytest.mark.parametrize("name", ["openpose", "coco"])
def test_a_format_that_cannot_say_the_poses_is_refused_before_anything_is_run(tmp_path: Path, context: Context, name: str) -> None:
    model = Fake("hand_21")
    with pytest.raises(ZooError, match="hand_21"):
        written(Writer(tmp_path / "out", ["txt", name]), model, [image(tmp_path / "a.png")], context)
    assert model.calls == [] and contents(tmp_path / "out") == {}


# the command


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    small = Small.make(tmp_path / "workspace")
    image(tmp_path / "workspace/in/a.jpg")
    monkeypatch.chdir(tmp_path / "workspace")
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return small


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tiny", "nowhere.jpg", "--save", "out"], "'nowhere.jpg' does not exist"),
        (["tiny", "--save", "out"], "Missing argument"),
        (["tiny", "in", "--threshold", "-1"], "-1.0 is not in the range"),
        (["tinny", "in", "--save", "out"], "did you mean tiny?"),
        (["tiny", "in", "--save", "out", "-t", "onnxruntime-fp23"], "did you mean onnxruntime-fp32?"),
        (["tiny", "in", "--save", "out", "--format", "yaml"], "'yaml' is not one of"),
        (["tiny", "in", "--save", "zoo.yaml"], "is a file"),
        (["tiny", "in", "--save", "zoo.yaml/out"], "nothing can be written to zoo.yaml/out: Not a directory"),
        (["tiny", "recipes", "--save", "out"], "there are no images in recipes"),
        (["tiny", "in", "--save", "out", "--batch", "0"], "0 is not in the range"),
    ],
)
def test_a_command_line_that_cannot_be_followed_ends_in_2_before_anything_is_built(
    small: Small, zoo: Zoo, words: list[str], said: str
) -> None:
    found = zoo("predict", *words)
    assert found.code == 2 and said in found.err, found.err
    assert not (small.root / ".zoo/objects").exists() and not (small.root / "out/predictions.txt").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no folder that nobody may write in")
@pytest.mark.parametrize("folder", ["/proc", "/proc/zoo/out"])
def test_a_folder_that_nobody_may_write_in_is_said_before_anything_is_built(small: Small, zoo: Zoo, folder: str) -> None:
    found = zoo("predict", "tiny", "in", "--save", folder)
    assert found.code == 2 and f"nothing can be written to {folder}: " in found.err
    assert not (small.root / ".zoo/objects").exists()


def test_a_target_that_is_only_built_is_refused_and_one_that_runs_is_the_default(
    small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # neither is built: the weights are nowhere
    small.recipe(("  onnxruntime-fp32:\n", "  tensorrt-rtx-fp32:\n  onnxruntime-fp32:\n"))
    monkeypatch.setattr("zoo.backends.TensorRtRtx.available", lambda self: "")
    refused = zoo("predict", "tiny", "in", "--save", "out", "-t", "tensorrt-rtx-fp32")
    assert refused.code == 2 and "can be built but not run" in refused.err and "targets that run: onnxruntime-fp32" in refused.err
    default = zoo("predict", "tiny", "in", "--save", "out")
    assert default.code == 4 and "failed  tiny/fetch" in default.err
    small.recipe(("  onnxruntime-fp32:\n", "  tensorrt-rtx-fp32:\n"))
    none = zoo("predict", "tiny", "in", "--save", "out")
    assert none.code == 2 and "no target of tiny can be run" in none.err


def test_predict_takes_a_file_of_weights_as_its_error_says(small: Small, zoo: Zoo) -> None:
    (small.root / "mine.pth").write_bytes(b"no checkpoint")
    without = zoo("predict", "tiny", "in", "--save", "out")
    assert without.code == 4 and "`--weights FILE`" in without.err and "failed  tiny/fetch" in without.err
    given = zoo("predict", "tiny", "in", "--save", "out", "--weights", "mine.pth")
    assert given.code == 4 and "mine.pth: is not a checkpoint" in given.err, "it was taken, and found to be what it is"


def test_a_full_disk_is_said_with_the_file_and_the_way_on(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zoo.cli.predictions.write_bytes", full)
    with pytest.raises(StepFailed, match=r"out/json/a.json cannot be written: No space left on device\n  make room there"):
        written(Writer(tmp_path / "out", ["json"]), Fake(), [image(tmp_path / "a.jpg")], context)


@pytest.mark.assets
def test_people_are_found_in_real_photographs_and_all_files_agree(assets: Path, tmp_path: Path, zoo: Zoo) -> None:
    declared = (ROOT / "zoo.yaml").read_text(encoding="utf-8").replace("../shared/assets", str(assets))
    (tmp_path / "zoo.yaml").write_text(declared, encoding="utf-8")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    photographs = [assets / "images" / name for name in ("COCO_val2014_000000000241.jpg", "demo.jpg", "ski.jpg")]
    (tmp_path / "bad.jpg").write_text("no image")
    words = ["predict", "human_pose_estimation_0001", *map(str, photographs), "--workspace", str(tmp_path), "--offline"]
    formats = [word for name in ("txt", "json", "openpose", "coco") for word in ("--format", name)]
    said = zoo(*words, str(tmp_path / "bad.jpg"), "--save", str(tmp_path / "out"), "--draw", *formats)
    assert said.code == 1 and "passed over: bad.jpg: " in said.err, "the exit code tells of the bad one"
    people = int(said.out.split()[0])
    assert people >= 5 and f"{people} people in 3 images by human_pose_estimation_0001 on onnxruntime-fp32: " in said.out
    found = contents(tmp_path / "out")
    lines = txt.parse(found["predictions.txt"].decode(), "openpose_18")
    assert list(lines) == [path.name for path in photographs] and sum(map(len, lines.values())) == people
    for path in photographs:
        read = native.parse(found[f"json/{path.stem}.json"].decode())
        assert read.size == cv2.imread(str(path)).shape[1::-1] and len(read.poses) > 0
        np.testing.assert_array_equal(read.poses.present, lines[path.name].present)
        np.testing.assert_allclose(lines[path.name].keypoints, read.poses.keypoints, atol=5.1e-4)
        np.testing.assert_allclose(lines[path.name].scores, read.poses.scores, atol=5.1e-7)
        theirs = openpose.parse(found[f"openpose/{path.stem}_keypoints.json"].decode(), path.name, read.size)
        np.testing.assert_allclose(theirs.poses.keypoints, read.poses.keypoints, atol=5.1e-4)
    assert len(json.loads(found["predictions.json"])) == people
    # one by one they are the same people
    assert zoo(*words, "--save", str(tmp_path / "single"), "--batch", "1").code == 0
    single = txt.parse((tmp_path / "single/predictions.txt").read_text(), "openpose_18")
    for name, poses in lines.items():
        np.testing.assert_allclose(single[name].keypoints, poses.keypoints, atol=0.02)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a detector, a network that looks at its boxes, and both as a pipeline; what was built once is known."""
    return tiny_top_down.make(tmp_path_factory.mktemp("predict") / "workspace").root


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.setenv("ZOO_WORKSPACE", str(built))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "txt", "json", "drawn"),
    [
        ([], True, False, True),
        (["--no-draw"], True, False, False),
        (["--draw"], True, False, True),
        (["--format", "json"], False, True, False),
        (["--format", "json", "--draw"], False, True, True),
        (["--format", "json", "--format", "txt", "--no-draw"], True, True, False),
    ],
)
def test_pictures_and_text_lie_in_predictions_unless_something_else_is_asked_for(
    here: Path, built: Path, zoo: Zoo, words: list[str], txt: bool, json: bool, drawn: bool
) -> None:
    found = zoo("predict", "top_down", str(built / "coco/val2017"), *words)
    assert found.code == 0, found.err
    names = [f"{number:012d}" for number in (1, 2, 3)]
    wanted = ["predictions.txt"] * txt + [f"json/{name}.json" for name in names] * json + [f"drawn/{name}.jpg" for name in names] * drawn
    assert sorted(contents(here)) == sorted(f"predictions/top_down/{name}" for name in wanted)
    places = found.out.strip().partition(": predictions/top_down (")[2].rstrip(")").split(", ")
    assert {name.partition("/")[0] for name in wanted} == {place.rstrip("/") for place in places}
    for place in places:
        assert (here / "predictions/top_down" / place).exists()


def test_a_recipe_may_be_named_by_its_path(here: Path, built: Path, zoo: Zoo) -> None:
    found = zoo("predict", str(built / "recipes/top_down.yaml"), str(built / "coco/val2017"), "--no-draw")
    assert found.code == 0 and sorted(contents(here)) == ["predictions/top_down/predictions.txt"]


def test_pictures_that_any_recipe_drew_here_are_no_images_unless_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image(Path("a.jpg"))
    image(Path("predictions/other/drawn/a.jpg"))
    image(Path("predictions/own.jpg"))
    assert called(gathered([Path()], Path("predictions/mine") / "drawn")) == ["a.jpg", "predictions/own.jpg"]
    assert called(gathered([Path("predictions/other/drawn")], Path("predictions/mine") / "drawn")) == ["a.jpg"]


def test_that_an_image_is_taken_for_one_person_is_said_with_what_finds_people(here: Path, built: Path, zoo: Zoo) -> None:
    (built / "recipes/broken.yaml").write_text("pipeline: {type: top_down, pose: poser}\n")  # a hint trips over nothing
    try:
        alone = zoo("predict", "poser", str(built / "coco/val2017"), "--no-draw")
    finally:
        (built / "recipes/broken.yaml").unlink()
    assert alone.code == 0 and alone.out.startswith("3 people in 3 images by poser")
    assert "each image is taken for one person; top_down finds people first\n" in alone.err
    for name in ("top_down", "finder"):
        assert "taken for one person" not in zoo("predict", name, str(built / "coco/val2017"), "--no-draw").err


@pytest.mark.parametrize(
    ("recipe", "words", "threshold"),
    [
        ("top_down", [], 0.3),
        ("poser", [], 0.3),
        ("finder", [], 0.0),
        ("top_down", ["--threshold", "0"], 0.0),
        ("finder", ["--threshold", "0.5"], 0.5),
    ],
)
def test_keypoints_that_nobody_sees_are_drawn_only_where_that_is_asked_for(
    here: Path, built: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, recipe: str, words: list[str], threshold: float
) -> None:
    asked: list[float] = []

    def draw(image: Image, poses: Poses, skeleton: Skeleton, *, threshold: float) -> Image:
        asked.append(threshold)
        return image

    monkeypatch.setattr("zoo.cli.predictions.draw", draw)
    assert zoo("predict", recipe, str(built / "coco/val2017"), *words).code == 0
    assert asked == [threshold] * 3


def test_a_decoder_that_breaks_on_one_image_ends_in_70_with_its_name(
    here: Path, built: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, bad = Estimator.many, cv2.imread(str(built / "coco/val2017/000000000002.jpg"))

    def breaking(model: Estimator, images: Sequence[Image], *others: object) -> list[Poses]:
        if any(np.array_equal(image, bad) for image in images):
            raise IndexError("index 19 is out of bounds")
        return many(model, images)

    monkeypatch.setattr(Estimator, "many", breaking)
    found = zoo("predict", "finder", str(built / "coco/val2017"), "--no-draw")
    assert found.code == 70 and "passed over: 000000000002.jpg: a bug: IndexError: index 19" in found.err and "2 images" in found.out
    assert "--fail-fast" in found.err
    fast = zoo("predict", "finder", str(built / "coco/val2017"), "--no-draw", "--fail-fast", "--save", "fast")
    assert fast.code == 70 and "Traceback" in fast.err and "000000000002.jpg: a bug: IndexError" in fast.err.splitlines()[-1]
    assert contents(here / "fast") == {}


def test_what_is_not_drawn_is_written_all_the_same(tmp_path: Path, context: Context) -> None:
    image(tmp_path / "in/a.png")
    formats = ["txt", "json"]
    everything = written(Writer(tmp_path / "all", formats, draw=True), Fake(), [tmp_path / "in"], context)
    sure = written(Writer(tmp_path / "sure", formats, draw=True, threshold=0.6), Fake(), [tmp_path / "in"], context)
    assert sure.pop("drawn/a.jpg") != everything.pop("drawn/a.jpg")
    assert sure == everything


def test_the_command_offers_every_format_that_there_is() -> None:
    (option,) = (one for one in predict.params if one.name == "formats")
    assert isinstance(option.type, click.Choice) and list(option.type.choices) == [*FORMATS]
