"""The hand landmark network without its weights: what its shape promises. With them: test_hand_landmark_port.py."""

import re
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zoo.errors import RecipeError
from zoo.models import HandLandmark, Model
from zoo.recipe.workspace import open_place, read_recipe
from zoo.weights.names import hand_landmark

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def module() -> Any:
    torch.manual_seed(0)
    return HandLandmark().module()


def test_outputs_are_those_that_the_record_declares(module: Any) -> None:
    record = HandLandmark()
    with torch.no_grad():
        outputs = module(torch.zeros(2, 3, 224, 224))
    assert [tuple(output.shape) for output in outputs] == [(2, channels) for channels in record.outputs.values()]
    assert all(0 < float(value) < 1 for output in outputs[1:3] for value in output)
    assert msgspec.convert(msgspec.to_builtins(record), Model) == record


def test_every_layer_of_the_module_has_its_name_in_the_graph(module: Any) -> None:
    layers = {key.rpartition(".")[0] for key in module.state_dict()}
    places = hand_landmark()
    assert sorted(place.layer for place in places.values()) == sorted(layers)
    assert "model_1/model/batch_normalization_46/FusedBatchNormV3" in places


def test_a_size_in_whose_pixels_it_cannot_answer_is_refused(module: Any) -> None:
    with pytest.raises(ValueError, match="takes 224x224 alone"):
        module(torch.zeros(1, 3, 256, 256))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_padding_is_tensorflows_same(kernel: int, stride: int) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from zoo.models.nets.hand_landmark import Same

    layer = Same(2, 3, kernel, stride)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Conv", ["x", "weight", "bias"], ["y"], auto_pad="SAME_UPPER", strides=[stride, stride])
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in (("weight", weight), ("bias", bias))]
    values = [helper.make_tensor_value_info(name, floats, None) for name in ("x", "y")]
    graph = helper.make_graph([node], "conv", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    data = np.random.default_rng(0).standard_normal((1, 2, 14, 14)).astype(np.float32)
    (expected,) = session.run(None, {"x": data})
    with torch.no_grad():
        np.testing.assert_allclose(layer(torch.from_numpy(data)).numpy(), expected, atol=1e-5)


def test_exported_graph_takes_any_batch(module: Any, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    record, path = HandLandmark(), str(tmp_path / "x.onnx")
    names = [record.input, *record.outputs]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own news about its successors
        torch.onnx.export(
            module, (torch.zeros(1, 3, 224, 224),), path, input_names=names[:1], output_names=names[1:], opset_version=17, dynamo=False,
            dynamic_axes={name: {0: "batch"} for name in names},
        )  # fmt: skip
        data = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (3, 3, 224, 224)).astype(np.float32))
        expected = module(data)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for value, wanted in zip(session.run(None, {record.input: data.numpy()}), expected, strict=True):
        assert np.abs(value - wanted.numpy()).max() <= 1e-4 * np.abs(wanted.numpy()).max()


def faults(name: str, folder: Path, old: str, new: str) -> list[str]:
    """What is wrong with a recipe of this zoo when `old` in it is `new`, as `path: message`; hands without their protocols, each of
    which would repeat it."""
    text = (ROOT / f"recipes/{name}.yaml").read_text()
    if name == "hand_landmark":
        text = re.sub(r"(?ms)^evaluate:.*?^\n", "", text)
    assert old in text
    path = folder / f"{name}.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(RecipeError) as error:
        read_recipe(path, open_place(str(ROOT)))
    return [str(problem).partition(": ")[2] for problem in error.value.problems]


TURNS = "turns: [0, 90, 180, 270]"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("dynamic: [batch]", "dynamic: [batch, height]", "export"),
        ("shape: [1, 3, 224, 224]", "shape: [1, 3, 448, 448]", "export.shape"),
        ("width: 224, height: 224, inter", "width: 256, height: 224, inter", "preprocess.fit"),
        ("{height: 224, width: 224}", "{height: 224, width: 448}", "benchmark"),
        (TURNS, "scales: [0.5]", "scales"),
    ],
)
def test_a_recipe_that_asks_for_another_size_is_refused(tmp_path: Path, old: str, new: str, path: str) -> None:
    (fault,) = faults("hand_landmark", tmp_path, old, new)
    assert fault.startswith(f"{path}: the network takes 224x224 alone")


def test_turns_are_refused_where_nothing_can_choose_among_them(tmp_path: Path) -> None:
    assert faults("hand_landmark", tmp_path, TURNS, "turns: [90, 0, 90]") == ["turns: a turn is named twice"]
    assert "turns: an image is run at several scales or at several turns, not at both" in faults(
        "hand_landmark", tmp_path, TURNS, f"{TURNS}\nscales: [1, 2]"
    )
    assert faults("openpose_mobilenet", tmp_path, "decode: {type: tf_pose", "turns: [180]\ndecode: {type: tf_pose") == [
        "turns: this decoder takes the image as it stands: it knows no turns"
    ]
    protocol = "  - protocol: tf_pose\n"
    assert faults("openpose_mobilenet", tmp_path, protocol, f"{protocol}    turns: [0, 90]\n") == [
        "evaluate[0].turns: this decoder takes the image as it stands: it knows no turns"
    ]
