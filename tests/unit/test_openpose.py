"""OpenPose's networks are the originals', key for key and number for number."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.models import OpenPoseBody, OpenPoseHand
from zoo.weights import PthReader
from zoo.weights.seeded import seeded_state

torch = pytest.importorskip("torch")

Record = OpenPoseBody | OpenPoseHand
NAMES: dict[str, Record] = {"openpose_body": OpenPoseBody(), "openpose_hand": OpenPoseHand()}
networks = pytest.mark.parametrize("name", NAMES)
#: of a stage, in the order in which `stages` gives them
KINDS = ("heatmaps", "pafs")


def layout(assets: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((assets / "layouts" / f"{name}.json").read_text())
    return content


@pytest.fixture(scope="module")
def seeded(assets: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """The goldens' weights, by the keys of the official files."""
    made: dict[str, dict[str, Any]] = {}

    def state(name: str) -> dict[str, Any]:
        if name not in made:
            made[name] = seeded_state({key: (shape, dtype) for key, (shape, dtype) in layout(assets, name).items()})
        return made[name]

    yield state
    made.clear()  # hundreds of megabytes


def case_input(case: str) -> Any:
    """`bN_HxW` -> the input that the originals were given."""
    batch, size = case[1:].split("_")
    return torch.from_numpy(np.random.default_rng(0).standard_normal((int(batch), 3, *map(int, size.split("x")))).astype(np.float32))


def differences(goldens: Any, case: str, found: dict[str, Any]) -> dict[str, float]:
    """The largest difference of each tensor of `found` that the goldens hold for `case`, in parts of its scale."""
    apart = {}
    for key, value in found.items():
        if f"{case}.{key}" in goldens:
            golden, (down, right) = goldens[f"{case}.{key}"], goldens[f"{case}.{key}.stride"]
            assert value.shape == tuple(goldens[f"{case}.{key}.shape"]), f"{case}.{key}"
            apart[f"{case}.{key}"] = float(np.abs(value.numpy()[..., ::down, ::right] - golden).max() / np.abs(golden).max())
    return apart


def parts(name: str) -> dict[str, str]:
    """A tensor inside the network, as the goldens call it -> the layer that gives it."""
    stages = range(2, 6)
    if name == "openpose_hand":
        return {"features": "conv5_3_CPM", "stage1": "conv6_2_CPM"} | {f"stage{stage}": f"Mconv7_stage{stage}" for stage in stages}
    found = {"features": "conv4_4_CPM"}
    for branch, kind in (("L1", "pafs"), ("L2", "heatmaps")):
        found |= {f"stage1_{kind}": f"conv5_5_CPM_{branch}"} | {f"stage{stage}_{kind}": f"Mconv7_stage{stage}_{branch}" for stage in stages}
    return found


@pytest.mark.assets
@networks
def test_keys_shapes_and_parameters_are_those_of_the_official_file(assets: Path, name: str) -> None:
    with torch.device("meta"):
        module = NAMES[name].module()
    assert {key: [list(value.shape), "float32"] for key, value in module.state_dict().items()} == layout(assets, name)
    count = sum(parameter.numel() for parameter in module.parameters())
    assert count == {"openpose_body": 52_311_446, "openpose_hand": 36_832_324}[name]


@pytest.mark.assets
@networks
def test_outputs_and_every_stage_equal_the_original(assets: Path, seeded: Callable[[str], dict[str, Any]], name: str) -> None:
    record = NAMES[name]
    with torch.device("meta"):
        module = record.module()
    module.to_empty(device="cpu")
    assert record.load(module, seeded(name)) == ()
    inner: dict[str, Any] = {}

    def keep(key: str, _: Any, __: Any, output: Any) -> None:
        inner[f"inner.{key}"] = torch.relu(output) if key == "features" else output

    for key, layer in parts(name).items():
        module.get_submodule(layer).register_forward_hook(partial(keep, key))
    goldens = np.load(assets / "goldens" / f"{name}.npz")
    apart: dict[str, float] = {}
    for case in sorted({key.partition(".")[0] for key in goldens}):
        with torch.no_grad():
            outputs = module(case_input(case))
        named = zip(("pafs_L1", "heatmaps_L2"), outputs, strict=True) if name == "openpose_body" else [("heatmaps", outputs)]
        apart |= differences(goldens, case, inner | dict(named))
    assert set(apart) == {key.removesuffix(".shape") for key in goldens if key.endswith(".shape")}
    assert max(apart.values()) <= 2e-5, apart


