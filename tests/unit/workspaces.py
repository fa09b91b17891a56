"""A small workspace for tests: zoo.yaml, a tree in COCO's real layout, other photographs to calibrate on, and a recipe
whose network is real, with seeded weights in a checkpoint of torch's."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

WORKSPACE = """\
format: 1
machine: here
environment: {ZOO_COCO: coco}
mirrors: [mirror]
datasets:
  coco_val2017:
    type: coco
    title: COCO val2017
    images: $ZOO_COCO/val2017
    annotations: $ZOO_COCO/annotations/person_keypoints_val2017.json
  coco_train2017:
    type: coco
    images: $ZOO_COCO/train2017
    annotations: $ZOO_COCO/annotations/person_keypoints_train2017.json
  other:
    type: folder
    images: other
targets:
  onnxruntime-fp32: {backend: {type: onnxruntime}, precision: fp32}
  onnxruntime-fp16: {backend: {type: onnxruntime}, precision: fp16}
  onnxruntime-int8: {backend: {type: onnxruntime}, precision: int8}
  openvino-fp32: {backend: {type: openvino}, precision: fp32}
  openvino-fp32-folded: {backend: {type: openvino}, precision: fp32}
  openvino-bf16: {backend: {type: openvino}, precision: bf16}
  openvino-int8: {backend: {type: openvino}, precision: int8}
  tensorrt-fp32: {backend: {type: tensorrt}, precision: fp32, device: "cuda:0"}
  tensorrt-rtx-fp32: {backend: {type: tensorrt_rtx}, precision: fp32, device: "cuda:0"}
  tensorrt-rtx-fp16: {backend: {type: tensorrt_rtx}, precision: fp16, device: "cuda:0"}
  tensorrt-rtx-int8: {backend: {type: tensorrt_rtx}, precision: int8, device: "cuda:0"}
"""

RECIPE = """\
format: 1
name: tiny
title: A tiny network
task: body_pose
licences: {weights: unknown, code: unknown, data: unknown}
weights:
  - type: file
    files:
      - name: tiny.pth
        path: tiny.pth
        hash: none
    reader: {type: pth, file: tiny.pth}
model: {type: lightweight_openpose, refinement_stages: 1, channels: 8}
export:
  input: data
  shape: [1, 3, 64, 64]
preprocess:
  fit: {type: height, height: 64, multiple: 8, place: center, min_width: 64}
  order: normalize_then_resize
  colour: bgr
  mean: [128, 128, 128]
  std: [256, 256, 256]
edits:
  - type: onnxsim
targets:
  onnxruntime-fp32:
calibration: {dataset: other, images: 2, method: {type: minmax}}
decode: {type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs}
evaluate:
  - protocol: original
    title: The original's evaluation
    datasets: [coco_val2017, coco_train2017]
benchmark: {height: 64, width: 64}
"""

HAND = """\
format: 1
name: hand
title: Hands by landmarks
task: hand_pose
licences: {weights: unknown, code: unknown, data: hands}
weights:
  - type: file
    files: [{name: hand.pth, path: hand.pth, hash: none}]
    reader: {type: pth, file: hand.pth}
model: {type: hand_landmark}
export: {input: image, shape: [1, 3, 224, 224], dynamic: [batch]}
preprocess:
  fit: {type: letterbox, width: 224, height: 224, interpolation: linear, pad: [0, 0, 0]}
  colour: rgb
  std: [255, 255, 255]
edits:
  - type: onnxsim
targets:
  onnxruntime-fp32:
  openvino-fp32:
calibration: {dataset: other, images: 1}
decode: {type: landmarks, landmarks: landmarks, presence: presence, threshold: 0}
benchmark: {height: 224, width: 224}
"""

#: `tiny`, then `hand`. Its crops are small, as its pictures are
BOTH = """\
format: 1
name: both
title: A tiny body and its hands
task: body_hand_pose
pipeline: {type: body_hands, body: tiny, hand: hand, crops: {least: 4}}
targets:
  onnxruntime-fp32:
evaluate:
  - protocol: together
    title: Body and hands
    datasets: [coco_val2017]
