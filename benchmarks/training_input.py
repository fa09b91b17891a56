"""How many examples a second are made for training, and where the time goes.

    python benchmarks/training_input.py [--workers 2] [--batch 16] [--batches 40] [--rounds 5]

Examples of coco_mini at 368 x 368 for lightweight_openpose, from the files to tensors in the process that trains, by so many processes.
Lightweight OpenPose's variations, the same with colours, and MindSpore's take turns. Then the parts of an example in one process on one
thread, the maps beside a plain drawing of them (tests/unit/plain_targets.py), which must be the same, and how long the annotations are
read before the first step: coco_mini's, repeated under other ids, in a process of its own.
"""

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from common import arguments, head, machine, open_recipe, plain_module, row, run

from zoo.datasets.images import Images
from zoo.pose.augment import Augment, Colour, Variation
from zoo.pose.preprocess import Preprocess
from zoo.training.examples import Examples
from zoo.training.labels import Labels
from zoo.training.loader import Parts
from zoo.training.mask_files import Masks
from zoo.training.masks import Ignore
from zoo.training.optimizers import Adam
from zoo.training.order import Order
from zoo.training.targets import Targets
from zoo.training.train import Train

AIM = 60
COLOURS = Colour(brightness=0.12, contrast=0.1, saturation=0.16, hue=20)
#: what a row calls each part, and whose method it is
PARTS = {
    "file to pixels": (Images, "read"),
    "what is varied": (Augment, "draw"),
    "colours and crop of the image": (Variation, "image"),
    "its tensor": (Preprocess, "prepare"),
    "keypoints": (Variation, "keypoints"),
    "heatmaps and PAFs": (Targets, "maps"),
    "what is ignored": (Masks, "mask_of"),
    "its crop": (Variation, "mask"),
}


def tasks() -> dict[str, Train]:
    """The ways in which examples are made."""
    lightweight = Train(dataset="coco_mini", optimizer=Adam(lr=1e-4), epochs=1, batch=1)
    mindspore = msgspec.structs.replace(
        lightweight,
        labels=Labels(per="image", learnt="counting"),
        ignore=Ignore(rule="crowds_and_poor"),
        targets=Targets(people="max", limbs="mean", region="band"),
        augment=Augment(scale=(0.5, 2), target=0, extent=(64, 512), spread=3, colour=COLOURS),
    )
    coloured = msgspec.structs.replace(lightweight, augment=Augment(colour=COLOURS))
    return {"Lightweight OpenPose's": lightweight, "the same with colours": coloured, "MindSpore's": mindspore}


def rate(examples: Examples, batch: int, batches: int, workers: int) -> tuple[float, float]:
    """Examples a second, from when the first batch is there on, and milliseconds of processor time that an example takes the processes
    that make them, which other work on the machine disturbs less."""
    order = Order(examples=len(examples), batch=batch, accumulate=1, seed=0)
    used = processor_time()
    parts = Parts(examples, order, 0, 0, batches + 1, workers=workers, pin=False)
    next(parts)
    started = time.perf_counter()
    for _ in range(batches):
        next(parts)
    seconds = time.perf_counter() - started
    del parts  # waits for them
    return batch * batches / seconds, (processor_time() - used) * 1000 / (batch * (batches + 1))


def processor_time() -> float:
    """Seconds, of the processes that were started here and have ended."""
    about = resource.getrusage(resource.RUSAGE_CHILDREN)
    return about.ru_utime + about.ru_stime


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Inside, the seconds of each of `PARTS` are added to `spent`."""
    kept = {name: getattr(owner, method) for name, (owner, method) in PARTS.items()}

    def timing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def timed_call(*given: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*given, **named)
            finally:
                spent[name] = spent.get(name, 0.0) + time.thread_time() - started

        return timed_call

    for name, (owner, method) in PARTS.items():
        setattr(owner, method, timing(name, kept[name]))
    try:
        yield
    finally:
        for name, (owner, method) in PARTS.items():
            setattr(owner, method, kept[name])


def by_part(examples: Examples, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of an example by part, and of the whole: the median over `rounds` epochs. Other work on the machine
    disturbs it less than the clock."""
    found: list[dict[str, float]] = []
    for epoch in range(rounds):
        spent: dict[str, float] = {}
        with timed(spent):
            started = time.thread_time()
            for index in range(len(examples)):
                examples[epoch, index]
            whole = time.thread_time() - started
        found.append({**spent, "the rest": whole - sum(spent.values()), "an example": whole})
    names = [*PARTS, "the rest", "an example"]
    return {name: statistics.median(one.get(name, 0.0) for one in found) * 1000 / len(examples) for name in names}


