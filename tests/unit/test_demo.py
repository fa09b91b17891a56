"""`zoo demo`: every frame of a file, the newest of a camera, what is written however it ends, and what is said."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from zoo.cli.demo import opened_source, wanted
from zoo.cli.demonstration import Demonstration, Pictures
from zoo.cli.saving import Saver
from zoo.cli.window import Window
from zoo.context import Context
from zoo.datasets.images import BadImage, Sample
from zoo.errors import Cancelled, StepFailed, UsageError, ZooError
from zoo.pipelines.estimator import Image, PoseModel, Stopwatch
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Skeleton
from zoo.pose.tracking import Tracker
from zoo.video.newest import Newest
from zoo.video.source import Frame, Source, open_video
from zoo.video.writer import VideoWriter

av = pytest.importorskip("av", reason="the extra demo is not installed")
pygame = pytest.importorskip("pygame", reason="the extra demo is not installed")


@dataclass
class Fake(PoseModel):
    """Finds one person where the picture's grey says; fails on white pictures."""

    pause: float = 0.0

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS["openpose_18"]

    @property
    def computed_in(self) -> str:
        return "fp32"

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        time.sleep(self.pause)
        if any(image[-1, -1].min() > 240 for image in images):
            raise StepFailed("white pictures bring bad luck")
        return [self._one(float(image[-1, -1, 0])) for image in images]

    def _one(self, place: float) -> Poses:
        points = np.random.default_rng(0).uniform(10, 60, (1, 18, 2)) + place / 10
        points[0, 3] = np.nan
        return Poses.of(points, np.where(np.isnan(points[..., 0]), 0.0, 0.9), np.ones(1))

    def close(self) -> None:
        return


def picture(level: int) -> Any:
    return np.full((64, 96, 3), level, np.uint8)


def video(path: Path, count: int = 12, white: int = -1) -> Path:
    with VideoWriter(path, Fraction(10)) as writer:
        for number in range(count):
            writer.write(picture(255 if number == white else 20 + 5 * number), number / 10)
    return path


class Live(Source):
    """A camera of fixed pace."""

    def __init__(self, count: int, pause: float) -> None:
        self.name, self.live, self.count, self.pause = "0", True, count, pause

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            yield Frame(picture(number), number, number / 100, time.perf_counter())
            time.sleep(self.pause)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def demonstrate(
    source: Source, save: Path, context: Context, *, model: PoseModel | None = None, workers: int = 2, **said: Any
) -> Demonstration:
    shown = Demonstration({"skeleton", "status"}, **said)
    with source, Saver(save, source, (), "openpose_18") as saver:
        shown.run(model or Fake(), source, context, workers=workers, saver=saver, window=None)
    return shown


@pytest.mark.parametrize("workers", [1, 3])
def test_every_frame_of_a_file_is_written_in_order(tmp_path: Path, context: Context, workers: int) -> None:
    shown = demonstrate(open_video(str(video(tmp_path / "a.mp4"))), tmp_path / "o/out.mp4", context, workers=workers, model=Fake(0.01))
    assert (shown.frames, shown.people, shown.dropped) == (12, 12, 0)
    said = lines(tmp_path / "o/out.jsonl")
    assert [one["frame"] for one in said] == list(range(12))
    assert [one["time"] for one in said] == pytest.approx([number / 10 for number in range(12)], abs=1e-4)
    with open_video(str(tmp_path / "o/out.mp4")) as written:
        pictures = [frame.image for frame in written]
    assert len(pictures) == 12
    levels = [one[-1, -1].mean() for one in pictures]
    assert levels == sorted(set(levels)) and levels == pytest.approx([20 + 5 * number for number in range(12)], abs=7)
    assert sorted(one.name for one in (tmp_path / "o").iterdir()) == ["out.jsonl", "out.mp4"]


def test_a_line_holds_people_with_every_keypoint_or_null(tmp_path: Path, context: Context) -> None:
    demonstrate(open_video(str(video(tmp_path / "a.mp4", 2))), tmp_path / "out.mp4", context, tracker=Tracker(SKELETONS["openpose_18"]))
    first = lines(tmp_path / "out.jsonl")[0]
    assert (first["width"], first["height"], first["skeleton"]) == (96, 64, "openpose_18")
    (person,) = first["people"]
    assert person["id"] == 0 and person["score"] == 1.0 and len(person["box"]) == 4
    assert len(person["keypoints"]) == 18 and person["keypoints"][3] is None and len(person["keypoints"][0]) == 3


