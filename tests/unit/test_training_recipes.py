"""The recipes of OpenPose's and Lightweight OpenPose's trainings: what they begin with is found, and what they name is there."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from mindspore_file import checkpoint

from zoo.errors import StepFailed
from zoo.recipe.model import Recipe
from zoo.recipe.workspace import open_place
from zoo.training.train import Train
from zoo.weights import MindSporeReader

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

ROOT = Path(__file__).parents[2]
NAMES = [
    "openpose_vgg19",
    "openpose_vgg19_8",
    "lightweight_openpose_train_1",
    "lightweight_openpose_train_2",
    "lightweight_openpose_train_3",
]
#: of a VGG19: each convolution's place among its layers, of which ReLUs and poolings are some, and its channels in and out
VGG19 = {
    **{0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256), 16: (256, 256)},
    **{19: (256, 512), 21: (512, 512), 23: (512, 512), 25: (512, 512), 28: (512, 512), 30: (512, 512), 32: (512, 512), 34: (512, 512)},
}

every = pytest.mark.parametrize("name", NAMES)


def recipe(name: str) -> tuple[Recipe, Train]:
    found = open_place(str(ROOT)).network(name)
    assert found.train is not None
    return found, found.train


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in recipe(name)[0].model.module().state_dict().items()}


def begun(name: str, found: dict[str, Any]) -> dict[str, Any]:
    from zoo.training.initial import initial_state

    one, task = recipe(name)
    assert task.initial is not None
    with torch.device("meta"):
        return initial_state(one.model, task.initial, found)  # type: ignore[arg-type]


def zeros(*shape: int) -> Any:
    return np.broadcast_to(np.float32(0), shape)


def vgg19(name: str) -> dict[str, Any]:
    """Its convolutions, as `name` writes a layer."""
    found = {f"{name.format(place)}.weight": zeros(out, into, 3, 3) for place, (into, out) in VGG19.items()}
    return found | {f"{name.format(place)}.bias": zeros(out) for place, (_, out) in VGG19.items()}


CONVOLUTIONS = {f"conv{block}_{layer}.{part}" for block, layers in ((1, 2), (2, 2), (3, 4), (4, 2)) for layer in range(1, layers + 1)
                for part in ("weight", "bias")}  # fmt: skip


@pytest.mark.parametrize("name", ["openpose_vgg19", "openpose_vgg19_8"])
def test_openpose_begins_with_the_first_ten_convolutions_of_torchvisions_vgg19_or_of_mindspores(name: str, tmp_path: Path) -> None:
    rest = {"classifier.0.weight": zeros(4096, 25088), "classifier.6.bias": zeros(1000)}
    assert set(begun(name, vgg19("features.{}") | rest)) == CONVOLUTIONS
    # a file of the real size is 500 MB: each tensor has one number in this one, and its own shape again once it was read
    whole = vgg19("network.backbone.layers.{}")
    (tmp_path / "vgg.ckpt").write_bytes(checkpoint({key: np.zeros(1, np.float32) for key in whole}))
    read = MindSporeReader(file="vgg.ckpt").read(tmp_path)
    mine = dict(zip(read, (array for key, array in whole.items()), strict=True))
    assert set(begun(name, mine)) == CONVOLUTIONS
    task = recipe(name)[1]
    assert task.initial is not None
    readers = [source.reader.__struct_config__.tag for source in task.initial.sources if source.reader]
    assert readers == ["pth", "mindspore"]
    with pytest.raises(StepFailed, match=r"conv1_1\.weight"):
        begun(name, {key: value for key, value in vgg19("features.{}").items() if key != "features.0.weight"})


def test_lightweight_openpose_begins_with_mobilenet_and_each_run_with_the_one_before() -> None:
    first = shapes("lightweight_openpose_train_1")
    mobilenet = {key: zeros(*shape) for key, shape in first.items() if key.startswith("model.") and not key.endswith("tracked")}
    rest = {"model.12.0.weight": zeros(512, 1, 3, 3), "model.13.4.bias": zeros(1024), "fc.weight": zeros(1000, 1024)}
    assert set(begun("lightweight_openpose_train_1", mobilenet | rest)) == set(mobilenet)
    trained = {key: zeros(*shape) for key, shape in first.items()}
    second, third = (recipe(f"lightweight_openpose_train_{run}")[1].initial for run in (2, 3))
    assert second and second.recipe == "lightweight_openpose_train_1" and third and third.recipe == "lightweight_openpose_train_2"
    assert set(begun("lightweight_openpose_train_2", trained)) == set(first)
    assert set(begun("lightweight_openpose_train_3", trained)) == set(first)
    later = {key for key in shapes("lightweight_openpose_train_3") if key not in first}
    assert later and all(key.startswith(("refinement_stages.1.", "refinement_stages.2.")) for key in later)


@every
def test_every_multiplier_is_somebodys_and_each_parameter_has_the_rate_of_its_kind(name: str) -> None:
    from zoo.training.optimizers import parameter_groups

    one, task = recipe(name)
    with torch.device("meta"):
        module = one.model.module()
    groups = parameter_groups(module, task.optimizer, task.multipliers, task.frozen)
    rates = {id(parameter): group["base"] / task.optimizer.lr for group in groups for parameter in group["params"]}
    by_name = {key: rates[id(parameter)] for key, parameter in module.named_parameters()}
    expected: dict[str, float] = {
        "openpose_vgg19": {"conv1_1.weight": 0.25, "conv4_4_CPM.bias": 0.25, "conv5_1_CPM_L1.weight": 1, "Mconv7_stage6_L2.bias": 1},
        "openpose_vgg19_8": {"conv1_1.weight": 1, "Mconv7_stage6_L2.bias": 1},
    }.get(name, {
        "model.0.0.weight": 1, "model.0.1.weight": 1, "model.0.1.bias": 2, "cpm.align.0.bias": 2, "cpm.trunk.0.0.weight": 1,
        "initial_stage.pafs.1.0.weight": 1, "initial_stage.pafs.1.0.bias": 2,
        "refinement_stages.0.trunk.0.initial.0.weight": 4, "refinement_stages.0.trunk.0.trunk.1.0.bias": 8,
        "refinement_stages.0.trunk.4.trunk.1.1.weight": 1, "refinement_stages.0.trunk.4.trunk.1.1.bias": 2,
        "refinement_stages.0.heatmaps.1.0.weight": 4, "refinement_stages.0.heatmaps.1.0.bias": 8,
    })  # fmt: skip
    assert {key: by_name[key] for key in expected} == pytest.approx(expected)
    stay = {id(parameter): group["frozen"] for group in groups for parameter in group["params"]}
    held = {key for key, parameter in module.named_parameters() if stay[id(parameter)]}
    assert all(key.startswith("conv") and "CPM" not in key for key in held) and len(held) == (20 if name == "openpose_vgg19" else 0)


def test_one_card_and_eight_learn_the_same_from_the_same() -> None:
    tasks = [msgspec.structs.asdict(recipe(name)[1]) for name in ("openpose_vgg19", "openpose_vgg19_8")]
    apart = {key for key, value in tasks[0].items() if value != tasks[1][key]}
    assert apart == {"optimizer", "multipliers", "frozen", "schedule", "epochs", "batch", "loss_scale", "clip", "checkpoint"}


def test_openpose_is_shown_pixels_over_255_less_a_half() -> None:
    image = np.random.default_rng(0).integers(0, 256, (368, 376, 3), dtype=np.uint8)
    tensor, affine = recipe("openpose_vgg19")[0].preprocess.prepare(image)
    assert affine.input == (376, 368)
    np.testing.assert_allclose(tensor[0], image.transpose(2, 0, 1).astype(np.float32) / 255 - 0.5, atol=1e-7)


@every
def test_what_is_trained_is_judged_as_its_originals_judge_it(name: str) -> None:
    one, task = recipe(name)
    assert not one.weights and task.validation is not None
    (protocol,) = one.evaluate
    original = open_place(str(ROOT)).network("lightweight_openpose").evaluate[0]
    if name.startswith("lightweight"):
        assert msgspec.structs.replace(protocol, gates={}) == msgspec.structs.replace(original, gates={}), "one table"
        assert one.preprocess == open_place(str(ROOT)).network("lightweight_openpose").preprocess
    else:
        assert (protocol.metric.__struct_config__.tag, one.decode.__struct_config__.tag) == ("coco_oks_people", "mindspore")
