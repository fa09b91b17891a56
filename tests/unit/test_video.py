"""Videos: every frame of a file, the newest of a camera, what a broken one still gives, and files that are whole or not there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import StepFailed, UsageError
from zoo.video import source
from zoo.video.newest import Newest
from zoo.video.source import Frame, Source, is_video, open_video
from zoo.video.writer import VideoWriter

av = pytest.importorskip("av", reason="the extra demo is not installed")


def plain(number: int, width: int = 96, height: int = 64) -> Any:
    """A picture that tells its number: grey of that level, with a white upper left corner."""
    picture = np.full((height, width, 3), 20 + 5 * number, np.uint8)
    picture[: height // 4, : width // 4] = 255
    return picture


def written(path: Path, count: int = 20, rate: int = 10, **size: int) -> Path:
    with VideoWriter(path, Fraction(rate)) as video:
        for number in range(count):
            video.write(plain(number, **size), number / rate)
    return path


def raw(path: Path, count: int = 60, rotation: int = 0, **options: str) -> Path:
    """A video that another program wrote: every frame by itself, and of about the same number of bytes."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 60, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(plain(number % 40) // 2 + noise, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def changing(path: Path, size: tuple[int, int] = (64, 96)) -> Path:
    """A video whose size changes after six of its twelve frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for number in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(plain(number), format="bgr24")))
        # what a camera does that is turned: the same stream goes on in another size
        other = av.CodecContext.create("mjpeg", "w")
        other.width, other.height, other.pix_fmt, other.framerate, other.time_base = *size, "yuvj420p", 10, Fraction(1, 10)
        for number in range(6, 12):
            picture = av.VideoFrame.from_ndarray(plain(number, *size), format="bgr24")
            picture.pts = number
            for packet in other.encode(picture):
                packet.stream, packet.time_base = stream, Fraction(1, 10)
                container.mux(packet)
    return path


def frames(path: Path | str) -> tuple[list[Frame], str]:
    with open_video(str(path)) as video:
        found = list(video)
        return found, video.lost


def test_what_was_written_is_read_in_order_with_its_times(tmp_path: Path) -> None:
    found, lost = frames(written(tmp_path / "a.mp4"))
    assert [frame.index for frame in found] == list(range(20)) and not lost
    assert [frame.time for frame in found] == pytest.approx([number / 10 for number in range(20)], abs=1e-4)
    for number, frame in enumerate(found):
        assert frame.image.shape == (64, 96, 3) and abs(frame.image[40:, 40:].mean() - (20 + 5 * number)) < 4
        assert frame.image[:12, :18].mean() > 240


def test_a_file_says_beforehand_how_many_frames_it_has(tmp_path: Path) -> None:
    with open_video(str(written(tmp_path / "a.mp4"))) as video:
        assert (video.total, video.rate, video.live) == (20, 10, False)


def test_frames_of_uneven_times_keep_them(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 2.0]
    with VideoWriter(tmp_path / "a.mp4") as video:
        for number, moment in enumerate(times):
            video.write(plain(number), moment)
    assert [frame.time for frame in frames(tmp_path / "a.mp4")[0]] == pytest.approx(times, abs=1e-4)


def test_times_that_stand_still_are_moved_on_and_no_frame_is_lost(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as video:
        for number in range(5):
            video.write(plain(number), 0.0)
    assert len(frames(tmp_path / "a.mp4")[0]) == 5


@pytest.mark.parametrize("size", [(95, 64), (96, 63), (1, 1), (33, 17)])
def test_odd_sizes_are_made_even_and_keep_their_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    found, _ = frames(written(tmp_path / "a.mp4", 3, width=width, height=height))
    assert found[0].image.shape == (height + height % 2, width + width % 2, 3)


def test_a_frame_of_another_size_is_fitted_into_the_first_ones(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as video:
        video.write(np.full((64, 96, 3), 200, np.uint8), 0)
        video.write(np.full((128, 64, 3), 200, np.uint8), 0.1)
    first, second = (frame.image for frame in frames(tmp_path / "a.mp4")[0])
    assert first.shape == second.shape == (64, 96, 3)
    # 64x128 becomes 32x64 in the middle: black beside it, nothing stretched
    assert second[:, 36:60].min() > 150 and second[:, :28].max() < 40 and second[:, 68:].max() < 40


def test_a_video_whose_size_changes_gives_every_frame_at_its_own(tmp_path: Path) -> None:
    found, lost = frames(changing(tmp_path / "a.mkv"))
    assert [frame.image.shape[:2] for frame in found] == [(64, 96)] * 6 + [(96, 64)] * 6 and not lost


def test_frames_larger_than_any_image_that_is_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST", 96 * 64)
    grows = changing(tmp_path / "a.mkv", (128, 64))
    seen = []
    with open_video(str(grows)) as video, pytest.raises(UsageError, match=r"128x64 pixels, 0 megapixels: more than 0 are not taken"):
        for frame in video:
            seen.append(frame.index)
    assert seen == [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(source, "LARGEST", 96 * 64 - 1)
    with pytest.raises(UsageError, match=r"a frame of .* has 96x64 pixels"):
        open_video(str(grows))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_the_rotation_that_a_telephone_writes_is_followed(tmp_path: Path, degrees: int) -> None:
    upright, turned = (frames(raw(tmp_path / f"{turn}.mp4", 1, rotation=turn))[0][0].image for turn in (0, degrees))
    assert np.array_equal(turned, np.rot90(upright, degrees // 90))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_of_a_video_that_was_cut_off_what_there_is_is_read_and_how_much_is_said(tmp_path: Path, share: float) -> None:
    whole = raw(tmp_path / "whole.mp4", movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * share)])
    found, lost = frames(cut)
    assert abs(len(found) - 60 * share) < 10
    assert lost.startswith(f"{len(found)} of 60 frames could be read")
    assert all(np.array_equal(one.image, two.image) for one, two in zip(found[:-1], frames(tmp_path / "whole.mp4")[0], strict=False))


def test_a_cut_video_without_a_count_says_how_many_seconds_were_read(tmp_path: Path) -> None:
    whole = raw(tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    found, lost = frames(tmp_path / "cut.mkv")
    assert 20 < len(found) < 40 and "of 6.0 s could be read" in lost


def test_damage_in_the_middle_costs_what_it_hit_and_no_more(tmp_path: Path) -> None:
    data = bytearray(raw(tmp_path / "whole.mp4", movflags="faststart").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    (tmp_path / "hurt.mp4").write_bytes(data)
    found, _ = frames(tmp_path / "hurt.mp4")
    assert 40 <= len(found) <= 60
    assert np.array_equal(found[-1].image, frames(tmp_path / "whole.mp4")[0][-1].image)


def test_a_video_without_its_index_is_refused_with_the_reason(tmp_path: Path) -> None:
    whole = raw(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut\.mp4 is no video that can be read"):
        open_video(str(tmp_path / "cut.mp4"))


@pytest.mark.parametrize("content", [b"", b"these are words", bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UsageError, match="no video"):
        open_video(str(tmp_path / "a.mp4"))


def test_a_file_with_sound_alone_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(UsageError, match="no pictures"):
        open_video(str(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=r"the camera /dev/video97 cannot be opened") as caught:
        open_video(name)
    assert "camera" in caught.value.hint


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StepFailed, match=r"rtsp://127\.0\.0\.1:9/door cannot be opened: Connection refused"):
        open_video("rtsp://127.0.0.1:9/door")


@pytest.fixture
def server(tmp_path: Path, socket_enabled: None) -> Iterator[str]:
    """Serves a video of 60 frames: whole, or half of it as `cut` and as `hang`, which then says nothing more."""
    data, free = raw(tmp_path / "whole.mp4", movflags="faststart").read_bytes(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data if "whole" in self.path else data[: len(data) // 2])
            self.close_connection = True
            if "hang" in self.path:
                self.wfile.flush()
                free.wait(20)

        def log_message(self, *said: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        free.set()
        http.shutdown()


def test_a_video_behind_an_address_is_read_whole(server: str) -> None:
    with open_video(f"{server}/whole.mp4") as video:
        assert not video.live and video.total == 60
        assert len(list(video)) == 60 and not video.lost


@pytest.mark.parametrize(("name", "why"), [("cut", "Input/output error"), ("hang", "nothing came for 0.5 s")])
def test_of_a_server_that_goes_away_or_falls_silent_what_came_is_kept(
    server: str, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.setattr(source, "_PATIENCE", (5.0, 0.5))
    found, lost = frames(f"{server}/{name}.mp4")
    assert 10 < len(found) < 50 and lost == f"{len(found)} of 60 frames could be read ({why})"


def test_a_video_in_which_a_thread_hangs_is_not_closed_under_its_hands(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_LEAVE", 0.1)
    monkeypatch.setattr(source, "_PATIENCE", (5.0, 1.5))
    video = open_video(f"{server}/hang.mp4")
    seen: list[Frame] = []
    reader = threading.Thread(target=lambda: seen.extend(video))
    reader.start()
    while len(seen) < 11:
        time.sleep(0.01)
    time.sleep(0.3)
    started = time.perf_counter()
    video.close()
    assert time.perf_counter() - started < 1 and reader.is_alive()
    reader.join(10)
    assert 10 < len(seen) < 50


def test_a_video_that_was_closed_gives_no_more(tmp_path: Path) -> None:
    with open_video(str(raw(tmp_path / "a.mp4"))) as video:
        given = iter(video)
        next(given)
    assert len(list(given)) < 59


def test_cameras_and_addresses_are_told_from_files() -> None:
    assert all(map(is_video, ["0", "12", "/dev/video0", "rtsp://host/a", "HTTP://host/a.mp4"]))
    assert not any(map(is_video, ["a.mp4", "photos", "./0", "C:/videos/a.mp4", "photos/0"]))


class Fake(Source):
    """Frames at a pace of its own; ends with `error`."""

    def __init__(self, count: int, pause: float = 0.0, error: Exception | None = None) -> None:
        self.name, self.count, self.pause, self.error, self.closed = "fake", count, pause, error, False

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            yield Frame(plain(number % 40), number, number / 10, time.perf_counter())
            time.sleep(self.pause)
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


def test_whoever_is_slow_gets_the_newest_frame_and_each_once() -> None:
    fake = Fake(60, pause=0.005)
    seen = []
    with Newest(fake, threading.Event()) as source:
        for frame in source:
            assert time.perf_counter() - frame.taken < 0.05
            seen.append(frame.index)
            time.sleep(0.04)
    assert seen == sorted(set(seen)) and 3 < len(seen) < 30
    assert fake.closed


def test_a_camera_that_breaks_off_says_so_after_its_last_frame() -> None:
    with Newest(Fake(1, error=StepFailed("the cable is out")), threading.Event()) as source:
        frames = iter(source)
        with pytest.raises(StepFailed, match="the cable is out"):
            assert [next(frames).index, next(frames)]


def test_a_camera_that_hangs_does_not_keep_a_run_that_was_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.perf_counter()
    source = Newest(Fake(1, pause=1.0), stop)
    assert len(list(source)) == 1
    assert time.perf_counter() - began < 0.9


def test_a_run_that_fails_leaves_what_it_wrote_and_it_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, Fraction(10)) as video:
        for number in range(7):
            video.write(plain(number), number / 10)
        assert not path.exists()
        raise KeyboardInterrupt
    assert len(frames(path)[0]) == 7
    assert [one.name for one in tmp_path.iterdir()] == ["a.mp4"]


def test_without_a_frame_nothing_is_left(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_picture_that_no_video_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too many for a video"), VideoWriter(tmp_path / "a.mp4") as video:
        video.write(np.zeros((2, 20_000, 3), np.uint8), 0)
    assert not list(tmp_path.iterdir())


def test_it_is_h264_that_every_player_shows(tmp_path: Path) -> None:
    with av.open(str(written(tmp_path / "a.mp4"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
