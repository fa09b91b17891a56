"""How weights are read: files of others -> the state dict of our module."""

from zoo.weights.openvino import OpenVinoReader
from zoo.weights.pth import PthReader

Reader = PthReader | OpenVinoReader

__all__ = ["OpenVinoReader", "PthReader", "Reader"]
