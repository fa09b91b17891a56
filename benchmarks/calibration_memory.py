"""How much memory and time calibration takes, by method and number of images, each in a process of its own.

    python benchmarks/calibration_memory.py MODEL.onnx [--images 20 67 300] [--sizes fixed dynamic] [--methods minmax ...]

The images are noise: memory depends on their sizes alone. `fixed` is 256x456; `dynamic` has the height 368 and
widths from 368 to 656, as the original evaluation protocol gives them. Prints a Markdown table.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from common import arguments, head, row, run

METHODS = ("minmax", "entropy", "percentile")


def feeds(name: str, count: int, sizes: str) -> Iterator[dict[str, Any]]:
    """`count` inputs of the named kind of sizes."""
    random = np.random.default_rng(0)
    for index in range(count):
        height, width = (256, 456) if sizes == "fixed" else (368, 368 + 8 * (index * 7 % 37))
        yield {name: random.normal(0, 0.3, (1, 3, height, width)).astype(np.float32)}


def measure(model: Path, method: str, images: int, sizes: str) -> float:
    """Quantise once; seconds. The memory of this process is looked at from outside."""
    import onnx

    from zoo.calibrators import Calibrator
    from zoo.calibrators.quantize import quantize
    from zoo.context import Context

    name = onnx.load(model).graph.input[0].name
    calibrator = msgspec.convert({"type": method}, Calibrator)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        context = Context(root=root, cache=root, threads=2)
        quantize(model, root / "int8.onnx", feeds(name, images, sizes), calibrator=calibrator, scheme="u8s8", context=context)
    return time.perf_counter() - started


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[20, 67, 300])
    parser.add_argument("--sizes", nargs="+", choices=("fixed", "dynamic"), default=["fixed", "dynamic"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--one", action="store_true", help="measure the first of each in this process and print its seconds")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.model, given.methods[0], given.images[0], given.sizes[0])))
        return
    print(head("sizes", "method", "images", "peak memory, GB", "seconds"))
    for sizes in given.sizes:
        for method in given.methods:
            for images in given.images:
                one = run([__file__, str(given.model), "--one", "--sizes", sizes, "--methods", method, "--images", str(images)])
                print(row(sizes, method, images, f"{one.peak / 1e9:.2f}", f"{json.loads(one.said):.1f}"), flush=True)


if __name__ == "__main__":
    main()
