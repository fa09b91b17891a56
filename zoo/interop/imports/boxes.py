"""What a recipe of a top-down network says besides: which crops it is shown, and in which protocols of boxes it is judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from zoo.datasets import Coco, Folder
from zoo.errors import ZooError
from zoo.interop.imports.draft import Draft
from zoo.recipe.model import DETECTION, Recipe
from zoo.recipe.workspace import Place, read_recipe

#: the protocol of the figures in mmpose's metafiles of top-down networks
MMPOSE = "boxes of the detector with human AP 56.4, flip test"
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
#: datasets that networks of COCO's keypoints are judged on, by their names in zoo.yaml
_JUDGED = re.compile(r"coco_(val\d*|mini)")
DECODED = "mmpose"


def crops(made: Draft, size: tuple[int, int]) -> None:
    """The preprocessing of mmpose's top-down networks: a box a quarter larger, at the shape (height, width) of the input."""
    tall, wide = size
    fit = {"type": "box", "width": wide, "height": tall, "padding": 1.25}
    made.data["preprocess"] = {"fit": fit, "order": "resize_then_normalize", "colour": "rgb", **IMAGENET}
    made.remark("The file says nothing of the input but its size; this is what mmpose shows to its top-down networks.", "preprocess")


def judged(made: Draft, place: Place) -> str:
    """`evaluate` in the protocols that this workspace has boxes for, and `calibration` where a detector can find some. Gives the
    precision that a target may have besides fp32."""
    known = place.declared.datasets
    wanted = [name for name, one in known.items() if isinstance(one, Coco) and _JUDGED.fullmatch(name)]
    detector = min(_detectors(place), key=lambda one: DECODED not in _protocols(one), default=None)
    found: list[dict[str, Any]] = []
    files: dict[str, list[str]] = {}
    for name, dataset in known.items():
        for file in dataset.detections if isinstance(dataset, Coco) else ():
            files.setdefault(file, []).append(name)
    for file, names in files.items():
        own = "detection_file" if len(files) == 1 else f"detection_file_{file}"
        found += _both(own, f"the detection file {file}", names, {"type": "detections", "name": file})
    if wanted:
        found += _both("ground_truth_boxes", "the ground truth", wanted, {"type": "annotations"})
    if wanted and detector:
        protocol = {"protocol": DECODED} if DECODED in _protocols(detector) else {}
        boxes = {**_found(detector), **protocol}
        found += _both(f"{detector.name.partition('_')[0]}_boxes", detector.title.partition(",")[0], wanted, boxes)[:1]
    if found:
        made.data["evaluate"] = found
    calibration = next((name for name, one in known.items() if isinstance(one, Folder) and "calib" in name), None)
    if not detector or not calibration:
        return "fp32"
    method = {"method": {"type": "minmax"}}
    made.data["calibration"] = {"dataset": calibration, "boxes": _found(detector), "leave_out": True, **method}
    return "int8"


def _both(name: str, whose: str, datasets: list[str], boxes: dict[str, Any]) -> list[dict[str, Any]]:
    """A protocol without the flip test and with it."""
    plain: dict[str, Any] = {"protocol": name, "title": f"top-down, boxes of {whose}, no flip", "datasets": datasets, "boxes": boxes}
    return [plain, {**plain, "protocol": f"{name}_flip", "title": f"top-down, boxes of {whose}, flip test", "flip": True}]


def _found(detector: Recipe) -> dict[str, Any]:
    """The boxes that a detector finds."""
    return {"type": "detector", "recipe": detector.name}


def _detectors(place: Place) -> Iterator[Recipe]:
    """The workspace's recipes that find boxes, on the target that boxes are found on where nothing else is said."""
    for path in place.files():
        with suppress(ZooError):  # faults of other recipes are not this one's
            recipe = read_recipe(path, place)
            if isinstance(recipe, Recipe) and recipe.task == DETECTION and "onnxruntime-fp32" in recipe.targets:
                yield recipe


def _protocols(detector: Recipe) -> list[str]:
    return [one.protocol for one in detector.evaluate]
