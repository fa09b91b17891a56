"""How weights are read: files of others -> the state dict of our module, or the published graph itself."""

from zoo.weights.mindspore import MindSporeReader
from zoo.weights.onnx import OnnxReader
from zoo.weights.openvino import OpenVinoReader
from zoo.weights.pth import PthReader

Reader = PthReader | OpenVinoReader | MindSporeReader | OnnxReader

__all__ = ["MindSporeReader", "OnnxReader", "OpenVinoReader", "PthReader", "Reader"]
