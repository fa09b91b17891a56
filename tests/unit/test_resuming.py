"""A `zoo predict` that was stopped is gone on with by the same command, and by no other."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_predict
import tiny_top_down
from test_predict import Fake, contents, gathered, image
from workspaces import STOPPING

import zoo
from zoo.cli.predictions import Writer
from zoo.context import Context, Progress
from zoo.errors import Cancelled
from zoo.pose.keypoints import Poses
from zoo.stream import layouts

FORMATS = ["txt", "json", "coco", "openpose"]


class Odd(Fake):
    """Whose people lack what can be lacking, in float32."""

    def _one(self, width: int) -> Poses:
        poses = super()._one(width)
        points, scores = (np.asarray(one, np.float32) * np.float32(1.1) for one in (poses.keypoints, poses.scores))
        return Poses(points, scores, poses.boxes * np.nan, poses.instance_scores / 3)


def run(folder: Path, images: Path, context: Context, *, most: int = 99, formats: list[str] = FORMATS) -> tuple[Writer, list[int]]:
    """A run over `images` that is stopped after `most` of them; what it wrote, and the calls of its model."""
    context.cancelled.clear()
    heard = dataclasses.replace(context, listener=lambda news: context.cancelled.set() if news.done >= most else None)
    writer, model = Writer(folder, formats, draw=True), Odd("openpose_18")
    try:
        writer.write_all(lambda _: model, layouts(1), gathered([images], folder / "drawn"), 1, heard)
    except Cancelled:
        assert most < 99
    return writer, model.calls


@pytest.fixture
def twelve(tmp_path: Path) -> Path:
    for number in range(12):
        image(tmp_path / "in" / f"{number:02}.png", 20 + 5 * number, seed=number)
    image(tmp_path / "in/plain.jpg").rename(tmp_path / "in" / os.fsdecode(b"latin\xe9.jpg"))
    return tmp_path / "in"


def test_what_was_stopped_is_gone_on_with_and_all_files_are_as_of_one_run(tmp_path: Path, context: Context, twelve: Path) -> None:
    once = dataclasses.replace(context, partial=tmp_path / "partial")
    whole, _ = run(tmp_path / "whole", twelve, context)
    first, calls = run(tmp_path / "out", twelve, once, most=3)
    assert 3 <= len(calls) < 8 and first.left == 10
    second, _ = run(tmp_path / "out", twelve, once, most=7)
    assert second.known >= 3 and second.known + second.left < 14
    third, rest = run(tmp_path / "out", twelve, once)
    assert third.known >= 7 and third.left == 0 and third.known + len(rest) == 13
    assert third.people == whole.people
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_an_image_that_changed_or_whose_files_are_gone_is_done_again(tmp_path: Path, context: Context, twelve: Path) -> None:
    once = dataclasses.replace(context, partial=tmp_path / "partial")
    run(tmp_path / "out", twelve, once)  # the folder stays, which the store would have removed
    (tmp_path / "out/json/03.json").unlink()
    image(twelve / "05.png", 120)
    (tmp_path / "out/drawn/07.jpg").unlink()
    (twelve / "08.png").unlink()
    image(twelve / "new.png")
    again, calls = run(tmp_path / "out", twelve, once)
    assert len(calls) == 4 and again.known == 9
    whole, _ = run(tmp_path / "whole", twelve, context)
    assert again.people == whole.people
    assert (tmp_path / "out/predictions.txt").read_bytes() == (tmp_path / "whole/predictions.txt").read_bytes()


def test_a_bad_image_is_looked_at_again_and_named_again(tmp_path: Path, context: Context, twelve: Path) -> None:
    once = dataclasses.replace(context, partial=tmp_path / "partial")
    (twelve / "02.png").write_bytes(b"no image")
    image(twelve / "03.png", 40, 13)
    for _ in range(2):
        writer, calls = run(tmp_path / "out", twelve, once)
        assert [name for name, _ in writer.bad] == ["02.png", "03.png"]
    assert writer.known == 11 and len(calls) == 1


def test_the_speed_that_is_told_does_not_count_what_was_known() -> None:
    from zoo.cli.progress import _words

    assert _words(Progress("a", "finding people", 60, 100, "images"), 10, 40) == "finding people 60/100 images, 2.0 a second, 20 s left"


# in real processes

#: an image on which reading never ends
STUCK = """
import sys, threading, time
from zoo.datasets.images import Images
read = Images.read
def slow(self, sample):
    if sample.name.startswith("000000000002") and threading.current_thread().name.startswith("zoo-stream"):
        print("stuck", file=sys.stderr, flush=True)
        time.sleep(60)
    return read(self, sample)
Images.read = slow
import zoo.stream
zoo.stream.SLOW, zoo.stream.PATIENCE = 0.2, 0.3
import zoo.cli.progress
zoo.cli.progress.PAUSE = 0.1
from zoo.cli import main
main()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tiny_top_down.make(tmp_path_factory.mktemp("resuming") / "workspace").root
    for number in range(3, 9):
        test_predict.picture(root / f"coco/val2017/{number:012d}.jpg", number)
    return root


def environment(built: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1]), "OMP_NUM_THREADS": "1", "ZOO_WORKSPACE": str(built)}


def test_a_killed_run_and_one_that_was_stopped_are_gone_on_with_by_the_same_command_alone(built: Path, tmp_path: Path) -> None:
    def predict(most: int, name: str, *words: str) -> tuple[int, int, str]:
        command = [sys.executable, "-c", STOPPING.format(most=most, signal=name), "predict", "finder", str(built / "coco/val2017"), *words]
        said = subprocess.run(
            [*command, "--batch", "1"], cwd=tmp_path, env=environment(built), capture_output=True, text=True, timeout=120, check=False
        )
        return said.returncode, len(re.findall(r"^image ", said.stderr, re.MULTILINE)), said.stderr

    code, killed, _ = predict(2, "SIGKILL")
    assert (code, killed) == (-signal.SIGKILL, 2)
    code, other, said = predict(99, "SIGKILL", "--threshold", "0.4")
    assert (code, other) == (0, 8) and "had been done" not in said, "another command begins anew"
    code, stopped, said = predict(2, "SIGINT")
    assert code == 130 and 2 <= stopped < 6
    assert re.search(r"the same command goes on with the \d images? that are left", said) and "Traceback" not in said
    code, rest, said = predict(99, "SIGINT")
    assert code == 0 and killed + stopped + rest == 8
    assert f"{killed + stopped} images had been done by a run that was stopped" in said
    assert not any((built / ".zoo/partial").iterdir())


@pytest.mark.parametrize("words", [["predict", "finder", "{}", "--no-draw"], ["demo", "finder", "--input", "{}"], ["eval", "finder"]])
def test_control_c_ends_a_run_that_is_stuck_at_an_image_which_it_names(built: Path, tmp_path: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", STUCK, *(word.format(built / "coco/val2017") for word in words)]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(built), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    seen = ""
    while "waiting for 000000000002.jpg" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
