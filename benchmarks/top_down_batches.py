"""What batches bring end to end: all of rtmdet_simplepose with several images a call, and simplepose's network with several crops.

    OMP_NUM_THREADS=1 python benchmarks/top_down_batches.py [--rounds 25]

The networks are built, the images coco_mini's; targets and batches take turns, with one thread each.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Any

from common import faster, head, on_one_thread, row, side_by_side
from persons import CALL, somebody

import zoo.api
from zoo.pipelines.crops import CropEstimator
from zoo.pipelines.estimator import PoseModel, run
from zoo.pose.keypoints import Poses

IMAGES, INPUTS = (1, 2, 4, 8), (1, 8, 32)
TARGETS = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8")


def batches(rounds: int) -> None:
    """The tables of the built networks: all targets and batches in turns."""
    pictures = [image for _, image in islice(zoo.api.images("coco_mini", offline=True), IMAGES[-1])]

    def whole(model: PoseModel, count: int) -> list[Poses]:
        return [one for start in range(0, len(pictures), count) for one in model.many(pictures[start : start + count])]

    with opened("rtmdet_simplepose", CALL) as models:
        found = {target: sum(map(len, whole(model, 1))) / len(pictures) for target, model in models.items()}
        several = {(target, count): partial(whole, model, count) for target, model in models.items() for count in IMAGES}
        times = side_by_side(several, rounds, block=1)
    print(head("rtmdet_simplepose on", "people an image", "images a call", "images/s", "times one a call (quartiles)"))
    for target, count in several:
        print(row(target, f"{found[target]:.1f}", count, *rate(len(pictures), times, target, count)))

    people = somebody(INPUTS[-1])
    with opened("simplepose", INPUTS[-1]) as models:
        alone: dict[tuple[str, int], Callable[[], Any]] = {}
        for target, model in models.items():
            assert isinstance(model, CropEstimator)
            tensor, _ = model.preprocess.prepare_crops([one.pixels for one in people], [one.box for one in people])
            alone |= {(target, count): partial(run, model.runner, tensor, count) for count in INPUTS}
        times = side_by_side(alone, rounds, block=1)
    print("\n" + head("simplepose's network on", "crops a call", "crops/s", "times one a call (quartiles)"))
    for target, count in alone:
        print(row(target, count, *rate(len(people), times, target, count)))


@contextmanager
def opened(name: str, batch: int) -> Iterator[dict[str, PoseModel]]:
    """The recipe on each target, with one thread."""
    with ExitStack() as stack:
        loaded = (zoo.api.load(name, target, offline=True, threads=1, batch=batch) for target in TARGETS)
        yield {target: stack.enter_context(model) for target, model in zip(TARGETS, loaded, strict=True)}


def rate(units: int, times: Mapping[tuple[str, int], Sequence[float]], target: str, count: int) -> tuple[str, str]:
    """How many of `units` a second with `count` in a call, and how much that is beside one."""
    own = times[target, count]
    return f"{units / statistics.median(own):.1f}", faster(times[target, 1], own)


if __name__ == "__main__":
    on_one_thread(__doc__, batches, rounds=25)
