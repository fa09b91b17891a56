"""How many times faster than ONNX Runtime's FP32 each target of a recipe is, network alone.

    python benchmarks/speed.py openpose_body --rehearse

Every target is timed in a process of its own, one after the other, in several rounds: two runtimes in one process disturb each
other (threads that spin after a call take the cores from the next), and what the machine does meanwhile hits all of a round alike.
"""

import argparse
import statistics

import numpy as np
from common import artifact, head, machine, ratio, row

from zoo.cli.session import Session, exit_code
from zoo.cli.wishes import actions_for, usable
from zoo.engine.joint import parts_on
from zoo.errors import StepFailed
from zoo.measure.isolated import run_isolated
from zoo.pose.fits import Stretch
from zoo.recipe.model import Recipe
from zoo.steps.bundle import preprocess
from zoo.steps.images import feeds
from zoo.steps.latency import time_network

REFERENCE = "onnxruntime-fp32"
IMAGES = 4


def main() -> None:
    """Build what the store lacks, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each target in each round")
    parser.add_argument("--rehearse", action="store_true", help="seed weights that cannot be had: the speed is the same")
    given = parser.parse_args()
    session = Session.open()
    (recipe,) = session.recipes([given.recipe], everything=False)
    if not isinstance(recipe, Recipe) or recipe.calibration is None:
        raise SystemExit("name a recipe of one network, with calibration images")
    workspace = session.place.declared
    targets = [name for name in usable(session, recipe) if workspace.targets[name].backend.runs]
    outcomes = session.carry_out(
        actions_for(session, [recipe], targets, rehearse=given.rehearse), jobs=1, again=lambda _: False, fail_fast=False
    )
    if exit_code(list(outcomes.values())) not in (0, 5):
        raise StepFailed("something was not built", "`zoo build` says what")
    compiled = {name: artifact(outcomes, f"{recipe.name}/{name}/compile") for name in targets}
    dataset, size = workspace.datasets[recipe.calibration.dataset], recipe.benchmark
    photos = outcomes.get(f"photos/{recipe.calibration.dataset}/fetch")
    folder = photos.artifact.path if photos and photos.artifact else None
    times: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(given.rounds):
        for name in targets:
            ready = preprocess(compiled[name]).with_fit(Stretch(width=size.width, height=size.height))
            tensors = [tensor for _, feed in feeds(dataset, folder, IMAGES, ready, "image", session.context) for tensor in feed.values()]
            backend = parts_on(recipe, name, workspace)[""].backend
            batches = [np.ascontiguousarray(tensor) for tensor in tensors]
            timing = run_isolated(time_network, backend, compiled[name], batches, given.seconds, 10, context=session.context).value.timing
            times[name].append(timing.median_ms)
    print(f"{recipe.name} at {size.height}x{size.width}; {machine(session.context.threads)}; {given.rounds} rounds\n")
    print(head("target", "median of a call, ms", f"times {REFERENCE}'s speed (quartiles)"))
    for name in targets:
        middle, low, high = ratio(times[REFERENCE], times[name])
        print(row(name, f"{statistics.median(times[name]):.1f}", f"{middle:.2f} ({low:.2f}-{high:.2f})"))


if __name__ == "__main__":
    main()
