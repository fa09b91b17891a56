"""Checkpoints of MindSpore: what was saved is read, under our names; what is damaged is refused in words.

No published file is here: what is read was written by a test's own encoder, after MindSpore's `serialization.py`.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from mindspore_file import KINDS, block, checkpoint, tensor, value, varint

from zoo.cli.wishes import own_file
from zoo.errors import StepFailed
from zoo.models import OpenPoseBody
from zoo.recipe.model import Recipe
from zoo.recipe.workspace import open_place
from zoo.weights import MindSporeReader

ROOT = Path(__file__).parents[2]
WEIGHT = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2) - 5
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def read(folder: Path, content: bytes) -> dict[str, Any]:
    (folder / "x.ckpt").write_bytes(content)
    return MindSporeReader(file="x.ckpt").read(folder)


def refused(folder: Path, content: bytes) -> str:
    with pytest.raises(StepFailed) as caught:
        read(folder, content)
    assert caught.value.hint
    return caught.value.message


@same_folder
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)), pieces=st.integers(1, 5), packed=st.booleans())
def test_what_was_saved_is_read_whatever_its_type_shape_and_pieces(
    tmp_path: Path, data: st.DataObject, kind: str, pieces: int, packed: bool
) -> None:
    shape = data.draw(stn.array_shapes(min_dims=0, max_dims=4, max_side=4))
    array = data.draw(stn.arrays(np.dtype(KINDS[kind]), shape))
    found = read(tmp_path, tensor("head.weight", array, kind, pieces=pieces, packed=packed) + tensor("head.bias", WEIGHT))
    assert list(found) == ["head.weight", "head.bias"]
    assert found["head.weight"].shape == shape and found["head.weight"].dtype == np.dtype(KINDS[kind])
    np.testing.assert_array_equal(found["head.weight"], array)
    assert all(one.flags.writeable for one in found.values()), "torch warns of an array that it must not write"


def test_bfloat16_becomes_the_float32_of_which_it_is_the_upper_half(tmp_path: Path) -> None:
    exact = np.array([[1.0, -2.5, 0.0, np.inf], [3.0, 1e30, -1e-30, 0.15625]], np.float32)
    kept = (exact.view(np.uint32) >> 16 << 16).view(np.float32)
    found = read(tmp_path, tensor("a.weight", exact, "BFloat16"))["a.weight"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, kept)


@pytest.mark.parametrize("prefix", ["", "network.", "network.backbone.", "network._backbone."])
def test_the_vgg_that_training_begins_with_is_read_under_our_names(tmp_path: Path, prefix: str) -> None:
    rest = {"layers.23.weight": WEIGHT, "classifier.0.bias": WEIGHT[0]}
    places = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21)
    tensors = {f"layers.{place}.{part}": WEIGHT + place for place in places for part in ("weight", "bias")}
    found = read(tmp_path, checkpoint(tensors | rest, prefix=prefix))
    names = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1", "conv4_2"]
    assert list(found) == [f"{name}.{part}" for name in names for part in ("weight", "bias")] + list(rest)
    for place, name in zip(places, names, strict=True):
        np.testing.assert_array_equal(found[f"{name}.bias"], WEIGHT + place)


@pytest.mark.assets
def test_a_trained_networks_names_are_all_ours(assets: Path, tmp_path: Path) -> None:
    keys = json.loads((assets / "layouts/key_maps.json").read_text())["openpose_body_file_key_to_mindspore_key"]
    tensors = {theirs: np.full(1, place, np.float32) for place, theirs in enumerate(keys.values())}
    assert sorted(keys.values()) == sorted(json.loads((assets / "layouts/openpose_vgg19_mindspore.json").read_text()))
    expected = {ours: place for place, ours in enumerate(keys)}
    for prefix in ("", "network."):
        found = read(tmp_path, checkpoint(tensors, prefix=prefix))
        assert {key: float(array[0]) for key, array in found.items()} == expected


def test_a_checkpoint_of_a_training_run_loads_into_the_network(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    record = OpenPoseBody(stages=1, last_relu=False, pooling="ceil")
    module = record.module()
    state = {key: array.numpy() for key, array in module.state_dict().items()}
    theirs = {}
    for key, array in state.items():
        layer, part = key.rsplit(".", 1)
        theirs[f"{LAYERS[layer]}.{part}"] = array
    trained = checkpoint({f"network.{key}": array for key, array in theirs.items()})
    moments = b"".join(
        tensor(f"{name}.network.{key}", np.zeros_like(array)) for name in ("moment1", "moment2") for key, array in theirs.items()
    )
    others = (
        tensor("global_step", np.array([7]), "Int32")
        + tensor("learning_rate", np.float32(1e-4))
        + value("note", "str", [0], "ä".encode("utf-32-le"))
    )
    found = read(tmp_path, others + trained + moments + value("random_op", "random_op", [], b"\x01\x02"))
    assert list(found) == list(state)
    again = record.module()
    assert record.load(again, found) == ()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in module.state_dict().items())


#: our layers -> MindSpore's, of a network of one stage
LAYERS = {
    **dict(zip(("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1", "conv4_2"),
               (f"base.vgg_base.layers.{place}" for place in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21)), strict=True)),
    "conv4_3_CPM": "base.conv4_3_CPM",
    "conv4_4_CPM": "base.conv4_4_CPM",
    **{f"conv5_{number}_CPM_{branch}": f"stage_1.conv{number}_CPM_{branch}" for branch in ("L1", "L2") for number in range(1, 6)},
}  # fmt: skip


def test_what_optimizers_keep_is_left_out_where_nothing_else_tells_it_apart(tmp_path: Path) -> None:
    names = ["moments.layers.0.weight", "moment1.a.b", "moment2.a.b", "accum.a.b", "learning_rate", "learning_rate_group_1"]
    names += ["global_step", "beta1_power", "beta2_power", "scale_sense", "current_iterator_step", "last_overflow_iterator_step"]
    names += ["epoch_num", "step_num"]
    kept = ["momentum_encoder.weight", "layers.0.weight", "a.moments.b", "scale"]
    found = read(tmp_path, checkpoint(dict.fromkeys([*names, *kept], WEIGHT)))
    assert list(found) == ["momentum_encoder.weight", "conv1_1.weight", "a.moments.b", "scale"]


def test_a_file_that_says_its_checksum_is_held_to_it(tmp_path: Path) -> None:
    whole = checkpoint({"a.weight": WEIGHT, "b.weight": WEIGHT}, checked=True)
    assert list(read(tmp_path, whole)) == ["a.weight", "b.weight"]
    damaged = bytearray(whole)
    damaged[whole.index(WEIGHT.tobytes()) + 3] ^= 1
    assert "CRC-32" in refused(tmp_path, bytes(damaged))
    random = value("random_op", "random_op", [], b"state of random numbers")
    assert list(read(tmp_path, random + whole)) == ["a.weight", "b.weight"], "MindSpore does not count it in"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there are no weights in it"),
        (tensor("moment1.a", WEIGHT), "there are no weights in it"),
        (b"PK\x03\x04 a checkpoint of PyTorch", "field 10 where a value was expected"),
        (b"<!DOCTYPE html>", "begins nothing that is known"),
        (b"\x00" * 40, "begins nothing that is known"),
        (b"\xff" * 40, "no integer ends"),
        (varint(1 << 3) + varint(5), "field 1 where a value was expected"),
        (block(1, block(1, b"a.weight")), "without a tag or a tensor"),
        (block(1, block(2, block(2, b"Float32") + block(3, b"1234"))), "without a tag or a tensor"),
        (block(1, block(1, b"\xff") + block(2, b"")), "no UTF-8"),
        (block(1, block(1, b"a") + block(2, block(3, b"1234"))), "without a type or bytes"),
        (block(1, block(1, b"a") + block(2, block(2, b"Float32"))), "without a type or bytes"),
        (block(1, block(1, b"table") + block(3, b"")), "a map of tensors"),
        (value("a.weight", "Float32", [2, 2], b"12"), r"2 bytes for a tensor of Float32 \[2, 2\]"),
        (value("a.weight", "Float32", [-1, 4], b"1234"), r"4 bytes for a tensor of Float32 \[-1, 4\]"),
        (value("a.weight", "Float32", [1 << 40, 1 << 40], b"1234"), "4 bytes for a tensor"),
        (value("a.weight", "Int4", [8], b"1234"), "tensors of the type 'Int4' are not known"),
        (tensor("a", WEIGHT) + tensor("b", WEIGHT) + tensor("a", WEIGHT), "a stands there twice"),
        (tensor("a", WEIGHT) + tensor("a", WEIGHT[0]), "the pieces of a are of different tensors"),
        (tensor("layers.0.bias", WEIGHT) + tensor("base.vgg_base.layers.0.bias", WEIGHT), r"two tensors of it are conv1_1\.bias"),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_of_mindspore_is_refused_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    assert re.search(said, refused(tmp_path, content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"absent\.ckpt: cannot be read"):
        MindSporeReader(file="absent.ckpt").read(tmp_path)


WHOLE = checkpoint({"a.weight": WEIGHT, "b.weight": WEIGHT, "c": np.float32(3)})
#: where one value ends and the next begins: cut there, a file is a whole one of less
ENDS = {len(checkpoint(dict(list({"a.weight": WEIGHT, "b.weight": WEIGHT}.items())[:count]))) for count in (1, 2)}


def test_a_file_that_was_cut_off_anywhere_else_than_between_two_values_is_refused(tmp_path: Path) -> None:
    for length in set(range(len(WHOLE))) - ENDS:
        message = refused(tmp_path, WHOLE[:length])
        assert "x.ckpt" in message and (length == 0 or "early" in message or "integer" in message)


@same_folder
@given(
    content=st.binary(max_size=200), places=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_whatever_stands_in_a_file_it_is_read_or_refused(tmp_path: Path, content: bytes, places: list[tuple[int, int]]) -> None:
    damaged = bytearray(WHOLE)
    for place, byte in places:
        damaged[place] = byte
    for given_bytes in (content, bytes(damaged), content + WHOLE, WHOLE + content):
        try:
            found = read(tmp_path, given_bytes)
        except StepFailed as error:
            assert "x.ckpt" in error.message
        else:
            assert found and all(isinstance(array, np.ndarray) for array in found.values())


def test_the_ending_of_ones_own_file_chooses_the_reader() -> None:
    place = open_place(str(ROOT))
    recipe = place.network("openpose_body")
    assert isinstance(recipe, Recipe)
    source = own_file(recipe, "trained/0-80_663.ckpt")
    assert source.reader == MindSporeReader(file="0-80_663.ckpt")
    assert [file.name for file in source.wanted()] == ["0-80_663.ckpt"]
