"""How long `zoo audit` takes over many files.

    python benchmarks/audit.py [--files 1000] [--runs 3]

Copies of the samples in $ZOO_ASSETS/foreign, each with another number in it, in a temporary folder; whole processes are timed.
"""

import json
import statistics
import tempfile
from pathlib import Path

from common import arguments, head, machine, row, zoo

from zoo.recipe.workspace import open_place


def copies(samples: Path, folder: Path, count: int) -> None:
    """`count` files: all samples, again and again, each set in folders of its own and no two with the same bytes."""
    files = sorted(path for path in samples.rglob("*") if path.is_file())
    for number in range(count):
        path = files[number % len(files)]
        target = folder / f"set{number // len(files):04}" / path.relative_to(samples)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        target.write_text(text.rstrip("\n") + f"\n{' ' * number}\n" if path.suffix == ".json" else f"# {number}\n{text}", encoding="utf-8")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies(open_place().context().path("$ZOO_ASSETS/foreign"), Path(folder), given.files)
        runs = [zoo("audit", "--json", folder, accepted=(1,)) for _ in range(given.runs)]
    report, seconds = json.loads(runs[-1].said), [one.seconds for one in runs]
    print(machine(1), "\n")
    print(head("files", "pairs", "findings", "median, s (aim < 5)", "least - most"))
    spread = f"{min(seconds):.2f} - {max(seconds):.2f}"
    print(row(given.files, len(report["pairs"]), len(report["findings"]), f"{statistics.median(seconds):.2f}", spread))


if __name__ == "__main__":
    main()
