"""What a command costs when there is nothing to do, against the number of recipes.

    python benchmarks/recipes.py [RECIPE] [--counts 1 10 100] [--targets onnxruntime-fp32 openvino-fp32] [--runs 5]

A recipe is copied under other names into a temporary workspace that has its own store. Everything is first built, judged on
coco_mini and timed (which is done once: the copies differ in nothing but their names); then whole processes are timed that
find all of it known. The sizes take turns, so that a slow moment of the machine falls on all alike.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import yaml
from common import head, machine, row
from startup import run

from zoo.cli.session import Session

COMMANDS = {"build": ["build", "--all"], "plan": ["plan", "--all"], "eval": ["eval", "--all"], "board": ["board"]}


def workspace(root: Path, recipe: dict[str, Any], declared: dict[str, Any], count: int) -> Path:
    """A workspace in `root` of `count` recipes that differ in their names."""
    folder = root / f"{count}"
    (folder / "recipes").mkdir(parents=True)
    (folder / "zoo.yaml").write_text(yaml.safe_dump(declared))
    for number in range(count):
        name = f"{recipe['name']}_{number}"
        (folder / f"recipes/{name}.yaml").write_text(yaml.safe_dump({**recipe, "name": name}))
    return folder


def pruned(session: Session, name: str, targets: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe of some targets, judged in one protocol on coco_mini, and a zoo.yaml whose paths hold everywhere."""
    place = session.place
    recipe = yaml.safe_load(place.find(name).read_text())
    recipe["targets"] = {target: recipe["targets"][target] for target in targets}
    judged = [one for one in recipe["evaluate"] if "coco_mini" in one["datasets"]]
    recipe["evaluate"] = [{**one, "datasets": ["coco_mini"], "gates": {}} for one in judged[:1]]
    declared = yaml.safe_load((place.root / "zoo.yaml").read_text())
    declared["environment"] = {key: str((place.root / value).resolve()) for key, value in declared["environment"].items()}
    declared["mirrors"] = [str(path) for path in session.context.mirrors]
    return recipe, declared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 10, 100])
    parser.add_argument("--targets", nargs="+", default=["onnxruntime-fp32", "openvino-fp32"])
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    session = Session.open()
    recipe, declared = pruned(session, given.recipe, given.targets)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        places = {count: workspace(root, recipe, {**declared, "store": str(root / "store")}, count) for count in given.counts}
        for place in places.values():
            run(["eval", "--all", "--workspace", str(place)])
        times: dict[tuple[int, str], list[float]] = {(count, name): [] for count in places for name in COMMANDS}
        for _ in range(given.runs):
            for (count, name), found in times.items():
                found.append(run([*COMMANDS[name], "--workspace", str(places[count])])[0])
    print(machine(1), "\n")
    print(head("recipes", "targets", *(f"`zoo {' '.join(words)}`, s" for words in COMMANDS.values()), "most eval, ms a target"))
    for count in given.counts:
        cells = [f"{statistics.median(times[count, name]):.2f}" for name in COMMANDS]
        print(row(count, count * len(given.targets), *cells, f"{1000 * max(times[count, 'eval']) / count / len(given.targets):.1f}"))


if __name__ == "__main__":
    main()