def test_a_frame_that_the_model_fails_on_is_shown_as_it_came_and_named(tmp_path: Path, context: Context) -> None:
    shown = demonstrate(open_video(str(video(tmp_path / "a.mp4", white=5))), tmp_path / "out.mp4", context)
    assert shown.frames == 12 and shown.faults == ["frame 5: white pictures bring bad luck"]
    assert [len(one["people"]) for one in lines(tmp_path / "out.jsonl")] == [1] * 5 + [0] + [1] * 6


class Breaking(Fake):
    """Whose decoder fails on white pictures, as nobody foresaw."""

    def many(self, images: Sequence[Image], watch: Stopwatch | None = None, boxes: Sequence[Poses] | None = None) -> list[Poses]:
        if any(image[-1, -1].min() > 240 for image in images):
            raise IndexError("index 19 is out of bounds")
        return super().many(images)


def test_a_frame_on_which_a_decoder_breaks_is_shown_as_it_came_and_named(tmp_path: Path, context: Context) -> None:
    shown = demonstrate(open_video(str(video(tmp_path / "a.mp4", white=5))), tmp_path / "out.mp4", context, model=Breaking())
    (fault,) = shown.faults
    assert shown.frames == 12 and shown.bugs == 1
    assert fault.startswith("frame 5: a bug: IndexError: index 19 is out of bounds (test_demo.py:")


@pytest.mark.parametrize(("model", "said"), [(Fake(), "frame 5: white pictures"), (Breaking(), "frame 5: a bug: IndexError")])
def test_asked_to_it_ends_at_the_first_frame_that_fails(tmp_path: Path, context: Context, model: Fake, said: str) -> None:
    source = open_video(str(video(tmp_path / "a.mp4", white=5)))
    with pytest.raises(ZooError) as caught:
        demonstrate(source, tmp_path / "out.mp4", context, model=model, fail_fast=True)
    assert caught.value.message.splitlines()[-1].startswith(said)
    assert len(lines(tmp_path / "out.jsonl")) == 5
    with open_video(str(tmp_path / "out.mp4")) as written:
        assert len(list(written)) == 5
    some = samples(tmp_path / "in", 4)
    some[2].path.write_bytes(b"no image")
    with pytest.raises(BadImage, match=r"2\.png"):
        Demonstration(set(), fail_fast=True).run(Fake(), Pictures(some, 25, strict=True), context, workers=2, saver=None, window=None)


def test_what_fails_on_the_first_frame_ends_it(tmp_path: Path, context: Context) -> None:
    with pytest.raises(StepFailed, match="frame 0: white pictures"):
        demonstrate(open_video(str(video(tmp_path / "a.mp4", white=0))), tmp_path / "o/out.mp4", context)
    assert not (tmp_path / "o").exists()


def test_a_run_that_is_stopped_leaves_whole_files(tmp_path: Path, context: Context) -> None:
    stopped = dataclasses.replace(context, listener=lambda news: context.cancelled.set() if news.done >= 5 else None)
    with pytest.raises(Cancelled):
        demonstrate(open_video(str(video(tmp_path / "a.mp4"))), tmp_path / "o/out.mp4", stopped)
    count = len(lines(tmp_path / "o/out.jsonl"))
    with open_video(str(tmp_path / "o/out.mp4")) as written:
        assert len(list(written)) == count and 5 <= count < 12
    assert len(list((tmp_path / "o").iterdir())) == 2


def test_of_a_camera_frames_are_dropped_and_the_newest_is_shown(tmp_path: Path, context: Context) -> None:
    source = Newest(Live(80, 0.004), threading.Event())
    shown = demonstrate(source, tmp_path / "out.mp4", context, model=Fake(0.03), workers=1)
    numbers = [one["frame"] for one in lines(tmp_path / "out.jsonl")]
    assert numbers == sorted(set(numbers)) and 4 < len(numbers) < 40
    assert shown.dropped == numbers[-1] + 1 - len(numbers) > 0
    assert shown.latency < 0.2


def samples(folder: Path, count: int) -> tuple[Sample, ...]:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), picture(20 * number))
    return tuple(Sample(number, path, path.name) for number, path in enumerate(sorted(folder.iterdir())))


