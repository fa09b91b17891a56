"""`zoo demo` on a video, over its network alone: `python benchmarks/demo.py [--frames 150] [--target onnxruntime-int8]`.

The video is 640x480, made of the images of coco_mini by a seeded pan over each. In every round the network is run alone, on the
input of one frame, then the demo with every frame drawn and not written, then with the video written. The peak memory is that of
a process of its own for few frames and for many.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import head, machine, row

from zoo.cli.demonstration import Demonstration
from zoo.cli.running import Ready, chosen_target, made, parts_in
from zoo.cli.saving import Saver
from zoo.cli.session import Session
from zoo.errors import StepFailed
from zoo.pipelines.estimator import Estimator
from zoo.video.source import open_video
from zoo.video.writer import VideoWriter

RECIPE = "human_pose_estimation_0001"
EACH = 10  # frames of an image


class Unseen:
    """A window that shows nothing: what is drawn is drawn for it."""

    paused = False

    def show(self, image: Any) -> None:
        return

    def pressed(self) -> list[str]:
        return []


def video(session: Session, path: Path, frames: int) -> None:
    images = session.place.declared.datasets["coco_mini"].open(session.context)
    random = np.random.default_rng(0)
    with VideoWriter(path, Fraction(25)) as writer:
        for number in range(frames):
            if number % EACH == 0:
                wide = cv2.resize(images.read(images.samples[number // EACH % len(images)]), (720, 540))
                step = random.integers(0, 6, 2)
            x, y = step * (number % EACH)
            writer.write(np.ascontiguousarray(wide[y : y + 480, x : x + 640]), number / 25)


def demo(session: Session, model: Estimator, path: Path, save: Path | None) -> float:
    """Frames a second."""
    shown = Demonstration({"skeleton", "status"})
    with open_video(str(path)) as source:
        window: Any = None if save else Unseen()
        if save:
            with Saver(save, source, (), model.skeleton.name) as saver:
                shown.run(model, source, session.context, workers=max(2, session.context.threads), saver=saver, window=None)
        else:
            shown.run(model, source, session.context, workers=max(2, session.context.threads), saver=None, window=window)
    return shown.rate


def opened(target: str) -> tuple[Session, Estimator]:
    session = Session.open()
    (recipe,) = session.recipes([RECIPE], everything=False)
    chosen = chosen_target(session, recipe, target)
    ready = made(session, recipe, chosen, parts_in(session, recipe, chosen, None), weights=None, rehearse=False)
    if not isinstance(ready, Ready):
        raise StepFailed(f"{RECIPE}/{chosen} cannot be built")
    model = ready.open(session.context)
    assert isinstance(model, Estimator)
    return session, model


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--frames", type=int, default=150)
    arguments.add_argument("--many", type=int, default=600, help="frames of the long run whose memory is measured; 0: none")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--target", default="onnxruntime-int8")
    arguments.add_argument("--memory", type=Path, help="only run the demo on this video and print the peak memory, MiB")
    said = arguments.parse_args()
    session, model = opened(said.target)
    with model, tempfile.TemporaryDirectory() as folder:
        if said.memory:
            demo(session, model, said.memory, Path(folder) / "out.mp4")
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return
        path = Path(folder) / "in.mp4"
        video(session, path, said.frames)
        with open_video(str(path)) as source:
            tensor, _ = model.preprocess.prepare(next(iter(source)).image)
        name = next(iter(model.runner.inputs))
        alone, drawn, written = [], [], []
        for turn in range(said.rounds):
            started = time.perf_counter()
            for _ in range(said.frames):
                model.runner({name: tensor})
            alone.append(said.frames / (time.perf_counter() - started))
            drawn.append(demo(session, model, path, None))
            written.append(demo(session, model, path, Path(folder) / f"{turn}.mp4"))
        print(machine(session.context.threads), f"; {RECIPE} on {said.target}, {said.frames} frames, {said.rounds} rounds\n", sep="")
        print(head("", "frames/s", "over the network alone"))
        for label, rates in (("network alone", alone), ("demo, drawn", drawn), ("demo, drawn and written", written)):
            shares = [rate / one for rate, one in zip(rates, alone, strict=True)]
            print(row(label, f"{statistics.median(rates):.1f}", f"{statistics.median(shares):.2f}"))
        if said.many:
            peaks = []
            for frames in (100, said.many):
                video(session, path, frames)
                command = [sys.executable, __file__, "--target", said.target, "--memory", str(path)]
                printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                peaks.append(float(printed.splitlines()[-1]))
            print(f"\npeak memory, MiB: {peaks[0]:.0f} for 100 frames, {peaks[1]:.0f} for {said.many}: {peaks[1] / peaks[0] - 1:+.1%}")


if __name__ == "__main__":
    main()
