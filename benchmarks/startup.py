"""How long the command line takes when there is nothing to do, and which heavy modules it loads.

    python benchmarks/startup.py [RECIPE] [--runs 7]

The store is first brought up to date (with seeded weights where a recipe's cannot be had: `--rehearse`, which for the
others changes nothing); then whole processes are timed. What is imported is read from `python -X importtime` of the same command.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import head, machine, row

HEAVY = ("torch", "cv2", "onnx", "onnxruntime", "openvino", "onnxsim", "polygraphy", "pycocotools", "requests", "pypi_simple")
ZOO = ("-c", "import sys; from zoo.cli import main; sys.argv[0] = 'zoo'; main()")


def run(arguments: list[str], *options: str) -> tuple[float, str]:
    """Seconds of the whole process, and what it wrote to standard error. Stops where it fails."""
    # bytecode is kept, as for anyone who installed it: some machines forbid that, and compiling takes 0.1 s
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *options, *ZOO, *arguments], capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 5):
        raise SystemExit(f"zoo {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, done.stderr


def imported(arguments: list[str]) -> list[str]:
    """The heavy modules that the command loads."""
    lines = run(arguments, "-X", "importtime")[1].splitlines()
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    return [name for name in HEAVY if name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    one, everything = ["build", given.recipe], ["build", "--all", "--rehearse"]
    commands = [(["--help"], 0.25), (one, 0.4), (everything, 1.0)]
    for command, _ in commands:
        run(command)
    # side by side: a slow moment of the machine falls on all alike
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(given.runs):
        for found, (command, _) in zip(times, commands, strict=True):
            found.append(run(command)[0])
    bare = [_bare() for _ in range(given.runs)]
    print(machine(1), f"\npython -c pass: {statistics.median(bare):.3f} s, in {Path(sys.executable).name}\n")
    print(head("command", "median, s", "least - most", "aim, s", "heavy modules"))
    for found, (command, aim) in zip(times, commands, strict=True):
        spread = f"{min(found):.3f} - {max(found):.3f}"
        print(
            row(f"zoo {' '.join(command)}", f"{statistics.median(found):.3f}", spread, f"< {aim:g}", ", ".join(imported(command)) or "none")
        )


def _bare() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