def drawings(examples: Examples, most: int = 20) -> tuple[float, float]:
    """Milliseconds of the maps of an example, as `Targets` draws them and plainly; stops where they differ."""
    plainly = plain_module("plain_targets").maps
    seconds = [0.0, 0.0]
    chosen = examples.scenes[:most]
    for scene in chosen:
        drawn = []
        for place, draw in enumerate((examples.task.targets.maps, lambda *given: plainly(examples.task.targets, *given))):
            started = time.thread_time()
            drawn.append(draw(scene.people, *examples.task.size))
            seconds[place] += time.thread_time() - started
        if not all(np.allclose(one, other, atol=1e-5) for one, other in zip(*drawn, strict=True)):
            raise SystemExit(f"the maps of {scene.sample.name} differ")
    return seconds[0] * 1000 / len(chosen), seconds[1] * 1000 / len(chosen)


#: reads the annotations in the folder that it is given; says how many scenes there are, and the seconds of processor time
_READ = """
import sys, time
from pathlib import Path
from zoo.datasets.coco import annotated
from zoo.training.labels import Labels
folder = Path(sys.argv[1])
images = annotated(folder, folder / "annotations.json")
started = time.thread_time()
scenes = Labels().scenes(images)
print(len(scenes), time.thread_time() - started)
"""


def reading(images: Images, times: int) -> tuple[Any, ...]:
    """The cells of a row: so many images, annotations and scenes, the seconds that the annotations took, and the most memory."""
    if images.annotations is None:
        raise SystemExit("coco_mini has no annotations")
    content = json.loads(images.annotations.read_bytes())
    several: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for turn in range(times):
        further = turn * 10**7
        several["images"] += [{**one, "id": one["id"] + further, "file_name": f"{one['id'] + further}.jpg"} for one in content["images"]]
        several["annotations"] += [{**one, "image_id": one["image_id"] + further} for one in content["annotations"]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "annotations.json"
        file.write_text(json.dumps({**content, **several}), encoding="utf-8")
        for image in several["images"]:
            (Path(folder) / image["file_name"]).touch()
        done = run(["-c", _READ, folder])
        size = file.stat().st_size
    scenes, seconds = done.said.split()
    counts = (len(several["images"]), len(several["annotations"]), f"{size / 1e6:.0f}", scenes)
    return (*counts, f"{float(seconds):.2f}", f"{done.peak / 1e6:.0f}")


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=40, help="in each round")
    options = parser.parse_args()
    session, recipe = open_recipe("lightweight_openpose")
    images = session.place.declared.datasets["coco_mini"].open(session.context)
    ways = {name: Examples(task, recipe.preprocess, images) for name, task in tasks().items()}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, examples in ways.items():
            rates[name].append(rate(examples, options.batch, options.batches, options.workers))
    print(machine(options.workers), end="\n\n")
    processes = f"{options.workers} processes"
    print(head("variations", "examples", f"images/s, {processes} (least - most)", "aim", "processor time, ms an image (least)"))
    for name, found in rates.items():
        rate_of, used = zip(*found, strict=True)
        shown = f"{statistics.median(rate_of):.0f} ({min(rate_of):.0f} - {max(rate_of):.0f})"
        print(row(name, len(ways[name]), shown, AIM, f"{statistics.median(used):.2f} ({min(used):.2f})"))
    cv2.setNumThreads(1)
    profiles = {name: by_part(examples, options.rounds) for name, examples in ways.items()}
    print("\n" + head("ms of an example, one process", *profiles))
    for part in next(iter(profiles.values())):
        print(row(part, *(f"{profile[part]:.2f}" for profile in profiles.values())))
    print("\n" + head("maps of whole scenes", "`Targets.maps`, ms", "plainly, ms", "times as fast"))
    for name, examples in ways.items():
        ours, plain = drawings(examples)
        print(row(name, f"{ours:.2f}", f"{plain:.0f}", f"{plain / ours:.0f}"))
    print("\n" + head("images", "annotations", "file, MB", "images learnt from", "read, s", "most memory of the process, MB"))
    for times in (50, 500):
        print(row(*reading(images, times)))


if __name__ == "__main__":
    main()
