"""Graph surgery."""

import subprocess
import sys
from typing import Any, get_args

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper

from zoo.edits import Edit, FoldConstants, FoldPreprocess, KeepOutputs, OnnxSim, Rename
from zoo.edits.graph import checked
from zoo.errors import StepFailed
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess

PLAIN = Preprocess(fit=Stretch(width=16, height=12))
RGB = Preprocess(fit=Stretch(width=16, height=12), colour="rgb", mean=(123.0, 116.0, 103.0), std=(58.0, 57.0, 61.0))
#: Every edit; one without an example fails `test_every_edit_has_an_example`.
EXAMPLES = [OnnxSim(), KeepOutputs(outputs=("final",)), Rename(names={"final": "pafs"}), FoldPreprocess(), FoldConstants()]

every_edit = pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: type(edit).__name__)


def image(seed: int = 0, batch: int = 1) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (batch, 3, 12, 16)).astype(np.float32)


def outputs_of(model: Any) -> list[str]:
    return [value.name for value in model.graph.output]


def test_every_edit_has_an_example() -> None:
    assert {type(example) for example in EXAMPLES} == set(get_args(Edit))


@every_edit
def test_an_edit_leaves_the_given_graph_as_it_was(edit: Any, network: Any) -> None:
    before = network.SerializeToString(deterministic=True)
    edit.apply(network, RGB)
    assert network.SerializeToString(deterministic=True) == before


@every_edit
def test_an_edited_graph_still_takes_any_size_and_batch(edit: Any, network: Any, compute: Any) -> None:
    edited, _ = edit.apply(network, RGB)
    for result in compute(edited, np.zeros((3, 3, 20, 8), np.float32)).values():
        assert result.shape[0] == 3
        assert result.shape[2:] == (10, 4)


@every_edit
def test_an_edit_can_be_read_from_yaml_s_plain_data(edit: Any) -> None:
    assert msgspec.convert(msgspec.to_builtins(edit), Edit) == edit


