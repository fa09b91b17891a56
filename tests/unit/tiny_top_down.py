"""A top-down workspace for tests: a detector, a network that looks at its boxes, and both as a pipeline; each is a small ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from workspaces import Small

FINDER = """\
format: 1
name: finder
title: A tiny detector
task: person_detection
licences: {weights: unknown, code: unknown, data: unknown}
weights:
  - type: file
    files: [{name: finder.onnx, path: finder.onnx, hash: none}]
    reader: {type: onnx, file: finder.onnx}
model: {type: onnx, outputs: {stride_8: 5, stride_16: 5, stride_32: 5}, size: [64, 64]}
export: {input: data, shape: [1, 3, 64, 64], dynamic: [batch]}
preprocess:
  fit: {type: letterbox, width: 64, height: 64, interpolation: linear, pad: [0, 0, 0]}
  std: [255, 255, 255]
targets:
  onnxruntime-fp32:
  openvino-fp32:
decode: {type: rtmdet, stride_8: stride_8, stride_16: stride_16, stride_32: stride_32, threshold: 0.1}
evaluate:
  - protocol: boxes
    title: Boxes
    datasets: [coco_val2017]
    metric: {type: coco_bbox}
benchmark: {height: 64, width: 64}
"""

POSER = """\
format: 1
name: poser
title: A tiny network of one person
task: body_pose
licences: {weights: unknown, code: unknown, data: unknown}
weights:
  - type: file
    files: [{name: poser.onnx, path: poser.onnx, hash: none}]
    reader: {type: onnx, file: poser.onnx}
model: {type: onnx, outputs: {maps: 17}, keypoints: 17, size: [32, 24]}
export: {input: data, shape: [1, 3, 32, 24], dynamic: [batch]}
preprocess:
  fit: {type: box, width: 24, height: 32}
  std: [255, 255, 255]
targets:
  onnxruntime-fp32:
decode: {type: heatmap_peaks, heatmaps: maps}
evaluate:
  - protocol: given
    title: boxes of the ground truth
    datasets: [coco_val2017]
    boxes: {type: annotations}
"""

#: a second protocol of `poser`
FOUND = """\
  - protocol: found
    title: boxes that a detector finds
    datasets: [coco_val2017]
    boxes: {type: detector, recipe: finder, most: 3}
"""

END = "benchmark: {height: 32, width: 24}\n"

BOTH = """\
format: 1
name: top_down
title: A tiny detector and a tiny network of one person
task: body_pose
pipeline: {type: top_down, detector: finder, pose: poser, most: 3}
targets:
  onnxruntime-fp32:
evaluate:
  - protocol: together
    title: Whom the detector finds
    datasets: [coco_val2017]
benchmark: {dataset: coco_val2017, images: 2}
"""


def make(root: Path) -> Small:
    """The workspace of `workspaces.py` with the recipes `finder`, `poser` and `top_down` beside its own; weights and images too."""
    small = Small.make(root)
    small.recipe(name="finder", text=FINDER)
    poser(small)
    small.recipe(name="top_down", text=BOTH)
    small.images()
    finder_file(root / "finder.onnx")
    poser_file(root / "poser.onnx")
    return small


def poser(small: Small, *changes: tuple[str, str], found: str = FOUND) -> str:
    """Write the recipe `poser` and return its text; `found` is what follows its protocol `given`."""
    return small.recipe(*changes, name="poser", text=POSER + found + END)


def finder_file(path: Path, gain: float = 12.0) -> None:
    """A network that finds people of 32 x 48 pixels of the input wherever 8 x 8 pixels are bright; nobody at the other strides."""
    kernels = {}
    for stride in (8, 16, 32):
        weight = np.zeros((5, 3, stride, stride), np.float32)
        weight[0] = gain / (3 * stride * stride) if stride == 8 else 0
        kernels[f"stride_{stride}"] = weight, np.array([-gain / 2 if stride == 8 else -20, 12, 20, 20, 28], np.float32), stride
    save(path, kernels, (64, 64), rows=True)


def poser_file(path: Path, seed: int = 0) -> None:
    """A network of 17 maps, each of another sum over 4 x 4 pixels."""
    weight = np.random.default_rng(seed).normal(0.02, 0.1, (17, 3, 4, 4)).astype(np.float32)
    save(path, {"maps": (weight, np.full(17, 0.5, np.float32), 4)}, (32, 24), rows=False)


def save(path: Path, kernels: dict[str, tuple[np.ndarray, np.ndarray, int]], size: tuple[int, int], *, rows: bool) -> None:
    """Convolutions of one image each, side by side: output -> weight, bias, stride; with `rows` their channels come last."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, constants, outputs = [], [], []
    for name, (weight, bias, stride) in kernels.items():
        constants += [numpy_helper.from_array(weight, f"{name}_w"), numpy_helper.from_array(bias, f"{name}_b")]
        inside = f"{name}_planes" if rows else name
        nodes.append(helper.make_node("Conv", ["data", f"{name}_w", f"{name}_b"], [inside], f"{name}_conv", strides=[stride, stride]))
        if rows:
            nodes.append(helper.make_node("Transpose", [inside], [name], f"{name}_rows", perm=[0, 2, 3, 1]))
        shape = [size[0] // stride, size[1] // stride]
        shape = [1, *shape, len(weight)] if rows else [1, len(weight), *shape]
        outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    inputs = [helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1, 3, *size])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
