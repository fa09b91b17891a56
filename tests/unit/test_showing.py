"""`zoo demo` and `zoo predict` as commands: what is shown of what people have, protocols, and a real ^C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_top_down
from test_bad_images import HUNDRED, RIGHT
from test_video import changing, frames, raw
from workspaces import Zoo

import zoo as package
from zoo.errors import StepFailed
from zoo.formats import native
from zoo.pipelines.estimator import Estimator
from zoo.video.source import open_video

STRICT = """\
  - protocol: strict
    title: Only those that are as good as certain
    datasets: [coco_val2017]
    metric: {type: coco_bbox}
    decode: {type: rtmdet, stride_8: stride_8, stride_16: stride_16, stride_32: stride_32, threshold: 1}
"""
PHOTOS = "  photos: {type: folder, images: coco/val2017}\ntargets:\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a detector that has a protocol beside its own way, and photographs to be shown."""
    small = tiny_top_down.make(tmp_path_factory.mktemp("showing") / "workspace")
    small.recipe(
        (tiny_top_down.FINDER[tiny_top_down.FINDER.index("benchmark") :], STRICT + "benchmark: {height: 64, width: 64}\n"),
        name="finder",
        text=tiny_top_down.FINDER,
    )
    declared = (small.root / "zoo.yaml").read_text()
    (small.root / "zoo.yaml").write_text(declared.replace("targets:\n", PHOTOS))
    return small.root


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.setenv("ZOO_WORKSPACE", str(built))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_an_input_the_photographs_of_the_workspace_are_shown(here: Path, built: Path, zoo: Zoo) -> None:
    said = zoo("demo", "finder")
    assert said.code == 0, said.err
    names = sorted(path.name for path in (built / "coco/val2017").iterdir())
    assert sorted(path.name for path in (here / "demo/finder").iterdir()) == [*names, "poses.jsonl"]
    assert "3 images" in said.out and "demo/finder/poses.jsonl" in said.out
    assert [one["image"] for one in lines(here / "demo/finder/poses.jsonl")] == names


def test_a_protocol_of_the_recipe_is_followed_by_demo_and_predict(here: Path, built: Path, zoo: Zoo) -> None:
    images = str(built / "coco/val2017")

    def people(*words: str) -> list[int]:
        assert zoo("demo", "finder", "--save", "shown", *words).code == 0
        shown = [len(one["people"]) for one in lines(here / "shown/poses.jsonl")]
        assert zoo("predict", "finder", images, "--save", "told", "--format", "json", *words).code == 0
        told = [len(native.parse(path.read_text()).poses) for path in sorted((here / "told/json").iterdir())]
        assert shown == told
        return told

    plain = people()
    assert sum(plain) > 0
    assert people("--protocol", "boxes") == plain
    assert people("--protocol", "strict") == [0, 0, 0]


@pytest.mark.parametrize("words", [["demo", "{}", "--save", "out"], ["predict", "{}", "{images}", "--save", "out"]])
@pytest.mark.parametrize(
    ("recipe", "said"), [("finder", "finder has no protocol nothing\n  it has boxes, strict"), ("top_down", "top_down is a pipeline")]
)
def test_a_protocol_that_is_not_there_is_refused(here: Path, built: Path, zoo: Zoo, words: list[str], recipe: str, said: str) -> None:
    found = zoo(*(word.format(recipe, images=built / "coco/val2017") for word in words), "--protocol", "nothing")
    assert found.code == 2 and said in found.err and not (here / "out").exists()


def test_images_of_any_kind_are_shown_as_they_look_and_one_of_a_hundred_megapixels_is_named(here: Path, zoo: Zoo) -> None:
    (here / "in").mkdir()
    for name, (data, _) in RIGHT.items():
        (here / "in" / name.replace("gif", "png")).write_bytes(data)
    (here / "in/hundred.jpg").write_bytes(HUNDRED["hundred.jpg"])
    said = zoo("demo", "finder", "--input", "in", "--save", "out")
    assert said.code == 1 and "hundred.jpg has 12500x8000 pixels, 100 megapixels: more than 67 are not read" in said.err, said.err
    found = {one["image"]: (one["height"], one["width"]) for one in lines(here / "out/poses.jsonl")}
    assert found == {name.replace("gif", "png"): wanted.shape[:2] for name, (_, wanted) in RIGHT.items()}
    assert len(list((here / "out").glob("*.jpg"))) == len(RIGHT)