def test_two_processes_write_the_same_bytes(network: Any) -> None:
    code = """
import hashlib, sys, onnx
sys.path.insert(0, '.')
from zoo.edits import FoldConstants, FoldPreprocess, KeepOutputs, OnnxSim, Rename
from zoo.edits.half import half
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
model, given = onnx.load_from_string(sys.stdin.buffer.read()), Preprocess(fit=Stretch(width=16, height=12), colour='rgb', mean=(1, 2, 3))
for edit in (OnnxSim(), FoldConstants(), FoldPreprocess(), Rename(names={'final': 'x'}), KeepOutputs(outputs=('x',))):
    model, given = edit.apply(model, given)
    print(hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest())
print(hashlib.sha256(half(model).SerializeToString(deterministic=True)).hexdigest())
"""
    digests = [
        subprocess.run(
            [sys.executable, "-c", code], input=network.SerializeToString(), capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(digests[0].split()) == 6
    assert digests[0] == digests[1]


def test_keep_outputs_gives_exactly_these_and_removes_what_only_the_others_needed(network: Any, compute: Any) -> None:
    edited, _ = KeepOutputs(outputs=("heat",)).apply(network, PLAIN)
    assert outputs_of(edited) == ["heat"]
    assert "last" not in {node.name for node in edited.graph.node}
    assert "last.weight" not in {tensor.name for tensor in edited.graph.initializer}
    np.testing.assert_array_equal(compute(edited, image())["heat"], compute(network, image())["heat"])


def test_keep_outputs_keeps_the_order_asked_for_and_takes_inner_tensors(network: Any) -> None:
    edited, _ = KeepOutputs(outputs=("final", "features", "heat")).apply(network, PLAIN)
    assert outputs_of(edited) == ["final", "features", "heat"]


def test_keep_outputs_of_an_unknown_tensor_names_the_nearest(network: Any) -> None:
    with pytest.raises(StepFailed, match="no tensor 'feature'") as failed:
        KeepOutputs(outputs=("feature",)).apply(network, PLAIN)
    assert "did you mean 'features'?" in failed.value.hint


def test_rename_changes_names_and_nothing_else(network: Any, compute: Any) -> None:
    edited, _ = Rename(names={"data": "image", "heat": "heatmaps"}).apply(network, PLAIN)
    assert edited.graph.input[0].name == "image"
    found, wanted = compute(edited, image()), compute(network, image())
    np.testing.assert_array_equal(found["heatmaps"], wanted["heat"])
    np.testing.assert_array_equal(found["final"], wanted["final"])


def test_rename_can_swap_two_names(network: Any, compute: Any) -> None:
    edited, _ = Rename(names={"heat": "final", "final": "heat"}).apply(network, PLAIN)
    np.testing.assert_array_equal(compute(edited, image())["final"], compute(network, image())["heat"])


@pytest.mark.parametrize("names", [{"heat": "final"}, {"heat": "stem.weight"}, {"heat": "x", "final": "x"}])
def test_rename_to_a_taken_name_is_refused(names: dict[str, str], network: Any) -> None:
    with pytest.raises(StepFailed, match="another tensor has that name"):
        Rename(names=names).apply(network, PLAIN)


def test_rename_of_an_unknown_tensor_is_refused(network: Any) -> None:
    with pytest.raises(StepFailed, match="no tensor 'heats'"):
        Rename(names={"heats": "x"}).apply(network, PLAIN)


@pytest.mark.parametrize(
    "preprocess", [RGB, Preprocess(fit=Stretch(width=16, height=12), mean=(128.0,) * 3, std=(255.0,) * 3)], ids=["rgb", "bgr"]
)
def test_a_folded_graph_computes_the_same_from_raw_pixels(preprocess: Preprocess, network: Any, compute: Any) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    folded, left = FoldPreprocess().apply(network, preprocess)
    assert left == preprocess.folded()
    assert folded.graph.input[0].name == "data"
    wanted = compute(network, preprocess.prepare(pixels)[0])
    for name, found in compute(folded, left.prepare(pixels)[0]).items():
        np.testing.assert_allclose(found, wanted[name], rtol=0, atol=1e-5 * float(np.abs(wanted[name]).max()))


def test_folding_nothing_changes_nothing(network: Any) -> None:
    folded, left = FoldPreprocess().apply(network, PLAIN)
    assert left == PLAIN
    assert [node.op_type for node in folded.graph.node] == [node.op_type for node in network.graph.node]


def test_folding_into_a_graph_of_one_channel_is_refused() -> None:
    value = helper.make_tensor_value_info("x", 1, [1, 1, 4, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [helper.make_tensor_value_info("y", 1, [1, 1, 4, 4])])
    with pytest.raises(StepFailed, match=r"\(N, 3, H, W\)"):
        FoldPreprocess().apply(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), RGB)


@pytest.mark.parametrize("edit", [FoldConstants(), OnnxSim()], ids=["fold_constants", "onnxsim"])
def test_what_depends_on_no_input_is_computed_once(edit: Any, network: Any, compute: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.graph.node.insert(0, helper.make_node("Neg", ["stem.bias"], ["negative"], "neg"))
    next(node for node in model.graph.node if node.name == "stem").input[2] = "negative"
    edited, _ = edit.apply(model, PLAIN)
    assert "Neg" not in {node.op_type for node in edited.graph.node}
    np.testing.assert_allclose(compute(edited, image())["final"], compute(model, image())["final"], rtol=1e-5, atol=1e-6)


def test_a_checked_graph_says_nothing_of_the_machine_that_made_it(network: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.ir_version = 14
    model.metadata_props.add(key="zoo.preprocess", value="{}")
    model.metadata_props.add(key="source", value="/home/someone/net.py")
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone/net.py")
    model.graph.node[0].doc_string = "/home/someone/net.py"
    model.graph.output[0].doc_string = model.doc_string = "/home/someone/net.py"
    result = checked(model)
    assert b"/home/someone" not in result.SerializeToString()
    assert [(entry.key, entry.value) for entry in result.metadata_props] == [("zoo.preprocess", "{}")]
    assert result.ir_version == 10
    assert model.ir_version == 14


def test_an_opset_that_no_runtime_of_ours_reads_is_refused(network: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.opset_import[0].version = 21
    with pytest.raises(StepFailed, match="opset 21"):
        checked(model)


def test_a_graph_that_does_not_add_up_is_refused(network: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.graph.node[0].input[0] = "nothing"
    with pytest.raises(StepFailed, match="does not pass ONNX's check"):
        checked(model)


def test_a_graph_that_onnx_accepts_and_the_runtime_does_not_is_refused() -> None:
    # a domain that nobody implements
    node = helper.make_node("Mystery", ["x"], ["y"], domain="elsewhere")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, [1])], [helper.make_tensor_value_info("y", 1, [1])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    with pytest.raises(StepFailed, match="ONNX Runtime does not load"):
        checked(helper.make_model(graph, opset_imports=opsets, ir_version=8))
