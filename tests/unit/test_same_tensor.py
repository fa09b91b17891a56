"""One preprocessing, told in four ways, is one tensor: the runtime's, the vdsp JSON's, vamc's process_ops', and the graph's own."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from zoo.edits import FoldPreprocess
from zoo.interop import process_ops
from zoo.pose import vdsp, vdsp_writer
from zoo.pose.fits import Letterbox, Stretch
from zoo.pose.preprocess import Preprocess

SQUARE = Letterbox(width=256, height=256, pad=(0, 0, 0))
IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
PREPROCESSES = [
    pytest.param(Preprocess(fit=Stretch(width=184, height=184), mean=(128, 128, 128), std=(256, 256, 256)), id="openpose body"),
    pytest.param(Preprocess(fit=Stretch(width=192, height=256), colour="rgb", **IMAGENET), id="stretched, rgb, ImageNet"),
    pytest.param(Preprocess(fit=SQUARE, colour="rgb", **IMAGENET), id="letterbox, rgb, ImageNet"),
    pytest.param(Preprocess(fit=SQUARE, mean=(104, 117, 123)), id="letterbox, bgr, mean"),
    pytest.param(Preprocess(fit=Stretch(width=200, height=120)), id="raw"),
]
every = pytest.mark.parametrize("preprocess", PREPROCESSES)


@pytest.fixture(scope="module")
def paths(assets: Path) -> list[Path]:
    """Photographs: every sixth, the tallest and the widest."""
    found = sorted((assets / "images").glob("*.[jp][pn]g"))
    shapes = {path: cv2.imread(str(path)).shape for path in found}
    by_shape = sorted(found, key=lambda path: shapes[path][1] / shapes[path][0])
    assert shapes[by_shape[0]][1] < shapes[by_shape[0]][0] and shapes[by_shape[-1]][1] > shapes[by_shape[-1]][0]
    return [*found[::6], by_shape[0], by_shape[-1]]


def by_process_ops(ops: list[dict[str, Any]], path: Path) -> NDArray[np.float32]:
    """What a plain reading of vamc's steps gives, one after the other."""
    image: Any = None
    for op in ops:
        rest = {key: value for key, value in op.items() if key != "type"}
        if op["type"] == "DecodeImage":
            image = cv2.imread(str(path))[:, :, ::-1]
        elif op["type"] == "Resize":
            height, width = rest.pop("size")
            if rest.pop("adaptive_side", None) == "long":
                scale = height / max(image.shape[:2])
                height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
            image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_LINEAR)
        elif op["type"] == "Pad":
            assert rest.pop("pad_to_square") is True
            side = max(image.shape[:2])
            square = np.zeros((side, side, 3), np.uint8)
            top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
            square[top : top + image.shape[0], left : left + image.shape[1]] = image
            image = square
        elif op["type"] == "CvtColor":
            assert rest.pop("code") == "RGB2BGR"
            image = image[:, :, ::-1]
        elif op["type"] == "Normalize":
            pixels = image.astype(np.float64) / (255 if rest.pop("div255") else 1)
            image = (pixels - rest.pop("mean")) / rest.pop("std")
        elif op["type"] == "ToTensor":
            image = image.transpose(2, 0, 1)[None].astype(np.float32)
        else:
            raise AssertionError(op)
        assert not rest, f"{op['type']} has words that nobody follows: {rest}"
    return np.asarray(image)


def by_vdsp(params: dict[str, Any], path: Path) -> NDArray[np.float32]:
    """What a plain reading of the operator's name and attributes gives, on the planes R, G, B that come in."""
    config = params["OpConfig"]
    assert config["IimageFormat"] == "RGB_PLANAR" and config["ResizeType"] == "BILINEAR_CV"
    planes = [np.ascontiguousarray(plane) for plane in cv2.imread(str(path)).transpose(2, 0, 1)[::-1]]
    height, width = planes[0].shape
    tall, wide = config["OimageHeight"], config["OimageWidth"]
    top = left = 0
    down, across = tall, wide
    if "LETTERBOX" in params["OpType"]:
        scale = min(tall / height, wide / width)
        down, across = round(height * scale), round(width * scale)
        top, left = (tall - down) // 2, (wide - across) // 2
    boxes = []
    for plane, value in zip(planes, config.get("Padding", [0, 0, 0]), strict=True):
        box = np.full((tall, wide), value, np.uint8)
        box[top : top + down, left : left + across] = cv2.resize(plane, (across, down), interpolation=cv2.INTER_LINEAR)
        boxes.append(box)
    if config["ColorCvtCode"] == "RGB2BGR":
        boxes.reverse()
    mean, std = (config["Mean"], config["Std"]) if config["NormaType"] == "MINUSMEAN_DIVSTD" else ([0, 0, 0], [1, 1, 1])
    return np.stack([(box - float(m)) / s for box, m, s in zip(boxes, mean, std, strict=True)])[None].astype(np.float32)


def identity() -> ModelProto:
    """A graph that gives what it is fed, so that what was folded into it can be seen."""
    data, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("data", "out"))
    graph = helper.make_graph([helper.make_node("Identity", ["data"], ["out"])], "identity", [data], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def by_graph(preprocess: Preprocess, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Raw pixels into a graph that the normalisation was folded into."""
    folded, left = FoldPreprocess().apply(identity(), preprocess)
    assert left.raw
    session = onnxruntime.InferenceSession(folded.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"data": left.prepare(image)[0]})[0])


@pytest.mark.assets
@every
def test_all_descriptions_of_a_preprocessing_give_the_same_tensor(preprocess: Preprocess, paths: list[Path]) -> None:
    params = json.loads(vdsp_writer.text(preprocess))
    ops = json.loads(json.dumps(process_ops.write(preprocess)))
    assert vdsp.read(params) == preprocess == process_ops.read(ops)
    for path in paths:
        image = cv2.imread(str(path))
        tensor = preprocess.prepare(image)[0]
        np.testing.assert_array_equal(vdsp.read(params).prepare(image)[0], tensor)
        told = {"vdsp": by_vdsp(params, path), "process_ops": by_process_ops(ops, path), "folded": by_graph(preprocess, image)}
        for name, other in told.items():
            assert other.shape == tensor.shape and other.dtype == tensor.dtype
            np.testing.assert_allclose(other, tensor, rtol=1e-6, atol=1e-6 * np.abs(tensor).max(), err_msg=f"{name} of {path.name}")


@pytest.mark.assets
@every
@pytest.mark.parametrize("wrong", ["colour", "mean", "size"])
def test_a_description_of_another_tensor_is_seen(preprocess: Preprocess, wrong: str, paths: list[Path]) -> None:
    """The comparison above can fail: each of these changes it."""
    params = json.loads(vdsp_writer.text(preprocess))
    config = params["OpConfig"]
    if wrong == "colour":
        config["ColorCvtCode"] = "NO_CHANGE" if preprocess.colour == "bgr" else "RGB2BGR"
    elif wrong == "mean":
        config |= {"NormaType": "MINUSMEAN_DIVSTD", "Mean": [value + 1 for value in config["Mean"]]}
    else:
        config["OimageHeight"] += 8
    tensor, other = preprocess.prepare(cv2.imread(str(paths[0])))[0], by_vdsp(params, paths[0])
    assert other.shape != tensor.shape or np.abs(other - tensor).max() > 1e-3
