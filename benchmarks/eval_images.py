"""What `zoo eval` takes, in time and memory, against the number of images.

    python benchmarks/eval_images.py [--count 100 1000 10000] [--target onnxruntime-int8]

human_pose_estimation_0001 in its protocol lazy_256: resized as 8-bit images, decoded without enlarging the maps. The images are those of
coco_mini, again and again: links in a folder that is made for this, with ids of their own in an annotation file of their own. Build and
timing are done before. Each line is a process of its own, the whole `zoo eval` of a count of images: it finds out what the files hold,
reads them, runs the network, decodes, judges, and writes results and leaderboard.
"""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from common import arguments, head, machine, make_workspace, pruned, row, zoo

from zoo.cli.session import Session
from zoo.datasets.images import Images

RECIPE, PROTOCOL = "human_pose_estimation_0001", "lazy_256"
#: images that are judged when everything is built
FEW = 8


def repeated(images: Images, count: int, folder: Path) -> dict[str, str]:
    """A dataset of `count` images in `folder`, as zoo.yaml declares it."""
    assert images.annotations is not None
    content = msgspec.json.decode(images.annotations.read_bytes())
    about = {one["id"]: one for one in content["images"]}
    annotated: dict[int, list[dict[str, Any]]] = {}
    for one in content["annotations"]:
        annotated.setdefault(one["image_id"], []).append(one)
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": content["categories"]}
    (folder / "images").mkdir(parents=True)
    for id in range(1, count + 1):
        sample = images.samples[(id - 1) % len(images)]
        name = f"{id:012}{sample.path.suffix}"
        (folder / "images" / name).symlink_to(sample.path.resolve())
        truth["images"].append({**about[sample.id], "id": id, "file_name": name})
        for one in annotated.get(sample.id, ()):
            truth["annotations"].append({**one, "id": len(truth["annotations"]) + 1, "image_id": id})
    (folder / "truth.json").write_bytes(msgspec.json.encode(truth))
    return {"type": "coco", "images": str(folder / "images"), "annotations": str(folder / "truth.json")}


def workspace(session: Session, target: str, counts: list[int], root: Path) -> None:
    """A workspace in `root` with a dataset of each of the counts, on which the recipe is judged in the one protocol."""
    recipe, declared = pruned(session, RECIPE, [target])
    images = session.place.declared.datasets["coco_mini"].open(session.context)
    for count in counts:
        declared["datasets"][name_of(count)] = repeated(images, count, root / "data" / name_of(count))
    (lazy,) = (one for one in recipe["evaluate"] if one["protocol"] == PROTOCOL)
    lazy.pop("against")
    recipe["evaluate"] = [{**lazy, "datasets": [*map(name_of, counts)]}]
    make_workspace(root, declared, [recipe])


def name_of(count: int) -> str:
    return f"repeated_{count}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--count", nargs="+", type=int, default=[100, 1000, 10000])
    parser.add_argument("--target", default="onnxruntime-int8")
    given = parser.parse_args()
    session = Session.open()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        workspace(session, given.target, [FEW, *given.count], root)

        def judged(count: int) -> Any:
            return zoo("eval", RECIPE, "-d", name_of(count), "--results", str(root / f"results_{count}"), "--workspace", folder)

        judged(FEW)  # builds, and times the network
        print(f"{machine(session.context.threads)}; {RECIPE} on {given.target}\n")
        columns = ("images", "seconds", "ms an image", "peak memory, MB", "more than for the first")
        print(head(*columns))
        first = 0
        for count in given.count:
            ran = judged(count)
            first = first or ran.peak
            cells = f"{ran.seconds:.1f}", f"{1000 * ran.seconds / count:.1f}", f"{ran.peak / 1e6:.1f}", f"{ran.peak / first - 1:+.1%}"
            print(row(count, *cells), flush=True)


if __name__ == "__main__":
    main()