def test_a_video_whose_size_changes_is_shown_whole(here: Path, zoo: Zoo) -> None:
    assert zoo("demo", "finder", "--input", str(changing(here / "a.mkv")), "--save", "out.mp4").code == 0
    assert [(one["width"], one["height"]) for one in lines(here / "out.jsonl")] == [(96, 64)] * 6 + [(64, 96)] * 6
    assert [one.image.shape for one in frames(here / "out.mp4")[0]] == [(64, 96, 3)] * 12


def test_of_a_broken_video_what_could_be_read_is_kept_and_it_says_how_much(here: Path, zoo: Zoo) -> None:
    whole = raw(here / "whole.mp4", movflags="faststart").read_bytes()
    (here / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    said = zoo("demo", "finder", "--input", "cut.mp4", "--save", "out.mp4")
    kept = len(lines(here / "out.jsonl"))
    assert said.code == 1 and f"cut.mp4: {kept} of 60 frames could be read" in said.err and 20 < kept < 40
    assert len(frames(here / "out.mp4")[0]) == kept


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("97", 2, "the camera /dev/video97 cannot be opened"),
        ("/dev/video97", 2, "the camera /dev/video97 cannot be opened"),
        ("rtsp://127.0.0.1:9/door", 4, "rtsp://127.0.0.1:9/door cannot be opened"),
        ("http://127.0.0.1:9/a.mp4", 4, "is the server up, and the address right?"),
        ("words.mp4", 2, "words.mp4 is no video that can be read"),
        ("empty", 2, "there are no images in empty"),
    ],
)
def test_what_is_not_there_to_be_shown_is_named_before_anything_is_built(here: Path, zoo: Zoo, source: str, code: int, said: str) -> None:
    (here / "words.mp4").write_text("these are words")
    (here / "empty").mkdir()
    found = zoo("demo", "top_down", "--input", source, "--save", "out.mp4")
    assert found.code == code and said in found.err and "made" not in found.err
    assert not list(here.glob("out*"))


