"""The lazy decoder compiled: what NumPy finds, to the last bit."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lazy_decoder import LAZY, OVER_INPUT, noise
from test_paf_decoder import IMAGES, golden, laid, person_at, planted, whole

from zoo.pose.decoders import PafDecoder, lazy, paf
from zoo.pose.decoders.connect import LimbScoring
from zoo.pose.decoders.peaks import FourNeighbours
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses

pytest.importorskip("numba", reason="numba is not installed: pip install 'pose-zoo[fast]'")

DECODERS = [
    LAZY,
    msgspec.structs.replace(OVER_INPUT, upsample=3),
    msgspec.structs.replace(LAZY, limbs=LimbScoring(average="all", prior="half_height", samples=7, passed=0.4)),
    msgspec.structs.replace(LAZY, limbs=LimbScoring(average="all", prior="width")),
    msgspec.structs.replace(LAZY, limbs=LimbScoring(prior="exact_half_height", threshold=-0.2), peaks=FourNeighbours(distance=11)),
]


def in_numpy(decoder: PafDecoder, outputs: dict[str, Any], affine: Affine) -> Poses:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paf, "compiled", lambda: None)
        return decoder.decode(outputs, affine)


def equal(decoder: PafDecoder, outputs: dict[str, Any], affine: Affine) -> int:
    """How many people both find; they must be the same ones."""
    one, other = decoder.decode(outputs, affine), in_numpy(decoder, outputs, affine)
    for field in ("keypoints", "scores", "boxes", "instance_scores"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype
    return len(one)


def test_where_numba_is_installed_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lazy.compiled() is not None
    monkeypatch.setattr(paf, "find_peaks", None)
    assert len(LAZY.decode(planted((32, 48), [person_at(10.2, 8.3)]), whole((32, 48)))) == 1


def test_nothing_loads_numba_before_maps_are_decoded_lazily() -> None:
    code = "import sys, zoo.api, zoo.pose.decoders; assert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    broken=st.sampled_from([0.0, 0.01]),
    levels=st.sampled_from([0, 3, 40]),
    decoder=st.sampled_from(DECODERS),
)
def test_random_maps(seed: int, size: tuple[int, int], broken: float, levels: int, decoder: PafDecoder) -> None:
    outputs = noise(seed, size, broken)
    if levels:  # plateaus and ties
        outputs = {name: np.round(maps * levels) / np.float32(levels) for name, maps in outputs.items()}
    affine = Affine(np.eye(2, 3), (size[1] * 5 + 1, size[0] * 6), (size[1] * decoder.upsample, size[0] * decoder.upsample), (1, 0, 2, 1))
    equal(decoder, outputs, whole(size) if decoder.upsample == 8 else affine)


def test_more_peaks_than_are_kept() -> None:
    outputs = noise(1, (60, 60), 0.0)
    outputs["paf"] = np.zeros_like(outputs["paf"])
    heat = np.zeros((1, 19, 60, 60), np.float32)
    heat[:, :, ::2, ::2] = np.abs(outputs["heat"][:, :, ::2, ::2]) + np.float32(0.2)
    equal(LAZY, {**outputs, "heat": heat}, whole((60, 60)))


@pytest.mark.assets
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("levels", [0, 40], ids=["as they are", "in few levels"])
def test_real_maps(assets: Path, image: str, levels: int) -> None:
    _, outputs, affine = golden(assets, image)
    if levels:
        outputs = {name: np.round(maps * levels) / np.float32(levels) for name, maps in outputs.items()}
    assert sum(equal(decoder, outputs, affine) for decoder in (LAZY, OVER_INPUT, *DECODERS[2:])) > 0


@pytest.mark.assets
@pytest.mark.parametrize("image", ["217285", "78915"])
def test_crowds_of_real_maps(assets: Path, image: str) -> None:
    _, outputs, _ = golden(assets, image)
    strength = np.random.default_rng(0).uniform(0.8, 1.1, (2, 3)).astype(np.float32)
    crowd = {name: np.concatenate([np.concatenate(list(maps * line[:, None, None, None, None]), axis=3) for line in strength], axis=2)
             for name, maps in outputs.items()}  # fmt: skip
    size = crowd["heat"].shape[2:]
    assert equal(LAZY, crowd, laid(size, (0, 0, size[1] * 8, size[0] * 8), (size[1] * 6, size[0] * 6))) > 20
