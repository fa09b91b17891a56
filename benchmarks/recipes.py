"""What a command costs when there is nothing to do, against the number of recipes.

    python benchmarks/recipes.py [RECIPE] [--counts 1 10 100] [--targets onnxruntime-fp32 openvino-fp32] [--runs 5]

A recipe is copied under other names into a temporary workspace that has its own store. Everything is first built, judged on
coco_mini and timed (which is done once: the copies differ in nothing but their names); then whole processes are timed that
find all of it known. The sizes take turns, so that a slow moment of the machine falls on all alike.
"""

import statistics
import tempfile
from pathlib import Path

from common import arguments, head, machine, make_workspace, pruned, row, zoo

from zoo.cli.session import Session

COMMANDS = {"build": ["build", "--all"], "plan": ["plan", "--all"], "eval": ["eval", "--all"], "board": ["board"]}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 10, 100])
    parser.add_argument("--targets", nargs="+", default=["onnxruntime-fp32", "openvino-fp32"])
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    session = Session.open()
    recipe, declared = pruned(session, given.recipe, given.targets)
    judged = [one for one in recipe["evaluate"] if "coco_mini" in one["datasets"] and "against" not in one]
    recipe["evaluate"] = [{**one, "datasets": ["coco_mini"], "gates": {}} for one in judged[:1]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        places = {count: root / f"{count}" for count in given.counts}
        for count, place in places.items():
            copies = [{**recipe, "name": f"{recipe['name']}_{number}"} for number in range(count)]
            make_workspace(place, {**declared, "store": str(root / "store")}, copies)
            zoo("eval", "--all", "--workspace", str(place))
        times: dict[tuple[int, str], list[float]] = {(count, name): [] for count in places for name in COMMANDS}
        for _ in range(given.runs):
            for (count, name), found in times.items():
                found.append(zoo(*COMMANDS[name], "--workspace", str(places[count])).seconds)
    print(machine(1), "\n")
    print(head("recipes", "targets", *(f"`zoo {' '.join(words)}`, s" for words in COMMANDS.values()), "most eval, ms a target"))
    for count in given.counts:
        cells = [f"{statistics.median(times[count, name]):.2f}" for name in COMMANDS]
        print(row(count, count * len(given.targets), *cells, f"{1000 * max(times[count, 'eval']) / count / len(given.targets):.1f}"))


if __name__ == "__main__":
    main()
