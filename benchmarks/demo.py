"""`zoo demo` on a video over its network alone, and its memory against the number of frames.

    python benchmarks/demo.py [RECIPE] [--target onnxruntime-int8] [--protocol lazy_256] [--frames 150] [--rounds 3] [--count 100 5000]

The video is 640x480, made of the images of coco_mini by a seeded pan over each. In every round the network is run alone, on the inputs of
the video's frames, then the demo with every frame drawn and not written, then with the video and its keypoints written; all three in the
demo's own layout. Memory is that of the command, `zoo demo --save`, a process for each count of frames; `--count 0` leaves it away.
"""

import statistics
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import arguments, faster, head, machine, row, zoo
from stages import network_alone

from zoo.cli.demonstration import Demonstration
from zoo.cli.running import Ready, chosen_target, made, parts_in
from zoo.cli.saving import Saver
from zoo.cli.session import Session
from zoo.errors import StepFailed
from zoo.pipelines.estimator import Estimator
from zoo.steps.part import layouts_of
from zoo.stream import Layout
from zoo.video.source import open_video
from zoo.video.writer import VideoWriter

EACH = 10  # frames of an image
FEW = 5  # frames of the run before those whose memory counts
AIM, STRETCH = 0.80, 0.90  # of the network alone, drawn and not written


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


def demo(session: Session, model: Estimator, layout: Layout, path: Path, save: Path | None) -> float:
    """Frames a second."""
    shown = Demonstration({"skeleton", "status"})
    with open_video(str(path)) as source:
        window: Any = None if save else Unseen()
        if save:
            with Saver(save, source, (), model.skeleton.name) as saver:
                shown.run(model, source, session.context, workers=layout.workers, saver=saver, window=None)
        else:
            shown.run(model, source, session.context, workers=layout.workers, saver=None, window=window)
    return shown.rate


def opened(session: Session, name: str, target: str, protocol: str | None) -> tuple[Estimator, Layout]:
    """The model as `zoo demo` opens it for a file."""
    (recipe,) = session.recipes([name], everything=False)
    chosen = chosen_target(session, recipe, target)
    parts = parts_in(session, recipe, chosen, protocol)
    ready = made(session, recipe, chosen, parts, weights=None, rehearse=False)
    if not isinstance(ready, Ready):
        raise StepFailed(f"{name}/{chosen} cannot be built")
    layout = layouts_of(parts, session.context)[0]
    model = ready.open(session.context, streams=layout.streams)
    if not isinstance(model, Estimator):
        raise SystemExit(f"{name} is no network of whole images")
    return model, layout


def speed(session: Session, name: str, target: str, protocol: str | None, frames: int, rounds: int, folder: Path) -> None:
    """The table of frames a second."""
    path = folder / "in.mp4"
    video(session, path, frames)
    model, layout = opened(session, name, target, protocol)
    with model:
        with open_video(str(path)) as source:
            tensors = [model.preprocess.prepare(frame.image)[0] for frame in source]
        rates: dict[str, list[float]] = {"network alone": [], "demo, drawn": [], "demo, drawn and written": []}
        for turn in range(rounds + 1):
            rates["network alone"].append(network_alone(model, tensors, layout, session.context))
            rates["demo, drawn"].append(demo(session, model, layout, path, None))
            rates["demo, drawn and written"].append(demo(session, model, layout, path, folder / f"{turn}.mp4"))
    measured = {label: found[1:] for label, found in rates.items()}  # the first is warm-up
    print(f"{name} on {target}, {protocol or 'as its recipe says'}; {frames} frames, {rounds} rounds; {layout}\n")
    print(head("", "frames/s", "over the network alone (quartiles)", "aim"))
    for label, found in measured.items():
        aim = f"{AIM} ({STRETCH})" if label == "demo, drawn" else ""
        print(row(label, f"{statistics.median(found):.1f}", faster(found, measured["network alone"]), aim), flush=True)


def memory(session: Session, words: list[str], counts: list[int], folder: Path) -> None:
    """The table of the most memory."""
    print("\n" + head("frames", "frames/s of the whole command", "peak memory, MB", "more than for the first"))
    first = 0
    # one more run before: whoever comes first builds what is missing, and Numba compiles, which takes 100 MB
    for count in (FEW, *counts):
        video(session, folder / "long.mp4", count)
        ran = zoo("demo", *words, "--input", str(folder / "long.mp4"), "--save", str(folder / "seen.mp4"))
        if count == FEW:
            continue
        first = first or ran.peak
        print(row(count, f"{count / ran.seconds:.1f}", f"{ran.peak / 1e6:.1f}", f"{ran.peak / first - 1:+.1%}"), flush=True)


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--target", default="onnxruntime-int8")
    parser.add_argument("--protocol", default="lazy_256", help="of the recipe; '' for what it says itself (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--count", type=int, nargs="+", default=[100, 5000], help="frames of the runs whose memory is measured")
    given = parser.parse_args()
    session = Session.open()
    print(machine(session.context.threads), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        if given.frames:
            speed(session, given.recipe, given.target, given.protocol or None, given.frames, given.rounds, Path(folder))
        words = [given.recipe, "--target", given.target, *(["--protocol", given.protocol] if given.protocol else [])]
        memory(session, words, [count for count in given.count if count], Path(folder))


if __name__ == "__main__":
    main()
