"""Time and memory of building one recipe for one target from an empty store.

    python benchmarks/build.py [RECIPE] [--target onnxruntime-fp32]

The workspace is copied to a temporary folder without its store (mirrors are found as before). Memory is read while the
build runs: the sum of the resident memory of the process and its children, every 20 ms, and the greatest VmHWM of one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ZOO, arguments, head, machine, open_recipe, row


def tree(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def memory(pid: int) -> tuple[int, int]:
    """Bytes: resident now, and the most that it ever was."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(fields[name].split()[0]) * 1024 if name in fields else 0 for name in ("VmRSS", "VmHWM"))
    return now, most


def build(workspace: Path, recipe: str, target: str, environment: dict[str, str]) -> tuple[float, int, int]:
    """Seconds, the most memory of all processes together, the most of one."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *ZOO, "build", recipe, "-t", target, "--workspace", str(workspace)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    together = single = 0
    while process.poll() is None:
        try:
            sizes = [memory(pid) for pid in tree(process.pid)]
            together = max(together, sum(now for now, _ in sizes))
            single = max([single, *(most for _, most in sizes)])
        except (OSError, ValueError):
            pass  # one of them ended while it was looked at
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 5):
        raise SystemExit(process.stderr.read().decode()[-2000:] if process.stderr else "it failed")
    return seconds, together, single


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--target", action="append", help="repeatable; default onnxruntime-fp32, onnxruntime-int8, openvino-fp32")
    given = parser.parse_args()
    session, recipe = open_recipe(given.recipe)
    environment = {**os.environ, **session.place.environment}
    print(machine(session.context.threads) + "\n\n" + head("recipe", "target", "seconds", "most memory, GB", "of one process, GB"))
    for target in given.target or ["onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32"]:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Path(folder)
            shutil.copy(session.place.root / "zoo.yaml", workspace)
            shutil.copytree(session.place.recipes, workspace / session.place.declared.recipes)
            seconds, together, single = build(workspace, recipe.name, target, environment)
        print(row(recipe.name, target, f"{seconds:.1f}", f"{together / 1e9:.2f}", f"{single / 1e9:.2f}"), flush=True)


if __name__ == "__main__":
    main()
