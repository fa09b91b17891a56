"""What lies beside a model."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from zoo.context import Context
from zoo.edits import FoldPreprocess
from zoo.pose import vdsp
from zoo.pose.fits import Box, Fit, Height, Letterbox, Stretch
from zoo.pose.preprocess import Preprocess
from zoo.steps.bundle import Bundle
from zoo.steps.edit import EditOnnx
from zoo.steps.provenance import Provenance

OPENPOSE = Preprocess(fit=Stretch(width=16, height=8), colour="rgb", mean=(1, 2, 3), std=(4, 5, 6))


def bundle(preprocess: Preprocess) -> Bundle:
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    graph = helper.make_graph([helper.make_node("Relu", ["data"], ["out"])], "tiny", [data], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return Bundle(model, preprocess, Provenance(source="file", files={}, licence="ours", use="any"))


def test_both_descriptions_lie_beside_the_model_and_say_the_same(tmp_path: Path) -> None:
    bundle(OPENPOSE).write(tmp_path)
    assert Bundle.read(tmp_path).preprocess == OPENPOSE
    assert vdsp.read(json.loads((tmp_path / "vdsp_params.json").read_text())) == OPENPOSE
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "preprocess.json", "provenance.json", "vdsp_params.json"}
    known = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert known["zoo.preprocess"] == (tmp_path / "preprocess.json").read_text().strip()


@pytest.mark.parametrize(
    "fit",
    [Height(height=64), Box(width=24, height=32), Letterbox(width=32, height=32, place="corner", pad=(114, 114, 114))],
    ids=lambda fit: type(fit).__name__,
)
def test_what_vdsp_cannot_say_is_not_written_as_something_else(tmp_path: Path, fit: Fit) -> None:
    bundle(Preprocess(fit=fit)).write(tmp_path)
    assert not (tmp_path / "vdsp_params.json").exists()


def test_an_edit_that_folds_normalisation_rewrites_both(tmp_path: Path, context: Context) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    bundle(OPENPOSE).write(before)
    EditOnnx(edits=(FoldPreprocess(),)).run({"model": before}, after, context)
    assert Bundle.read(after).preprocess == OPENPOSE.folded()
    written = json.loads((after / "vdsp_params.json").read_text())
    assert vdsp.read(written) == OPENPOSE.folded()
    assert (written["OpConfig"]["NormaType"], written["OpConfig"]["ColorCvtCode"]) == ("EQUAL", "RGB2BGR")