@pytest.mark.assets
def test_without_the_last_relu_and_with_pooling_that_rounds_up_it_is_mindspores_network(
    assets: Path, seeded: Callable[[str], dict[str, Any]]
) -> None:
    keys = json.loads((assets / "layouts/key_maps.json").read_text())["openpose_body_file_key_to_mindspore_key"]
    theirs = seeded("openpose_vgg19_mindspore")
    goldens = np.load(assets / "goldens/openpose_vgg19_mindspore.npz")
    record = OpenPoseBody(last_relu=False, pooling="ceil")
    with torch.device("meta"):
        module = record.module()
    module.to_empty(device="cpu")
    record.load(module, {ours: theirs[key] for ours, key in keys.items()})
    apart: dict[str, float] = {}
    for case in sorted({key.partition(".")[0] for key in goldens}):
        with torch.no_grad():
            stages = module.stages(case_input(case))
        found = {f"stage{stage}_{kind}": maps for stage, pair in enumerate(stages, 1) for kind, maps in zip(KINDS, pair, strict=True)}
        apart |= differences(goldens, case, found)
    assert set(apart) == {key.removesuffix(".shape") for key in goldens if key.endswith(".shape")} and len(apart) == 18
    assert max(apart.values()) <= 2e-5, apart
    seen: dict[str, dict[str, float]] = {}
    for case, changed in (("b1_128x192", OpenPoseBody(pooling="ceil")), ("b1_100x140", OpenPoseBody(last_relu=False))):
        with torch.device("meta"):
            other = changed.module()
        other.load_state_dict(module.state_dict(), assign=True)
        with torch.no_grad():
            heatmaps = other(case_input(case))[1]
        golden = goldens[f"{case}.stage6_heatmaps"]
        seen[case] = {"apart": 1.0} if heatmaps.shape != golden.shape else differences(goldens, case, {"stage6_heatmaps": heatmaps})
    assert all(max(one.values()) > 0.5 for one in seen.values()), "the ReLU and the rounding must be seen"


def test_the_last_stage_is_what_the_network_gives() -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, 40, 56)
    for last_relu in (True, False):
        module = OpenPoseBody(stages=2, last_relu=last_relu).module()
        with torch.no_grad():
            stages, (pafs, heatmaps) = module.stages(image), module(image)
        assert len(stages) == 2
        assert torch.equal(stages[-1][0], heatmaps) and torch.equal(stages[-1][1], pafs)
        assert bool((heatmaps >= 0).all()) == last_relu, "the ReLU of the last stage is its own"
        assert bool((stages[0][0] < 0).any())


@pytest.mark.parametrize(("record", "other"), [(OpenPoseBody(stages=2), OpenPoseHand(stages=2)), (OpenPoseHand(), OpenPoseBody())])
def test_the_other_networks_file_is_refused_by_its_keys(record: Record, other: Record) -> None:
    with torch.device("meta"):
        module, state = record.module(), other.module().state_dict()
    with pytest.raises(StepFailed) as error:
        record.load(module, state)
    message = error.value.message
    own, foreign = ("conv4_3_CPM.weight", "conv4_3.weight")
    if isinstance(record, OpenPoseHand):
        own, foreign = foreign, own
    assert f"keys missing: {own}" in message and f"keys unexpected: {foreign}" in message


def test_a_file_of_other_shapes_is_refused() -> None:
    record = OpenPoseHand(stages=1)
    with torch.device("meta"):
        module, state = record.module(), OpenPoseHand(stages=1, num_heatmaps=20).module().state_dict()
    with pytest.raises(StepFailed, match=r"2 keys of another shape: conv6_2_CPM\.weight \(20, 512, 1, 1\) instead of \(22, 512, 1, 1\)"):
        record.load(module, state)


def test_a_flat_checkpoint_is_read_as_it_is(tmp_path: Path) -> None:
    record = OpenPoseHand(stages=1)
    module = record.module()
    torch.save(module.state_dict(), tmp_path / "hand_pose_model.pth")
    state = PthReader(file="hand_pose_model.pth").read(tmp_path)
    assert list(state)[:2] == ["conv1_1.weight", "conv1_1.bias"]
    again = record.module()
    assert record.load(again, state) == ()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(184, 184), (48, 72), (100, 140)])
def test_the_grid_is_an_eighth_rounded_down(height: int, width: int) -> None:
    with torch.no_grad(), torch.device("meta"):
        pafs, heatmaps = OpenPoseBody().module()(torch.zeros(2, 3, height, width))
        hand = OpenPoseHand().module()(torch.zeros(2, 3, height, width))
    grid = (height // 8, width // 8)
    assert [tuple(maps.shape) for maps in (pafs, heatmaps, hand)] == [(2, 38, *grid), (2, 19, *grid), (2, 22, *grid)]
    assert (OpenPoseBody().keypoints, OpenPoseHand().keypoints) == (18, 21)


@pytest.mark.parametrize(("height", "width"), [(184, 184), (100, 140), (9, 17)])
def test_with_pooling_that_rounds_up_the_grid_is_an_eighth_rounded_up(height: int, width: int) -> None:
    with torch.no_grad(), torch.device("meta"):
        pafs, heatmaps = OpenPoseBody(stages=1, pooling="ceil").module()(torch.zeros(1, 3, height, width))
    assert {tuple(maps.shape[2:]) for maps in (pafs, heatmaps)} == {(-(-height // 8), -(-width // 8))}