@pytest.mark.parametrize(
    ("save", "said"),
    [
        ("out.avi", "out.avi: a video is written as .mp4, pictures into a folder\n  say --save out.mp4, or a folder"),
        ("out.jpg", "pictures into a folder"),
        ("a-file", "nothing can be written to a-file: File exists"),
        ("a-file/out.mp4", "nothing can be written to a-file: File exists"),
        ("a-folder.mp4", "a-folder.mp4 is a folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_built(here: Path, zoo: Zoo, save: str, said: str) -> None:
    (here / "a-file").touch()
    (here / "a-folder.mp4").mkdir()
    found = zoo("demo", "top_down", "--save", save)
    assert found.code == 2 and said in found.err and "made" not in found.err
    assert sorted(path.name for path in here.iterdir()) == ["a-file", "a-folder.mp4"]


@pytest.mark.parametrize(
    ("source", "save", "over"),
    [
        ("a.mp4", "a.mp4", "a.mp4"),
        ("a.mp4", ".", "a.mp4"),
        ("link.mp4", "a.mp4", "a.mp4"),
        ("photos", "photos", "one.jpg"),
        ("photos/one.jpg", "photos", "one.jpg"),
        ("one.png", ".", ""),
        ("photos", ".", ""),
        ("a.mp4", "photos", ""),
    ],
)
def test_nothing_that_is_shown_is_written_over(here: Path, zoo: Zoo, source: str, save: str, over: str) -> None:
    raw(here / "a.mp4", 2)
    (here / "link.mp4").symlink_to("a.mp4")
    (here / "photos").mkdir()
    (here / "photos/one.jpg").write_bytes(RIGHT["grey.jpg"][0])
    (here / "one.png").write_bytes(RIGHT["alpha.png"][0])
    before = {path: path.read_bytes() for path in (here / "a.mp4", here / "photos/one.jpg", here / "one.png")}
    said = zoo("demo", "finder", "--input", source, "--save", save)
    assert said.code == (2 if over else 0), said.err
    assert (f"{over} is shown, and would be written over" in said.err) == bool(over)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_pictures_that_were_drawn_are_not_shown_again(here: Path, zoo: Zoo) -> None:
    (here / "one.jpg").write_bytes(RIGHT["grey.jpg"][0])
    for save in ((), ("--save", "out")):
        for _ in range(2):
            assert "in 1 image " in zoo("demo", "finder", "--input", "one.jpg", *save).out
    assert "in 2 images " in zoo("demo", "finder", "--input", ".", "--save", "out").out, "the folder of another run is a folder"
    assert "in 1 image " in zoo("demo", "finder", "--input", "out/one.jpg", "--save", "again").out, "who names them means them"


def test_a_video_is_not_for_predict_which_says_what_is(here: Path, zoo: Zoo) -> None:
    said = zoo("predict", "finder", str(raw(here / "a.mp4", 2)), "--save", "out")
    assert said.code == 2 and "a.mp4 is a video\n  zoo demo RECIPE --input" in said.err


def test_a_frame_on_which_a_decoder_breaks_is_named_and_ends_in_70(here: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    many, calls = Estimator.many, iter(range(99))

    def breaking(model: Estimator, images: Any, *others: Any) -> Any:
        if next(calls) == 2:
            raise IndexError("index 19 is out of bounds")
        return many(model, images)

    monkeypatch.setattr(Estimator, "many", breaking)
    raw(here / "a.mp4", 6)
    said = zoo("demo", "finder", "--input", "a.mp4", "--save", "out.mp4")
    assert said.code == 70 and "a bug: IndexError: index 19 is out of bounds" in said.err and "--fail-fast" in said.err
    assert len(lines(here / "out.jsonl")) == len(frames(here / "out.mp4")[0]) == 6


def test_a_camera_that_breaks_off_keeps_what_came_and_says_how_much(here: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(text: str) -> Any:
        video = open_video("a.mp4")
        video.live, video._pictures = True, lambda: ended(video)  # type: ignore[method-assign]
        return video

    def ended(video: Any) -> Any:
        for number, picture in enumerate(type(video)._pictures(video)):
            if number == 4:
                raise StepFailed("the camera broke off: No such device", "is it still there?")
            yield picture
            time.sleep(0.05)

    raw(here / "a.mp4", 6)
    monkeypatch.setattr("zoo.video.source.open_video", breaking)
    said = zoo("demo", "finder", "--input", "/dev/video97", "--save", "out.mp4")
    assert said.code == 4 and "the camera broke off: No such device" in said.err
    told = lines(here / "out.jsonl")
    assert 1 <= len(told) <= 4 and f"in {len(told)} frame" in said.out and "out.mp4, out.jsonl" in said.out
    assert len(frames(here / "out.mp4")[0]) == len(told)


def test_a_window_shows_who_is_who_when_a_key_asks_for_it(here: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame", reason="the extra demo is not installed")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    keys = [["i"], [], ["i"]]
    monkeypatch.setattr("zoo.cli.window.Window.pressed", lambda self: keys.pop(0) if keys else [])
    shown: list[bool] = []

    def draw(image: Any, *others: Any, ids: Any, **said: Any) -> Any:
        shown.append(ids is not None)
        return image

    monkeypatch.setattr("zoo.cli.demonstration.draw", draw)
    assert zoo("demo", "finder", "--show").code == 0
    assert shown == [False, True, True]
    assert not (here / "demo").exists(), "what is shown in a window is not saved unless that is asked for"


#: ^C as the nth frame is written
STOPPING = """
import os, signal, sys
from zoo.video.writer import VideoWriter
write = VideoWriter.write
def stopping(self, image, time):
    write(self, image, time)
    if self.frames == 20:
        os.kill(os.getpid(), signal.{})
VideoWriter.write = stopping
from zoo.cli import main
main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_control_c_or_kill_leaves_a_video_that_can_be_played_and_whole_lines(here: Path, built: Path, name: str) -> None:
    raw(here / "long.mp4", 400)
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), "OMP_NUM_THREADS": "1", "ZOO_WORKSPACE": str(built)}
    command = [sys.executable, "-c", STOPPING.format(name), "demo", "finder", "--input", "long.mp4", "--save", "out/a.mp4", "--track"]
    ended = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 130, ended.stderr
    assert "stopping ..." in ended.stderr and "Traceback" not in ended.stderr
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a.jsonl", "a.mp4"]
    shown, lost = frames(here / "out/a.mp4")
    told = lines(here / "out/a.jsonl")
    assert [one["frame"] for one in told] == list(range(len(told))) and not lost
    assert 20 <= len(told) == len(shown) < 400
    assert f"in {len(told)} frames of long.mp4" in ended.stdout