def test_images_become_pictures_in_a_folder_and_bad_ones_are_named(tmp_path: Path, context: Context) -> None:
    some = samples(tmp_path / "in", 4)
    some[2].path.write_bytes(b"no image")
    source = Pictures(some, 25)
    with Saver(tmp_path / "out", source, some, "openpose_18") as saver:
        Demonstration({"skeleton"}).run(Fake(), source, context, workers=2, saver=saver, window=None)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["0.jpg", "1.jpg", "3.jpg", "poses.jsonl"]
    assert [one["image"] for one in lines(tmp_path / "out/poses.jsonl")] == ["0.png", "1.png", "3.png"]
    assert "2.png" in source.lost


def test_images_become_a_video_where_one_is_named(tmp_path: Path, context: Context) -> None:
    some = samples(tmp_path / "in", 4)
    source = Pictures(some, 5)
    with Saver(tmp_path / "out.mp4", source, some, "openpose_18") as saver:
        Demonstration({"skeleton"}).run(Fake(), source, context, workers=2, saver=saver, window=None)
    with open_video(str(tmp_path / "out.mp4")) as written:
        assert [frame.time for frame in written] == pytest.approx([0, 0.2, 0.4, 0.6], abs=1e-4)


def test_keys_turn_overlays_on_and_off_hold_it_and_end_it(monkeypatch: pytest.MonkeyPatch, context: Context, tmp_path: Path) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    keys = {2: "b", 3: "s", 5: "space", 7: "space", 9: "q"}
    shown = Demonstration({"skeleton", "status"})
    seen: list[tuple[int, frozenset[str]]] = []
    turn = 0
    with Window("a test") as window, open_video(str(video(tmp_path / "a.mp4", 12))) as source:

        def pressed() -> list[str]:
            nonlocal turn
            turn += 1
            if turn in keys:
                pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(keys[turn])))
            seen.append((shown.frames, frozenset(shown.overlays)))
            return plain()

        plain, window.pressed = window.pressed, pressed  # type: ignore[method-assign]
        shown.run(Fake(), source, context, workers=2, saver=None, window=window)
    # two turns of the keys while it stood still
    assert shown.frames == 7
    assert shown.overlays == {"boxes", "status"}
    assert [frames for frames, _ in seen] == [1, 2, 3, 4, 5, 5, 5, 6, 7]


def test_the_window_shows_the_picture_and_is_no_larger_than_the_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Window("a test") as window:
        image = picture(0)
        image[10, 20] = (1, 2, 3)
        window.show(image)
        assert window._surface.get_size() == (96, 64) and tuple(window._surface.get_at((20, 10)))[:3] == (3, 2, 1)
        window._largest = (48, 100)
        window.show(image)
        assert window._surface.get_size() == (48, 32)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        assert window.pressed() == ["q"]


def test_where_there_is_no_display_the_way_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "nothing")
    with pytest.raises(UsageError, match="no window can be opened") as caught:
        Window("a test")
    assert "--save" in caught.value.hint


def test_a_display_that_nobody_sees_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pygame.display.get_driver", lambda: "offscreen")
    monkeypatch.setattr("pygame.display.init", lambda: None)
    monkeypatch.setattr("pygame.display.get_desktop_sizes", lambda: [(640, 480)])
    monkeypatch.setattr("pygame.display.set_caption", lambda _: None)
    with pytest.raises(UsageError, match="no window can be opened here: there is no display"):
        Window("a test")
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")  # whoever says so wants it
    with Window("a test"):
        pass


def test_overlays_are_those_that_there_are() -> None:
    assert wanted(None, False, []) == {"skeleton", "status"} and wanted(None, True, []) == {"skeleton", "status", "ids"}
    assert wanted("boxes, ids", False, []) == {"boxes", "ids"}
    with pytest.raises(UsageError, match="no overlay heat"):
        wanted("heat,boxes", False, [])
    with pytest.raises(UsageError, match="this recipe has no"):
        wanted("heatmap", False, [])


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.mp4", "none.mp4: No such file"), ("none.jpg", "none.jpg: there is no such file"), ("97", "camera /dev/video97")],
)
def test_an_input_that_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        opened_source(None, name, 25)  # type: ignore[arg-type]