benchmark: {dataset: coco_val2017, images: 2}
"""

MODEL = {"refinement_stages": 1, "channels": 8}


def changed(text: str, *changes: tuple[str, str]) -> str:
    """`text` with each (old, new) exchanged. `old` stands in it once, so that no test changes nothing."""
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the recipe"
        text = text.replace(old, new)
    return text


def position(text: str, word: str) -> str:
    """`line:column` of the first `word` in `text`, from 1."""
    before = text[: text.index(word)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class Said(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


Zoo = Callable[..., Said]


def made(said: Said) -> list[str]:
    """The actions that a run carried out."""
    return re.findall(r"^  made  (\S+)", said.err, re.MULTILINE)


def states(zoo: Zoo, *words: str) -> dict[str, str]:
    """Action -> what `zoo plan` says of it."""
    return {action["id"]: action["state"] for action in json.loads(zoo("plan", *words, "--json").out)}


@dataclass(frozen=True)
class Small:
    """A workspace in a folder of the test's."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Small:
        """Write zoo.yaml and the recipe `tiny`; images and weights are written when they are asked for."""
        small = cls(root)
        (root / "recipes").mkdir(parents=True)
        (root / "zoo.yaml").write_text(WORKSPACE)
        small.recipe()
        return small

    @classmethod
    def entered(cls, root: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
        """A workspace with images, in the current folder."""
        small = cls.make(root)
        small.images()
        monkeypatch.chdir(root)
        monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
        return small

    def copied(self, root: Path) -> Small:
        """The same workspace in the folder `root`; the store's objects, which never change, under second names."""
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("objects"), copy_function=shutil.copy2)
        shutil.copytree(self.root / ".zoo/objects", root / ".zoo/objects", copy_function=os.link)
        return Small(root)

    def recipe(self, *changes: tuple[str, str], name: str = "tiny", text: str = RECIPE) -> str:
        """Write recipes/<name>.yaml and return its text."""
        text = changed(text, *changes)
        (self.root / "recipes" / f"{name}.yaml").write_text(text)
        return text

    def pipeline(self, *changes: tuple[str, str], hand: tuple[tuple[str, str], ...] = ()) -> str:
        """Write the recipes `hand` and `both`, with their changes, and return the text of the latter."""
        self.recipe(*hand, name="hand", text=HAND)
        return self.recipe(*changes, name="both", text=BOTH)

    def images(self, count: int = 3) -> list[Path]:
        """COCO's real layout under coco/, and other images to calibrate on under other/."""
        folder = self.root / "coco" / "val2017"
        paths = [folder / f"{number:012d}.jpg" for number in range(1, count + 1)]
        for seed, path in enumerate(paths):
            picture(path, seed)
        for seed in range(2):
            picture(self.root / "other" / f"{seed}.png", 100 + seed)
        people = {number: [person(number)] for number in range(1, count + 1)}
        annotate(self.root / "coco/annotations/person_keypoints_val2017.json", people, {n: p.name for n, p in enumerate(paths, 1)})
        return paths

    def artifact(self, id: str) -> Path:
        """The folder of what the newest action called `id` made."""
        records = sorted((self.root / ".zoo/actions").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        found = [done["artifact"] for done in (json.loads(path.read_text()) for path in records) if done["id"] == id]
        return self.root / ".zoo/objects" / found[-1]

    def teach(self, cell: str, labels: Path) -> None:
        """Make every second person that was found in the accuracy `cell` one that is there, so that its AP is neither 0 nor 1."""
        content = json.loads(labels.read_text())
        people: dict[int, list[list[list[float]]]] = {image["id"]: [] for image in content["images"]}
        for found in json.loads((self.artifact(cell) / "detections.json").read_text())[::2]:
            points = np.reshape(found["keypoints"], (17, 3))
            points[:, 2] = np.where(points[:, 2] > 0, 2, 0)
            people[found["image_id"]].append(points.tolist())
        annotate(labels, people, {image["id"]: image["file_name"] for image in content["images"]})

    def published(self) -> dict[str, bytes]:
        """Everything that is committed of results."""
        paths = [*sorted((self.root / "results").rglob("*.json")), self.root / "LEADERBOARD.md"]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}

    def weights(self, name: str = "tiny.pth", *, arms: bool = False) -> Path:
        """A checkpoint of the network with seeded weights, as the originals save theirs; `hand.pth` is that of `hand`.
        With `arms` there are more maxima, and fields that lead to the lower right: whole arms are found, which have hands."""
        import torch

        path, weights = self.root / name, state("hand_landmark" if name == "hand.pth" else "lightweight_openpose")
        if arms:
            for maps, more in (("heatmaps", 0.4), ("pafs", 0.5)):
                weights[f"refinement_stages.0.{maps}.1.0.bias"] += more
        torch.save({"state_dict": weights, "iter": 7}, path)
        return path


def state(model: str = "lightweight_openpose") -> dict[str, Any]:
    """Seeded weights for the network of `RECIPE`, or of `HAND`."""
    import torch

    from zoo.models import HandLandmark, LightweightOpenPose
    from zoo.weights.seeded import seeded_state

    record = HandLandmark() if model == "hand_landmark" else LightweightOpenPose(**MODEL)
    layout = {name: (tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in record.module().state_dict().items()}
    return {name: torch.from_numpy(value) for name, value in seeded_state(layout, record.gains).items()}


def picture(path: Path, seed: int, height: int = 96, width: int = 128) -> None:
    """A picture of blurred noise, the same for the same seed."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def person(seed: int) -> list[list[float]]:
    """17 visible keypoints (x, y, 2) somewhere in a picture."""
    points = np.random.default_rng(seed).uniform((10, 10), (118, 86), (17, 2))
    return [[float(x), float(y), 2] for x, y in points.round(1)]


def annotate(path: Path, people: dict[int, list[list[list[float]]]], names: dict[int, str], height: int = 96, width: int = 128) -> None:
    """Keypoint annotations as COCO publishes them: `people` of each image id, as lists of 17 (x, y, visibility)."""
    annotations = []
    for image, group in people.items():
        for points in group:
            xs, ys = [p[0] for p in points if p[2]], [p[1] for p in points if p[2]]
            box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box, "area": box[2] * box[3],
                    "num_keypoints": sum(p[2] > 0 for p in points), "keypoints": [value for point in points for value in point],
                    "segmentation": [],
                }
            )  # fmt: skip
    sides = [f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")]
    keypoints = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *sides]
    content = {
        "info": {"description": "COCO 2017 Dataset"},
        "licenses": [],
        "images": [{"id": id, "file_name": name, "height": height, "width": width, "license": 1} for id, name in names.items()],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person", "keypoints": keypoints, "skeleton": []}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


#: the command line, stopped by `signal` when it has written down `most` images, each of which it names
STOPPING = """
import os, signal, sys
from zoo.journal import Journal
add, written = Journal.add, []
def wrapped(self, name, value):
    add(self, name, value)
    written.append(name)
    print("image", name, file=sys.stderr, flush=True)
    if len(written) == {most}:
        os.kill(os.getpid(), signal.{signal})
Journal.add = wrapped
from zoo.cli import main
main()
"""
