"""How many times faster than ONNX Runtime's FP32 each target of a recipe is, network alone.

    python benchmarks/speed.py openpose_body --rehearse

Every target is timed in a process of its own, one after the other, in several rounds: two runtimes in one process disturb each
other (threads that spin after a call take the cores from the next), and what the machine does meanwhile hits all of a round alike.
"""

import statistics

from common import arguments, artifact, faster, head, machine, row

from zoo.cli.session import Session, exit_code
from zoo.cli.wishes import actions_for, usable
from zoo.errors import StepFailed
from zoo.measure.isolated import run_isolated
from zoo.recipe.model import Recipe
from zoo.steps.latency import MeasureLatency, time_network

REFERENCE = "onnxruntime-fp32"


def main() -> None:
    """Build what the store lacks, time, print."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("recipe")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each target in each round")
    parser.add_argument("--rehearse", action="store_true", help="seed weights that cannot be had: the speed is the same")
    given = parser.parse_args()
    session = Session.open()
    (recipe,) = session.recipes([given.recipe], everything=False)
    if not isinstance(recipe, Recipe):
        raise SystemExit("name a recipe of one network")
    workspace = session.place.declared
    targets = [name for name in usable(session, recipe) if workspace.targets[name].backend.runs]
    actions = actions_for(session, [recipe], targets, rehearse=given.rehearse, latency=True)
    timings = {action.id: (action.step, action.reads) for action in actions if isinstance(action.step, MeasureLatency)}
    outcomes = session.carry_out([action for action in actions if action.id not in timings], jobs=1, again=lambda _: False, fail_fast=False)
    if exit_code(list(outcomes.values())) not in (0, 5):
        raise StepFailed("something was not built", "`zoo build` says what")
    size = recipe.benchmark
    times: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(given.rounds):
        for name in targets:
            step, reads = timings[f"{recipe.name}/{name}/latency"]
            read = {role: artifact(outcomes, id) for role, id in reads.items()}
            batches, context = step.batches(read, session.context), session.context
            timing = run_isolated(time_network, step.backend, read["compiled"], batches, given.seconds, 10, context=context).value.timing
            times[name].append(timing.median_ms)
    print(f"{recipe.name} at {size.height}x{size.width}; {machine(session.context.threads)}; {given.rounds} rounds\n")
    print(head("target", "median of a call, ms", f"times {REFERENCE}'s speed (quartiles)"))
    for name in targets:
        print(row(name, f"{statistics.median(times[name]):.1f}", faster(times[REFERENCE], times[name])))


if __name__ == "__main__":
    main()
