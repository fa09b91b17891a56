"""The networks are the originals', key for key and number for number."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.models import LightweightOpenPose, Model, OpenPoseBody, OpenPoseHand, OpenPoseMobileNet
from zoo.weights import PthReader
from zoo.weights.seeded import seeded_state

torch = pytest.importorskip("torch")

RECORDS = [
    LightweightOpenPose(),
    LightweightOpenPose(reduce=True, refinement_stages=0),
    OpenPoseBody(stages=2),
    OpenPoseHand(stages=1),
    OpenPoseMobileNet(stages=2),
]


def layout(assets: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((assets / "layouts" / f"{name}.json").read_text())
    return content


def seeded(assets: Path, name: str) -> dict[str, Any]:
    return seeded_state({key: (shape, dtype) for key, (shape, dtype) in layout(assets, name).items()}, LightweightOpenPose().gains)


def of(module: Any) -> dict[str, Any]:
    return {key: value.clone() for key, value in module.state_dict().items()}


@pytest.mark.assets
@pytest.mark.parametrize(("name", "stages"), [("lightweight_openpose", 1), ("lightweight_openpose_r3", 3)])
def test_lightweight_openpose_has_the_keys_of_the_official_file(assets: Path, name: str, stages: int) -> None:
    module = LightweightOpenPose(refinement_stages=stages).module()
    ours = {key: [list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in module.state_dict().items()}
    assert ours == layout(assets, name)


@pytest.mark.assets
@pytest.mark.parametrize(("name", "stages"), [("lightweight_openpose", 1), ("lightweight_openpose_r3", 3)])
def test_lightweight_openpose_equals_the_original(assets: Path, name: str, stages: int) -> None:
    record = LightweightOpenPose(refinement_stages=stages)
    module, inner = record.module(), {}
    assert record.load(module, seeded(assets, name)) == ()
    for key, part in (("backbone", module.model), ("cpm", module.cpm)):
        part.register_forward_hook(lambda _, __, output, key=key: inner.__setitem__(f"inner.{key}", output))
    goldens = np.load(assets / "goldens" / f"{name}.npz")
    checked = 0
    for case in sorted({key.partition(".")[0] for key in goldens}):
        batch, size = case[1:].split("_")
        shape = (int(batch), 3, *map(int, size.split("x")))
        data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            outputs = module(torch.from_numpy(data))
        got = inner | {
            f"stage{name.split('_')[1]}_{name.split('_')[-1]}": value for name, value in zip(record.outputs, outputs, strict=True)
        }
        for key, value in got.items():
            if f"{case}.{key}" in goldens:
                golden, (down, right) = goldens[f"{case}.{key}"], goldens[f"{case}.{key}.stride"]
                assert value.shape == tuple(goldens[f"{case}.{key}.shape"])
                assert np.abs(value.numpy()[..., ::down, ::right] - golden).max() <= 1e-5 * np.abs(golden).max(), f"{case}.{key}"
                checked += 1
    assert checked == sum(key.endswith(".shape") for key in goldens)


@pytest.mark.parametrize("refinements", [0, 1, 3])
def test_the_stages_of_lightweight_openpose_are_its_outputs(refinements: int) -> None:
    module = LightweightOpenPose(refinement_stages=refinements).module()
    data = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 40, 56)).astype(np.float32))
    with torch.no_grad():
        stages, outputs = module.stages(data), module(data)
    assert [tuple(maps.shape[1:2]) for pair in stages for maps in pair] == [(19,), (38,)] * (refinements + 1)
    assert all(torch.equal(a, b) for a, b in zip((maps for pair in stages for maps in pair), outputs, strict=True))


@pytest.mark.assets
def test_intels_checkpoint_loads_whole(assets: Path) -> None:
    record = LightweightOpenPose(reduce=True)
    state = PthReader(file="human-pose-estimation-0001.pth").read(assets / "weights")
    assert record.load(record.module(), state) == ()
    with pytest.raises(StepFailed, match=r"8 keys unexpected: .*cpm\.reduce\.0\.weight"):
        LightweightOpenPose().load(LightweightOpenPose().module(), state)


def test_three_stage_checkpoint_gives_its_first_stage_and_the_rest_is_named() -> None:
    three, one = LightweightOpenPose(refinement_stages=3), LightweightOpenPose()
    state, module = of(three.module()), one.module()
    ignored = one.load(module, state)
    assert {key.rsplit(".trunk")[0].rsplit(".heatmaps")[0].rsplit(".pafs")[0] for key in ignored} == {
        "refinement_stages.1",
        "refinement_stages.2",
    }
    assert len(ignored) == len(state) - len(module.state_dict())
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_stage_that_is_missing_is_not_made_up() -> None:
    with pytest.raises(StepFailed, match=r"88 keys missing: (refinement_stages\.1\.\S+ ){10}and 78 more"):
        LightweightOpenPose(refinement_stages=2).load(LightweightOpenPose(refinement_stages=2).module(), of(LightweightOpenPose().module()))


def change(state: dict[str, Any]) -> Mapping[str, Any]:
    state["cpm.conv.0.bias"] = torch.zeros(7)
    state["cpm.extra"] = torch.zeros(1)
    state["refinement_stages.5.trunk"] = torch.zeros(1)
    del state["cpm.align.0.bias"]
    return state


def test_every_disagreement_is_named_and_nothing_is_loaded() -> None:
    record = LightweightOpenPose()
    module = record.module()
    before, state = of(module), change(of(record.module()))
    with pytest.raises(StepFailed) as error:
        record.load(module, state)
    message = error.value.message
    assert "1 keys missing: cpm.align.0.bias" in message
    # stage 5 follows no stage: a part of some other network
    assert "2 keys unexpected: cpm.extra, refinement_stages.5.trunk" in message
    assert "1 keys of another shape: cpm.conv.0.bias (7,) instead of (128,)" in message
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_outputs_are_those_that_the_record_declares(record: Model) -> None:
    with torch.no_grad():
        outputs = record.module()(torch.zeros(2, 3, 48, 72))
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    assert [tuple(output.shape) for output in outputs] == [(2, channels, 6, 9) for channels in record.outputs.values()]
    assert record.keypoints == (21 if isinstance(record, OpenPoseHand) else 18)
    assert msgspec.convert(msgspec.to_builtins(record), Model) == record


def test_lightweight_openpose_orders_its_outputs_as_the_published_export() -> None:
    assert list(LightweightOpenPose().outputs) == [
        "stage_0_output_1_heatmaps",
        "stage_0_output_0_pafs",
        "stage_1_output_1_heatmaps",
        "stage_1_output_0_pafs",
    ]


def test_mobilenet_refuses_sizes_for_which_its_padding_is_wrong() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        OpenPoseMobileNet(stages=1).module()(torch.zeros(1, 3, 100, 96))


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_exported_graph_takes_any_size(record: Model, tmp_path: Path) -> None:
    import onnxruntime

    module, path = record.module(), str(tmp_path / "x.onnx")
    names = [record.input, *record.outputs]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own news about its successors
        torch.onnx.export(
            module, (torch.zeros(1, 3, 64, 96),), path, input_names=names[:1], output_names=names[1:], opset_version=17, dynamo=False,
            dynamic_axes={name: {0: "batch", 2: f"h_{name}", 3: f"w_{name}"} for name in names},
        )  # fmt: skip
        data = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, 48, 72)).astype(np.float32))
        expected = module(data)
    expected = [expected] if isinstance(expected, torch.Tensor) else expected
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for value, wanted in zip(session.run(None, {record.input: data.numpy()}), expected, strict=True):
        assert np.abs(value - wanted.numpy()).max() <= 1e-4 * np.abs(wanted.numpy()).max()
