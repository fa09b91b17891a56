"""Imports of what is not always installed."""

import importlib
import sys
from types import ModuleType

from zoo.errors import MissingTool

#: module -> the extra of this project that brings it
EXTRAS = {
    "torch": "export",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt-rtx",
    "lightning_fabric": "train",
    "tensorboardX": "train",
    "av": "demo",
    "pygame": "demo",
}


def require(module: str) -> ModuleType:
    """Import `module`, or raise `MissingTool` with the command that installs it."""
    if module.partition(".")[0] == "openvino":
        # on import, OpenVINO forks a process that reports the import to its makers; without this package it does not
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = EXTRAS.get(module.partition(".")[0])
        wanted = f"'pose-zoo[{extra}]'" if extra else module
        hint = f"pip install {wanted}"
        if extra == "export":
            hint += " (without a GPU, give pip the index of PyTorch's CPU builds: the default brings gigabytes of CUDA)"
        raise MissingTool(f"{module} is needed for this and is not installed ({error})", hint) from error
