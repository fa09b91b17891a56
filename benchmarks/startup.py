"""How long the command line takes when there is nothing to do, and which heavy modules it loads.

    python benchmarks/startup.py [RECIPE] [--runs 7]

The store is first brought up to date (with seeded weights where a recipe's cannot be had: `--rehearse`, which for the
others changes nothing); then whole processes are timed. What is imported is read from `python -X importtime` of the same command.
"""

import statistics
import sys
from pathlib import Path

from common import arguments, head, machine, row, run, zoo

HEAVY = ("torch", "cv2", "onnx", "onnxruntime", "openvino", "onnxsim", "polygraphy", "pycocotools", "requests", "pypi_simple")


def imported(words: list[str]) -> list[str]:
    """The heavy modules that the command loads."""
    lines = zoo(*words, options=("-X", "importtime")).told.splitlines()
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    return [name for name in HEAVY if name in names]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--eval", action="store_true", help="and `zoo eval --all --rehearse`, which first measures what is not known yet")
    given = parser.parse_args()
    one, everything = ["build", given.recipe], ["build", "--all", "--rehearse"]
    commands = [(["--help"], 0.25), (one, 0.4), (everything, 1.0)]
    if given.eval:
        commands.append((["eval", "--all", "--rehearse"], 1.0))
    for command, _ in commands:
        zoo(*command)
    # side by side: a slow moment of the machine falls on all alike
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(given.runs):
        for found, (command, _) in zip(times, commands, strict=True):
            found.append(zoo(*command).seconds)
    bare = [run(["-c", "pass"]).seconds for _ in range(given.runs)]
    print(machine(1), f"\npython -c pass: {statistics.median(bare):.3f} s, in {Path(sys.executable).name}\n")
    print(head("command", "median, s", "least - most", "aim, s", "heavy modules"))
    for found, (command, aim) in zip(times, commands, strict=True):
        spread = f"{min(found):.3f} - {max(found):.3f}"
        print(
            row(f"zoo {' '.join(command)}", f"{statistics.median(found):.3f}", spread, f"< {aim:g}", ", ".join(imported(command)) or "none")
        )


if __name__ == "__main__":
    main()
