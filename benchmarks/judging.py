"""Time and memory of judging against the number of images.

    python benchmarks/judging.py ANNOTATIONS.json DETECTIONS.json [--counts 100 1000 10000]

ANNOTATIONS are COCO's keypoint annotations, DETECTIONS what was found in their images (detections.json of an accuracy). Both are
repeated under other ids to so many images. Each line is a process of its own that judges what is read from a file of JSON lines,
or, as a reference, from a list of all of it; `bare` has only loaded what both need, before it reads anything.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from common import arguments, head, machine, row, run

from zoo.metrics import CocoOks

WAYS = ("bare", "JSON lines", "list")


def repeated(annotations: Path, detections: Path, count: int, folder: Path) -> list[int]:
    """Write truth.json and found.jsonl of `count` images into `folder`; gives their ids."""
    content = msgspec.json.decode(annotations.read_bytes())
    found: dict[int, list[dict[str, Any]]] = {}
    for one in msgspec.json.decode(detections.read_bytes()):
        found.setdefault(one["image_id"], []).append(one)
    annotated: dict[int, list[dict[str, Any]]] = {}
    for one in content["annotations"]:
        annotated.setdefault(one["image_id"], []).append(one)
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": content["categories"]}
    with (folder / "found.jsonl").open("wb") as lines:
        for id in range(1, count + 1):
            image = content["images"][id % len(content["images"])]
            truth["images"].append({**image, "id": id})
            truth["annotations"] += [{**one, "image_id": id} for one in annotated.get(image["id"], ())]
            for one in found.get(image["id"], ()):
                lines.write(msgspec.json.encode({**one, "image_id": id}) + b"\n")
    (folder / "truth.json").write_bytes(msgspec.json.encode(truth))
    return list(range(1, count + 1))


def stream(path: Path) -> Iterator[dict[str, Any]]:
    """The detections of a file of JSON lines, one after the other."""
    with path.open("rb") as lines:
        yield from map(msgspec.json.decode, lines)


def judge(folder: Path, count: int, way: str) -> dict[str, Any]:
    """What judging one way took; runs in a process of its own."""
    from pycocotools import cocoeval

    assert cocoeval  # loaded before anything is measured
    figures: dict[str, float] = {}
    started = time.perf_counter()
    if way != "bare":
        lines = stream(folder / "found.jsonl")
        figures = CocoOks().evaluate(folder / "truth.json", range(1, count + 1), lines if way == "JSON lines" else list(lines))
    return {"seconds": time.perf_counter() - started, "figures": figures}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("detections", type=Path)
    parser.add_argument("--counts", nargs="+", type=int, default=[100, 1000, 10000])
    parser.add_argument("--judge", nargs=2, metavar=("COUNT", "WAY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.judge:
        # a child: `annotations` is the folder of what was repeated
        print(msgspec.json.encode(judge(given.annotations, int(given.judge[0]), given.judge[1])).decode())
        return
    print(machine(1), "\n")
    print(head("images", "truth, MB", "way", "seconds", "peak memory, MB", "over bare, MB", "AP"))
    for count in given.counts:
        with tempfile.TemporaryDirectory() as folder:
            repeated(given.annotations, given.detections, count, Path(folder))
            size = (Path(folder) / "truth.json").stat().st_size / 1e6
            bare = 0
            for way in WAYS:
                child = run([__file__, folder, folder, "--judge", str(count), way])
                said, bare = msgspec.json.decode(child.said), bare or child.peak
                cells = f"{said['seconds']:.2f}", f"{child.peak / 1e6:.0f}", f"{(child.peak - bare) / 1e6:.1f}"
                print(row(count, f"{size:.1f}", way, *cells, said["figures"].get("AP", "")))


if __name__ == "__main__":
    main()
