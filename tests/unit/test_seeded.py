"""Seeded weights are those of the reference data."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from zoo.models import LightweightOpenPose, Model, OpenPoseBody, OpenPoseHand, RtmPose
from zoo.weights.seeded import seeded_state, seeded_tensor

MODELS: dict[str, Model] = {
    "lightweight_openpose": LightweightOpenPose(),
    "lightweight_openpose_r3": LightweightOpenPose(refinement_stages=3),
    "openpose_body": OpenPoseBody(),
    "openpose_hand": OpenPoseHand(),
    "openpose_vgg19_mindspore": OpenPoseBody(last_relu=False),
    "rtmpose-t": RtmPose(variant="t"),
    "rtmpose-s": RtmPose(variant="s"),
    "rtmpose-m": RtmPose(variant="m"),
    "rtmpose-l": RtmPose(variant="l"),
}


@pytest.mark.assets
@pytest.mark.parametrize("model", MODELS)
def test_seeded_weights_have_the_published_digest(model: str, assets: Path) -> None:
    layout = json.loads((assets / "layouts" / f"{model}.json").read_text())
    facts = json.loads((assets / "layouts/index.json").read_text())["models"][model]
    state = seeded_state({key: (shape, dtype) for key, (shape, dtype) in layout.items()}, MODELS[model].gains)
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(state[key]).tobytes())
    assert digest.hexdigest() == facts["weights_sha256"]


def test_order_of_the_keys_does_not_matter() -> None:
    layout = {"a.weight": ((4, 3), "float32"), "a.bias": ((4,), "float32")}
    forth = seeded_state(layout)
    back = seeded_state(dict(reversed(layout.items())))
    assert all(np.array_equal(forth[key], back[key]) for key in layout)


def test_the_longest_prefix_gives_the_gain() -> None:
    state = seeded_state({"net.head.weight": ((8, 8), "float32")}, {"net.": 1.0, "net.head.": 8.0})
    assert np.array_equal(state["net.head.weight"], seeded_tensor("net.head.weight", (8, 8), 8.0))
    assert not np.array_equal(state["net.head.weight"], seeded_tensor("net.head.weight", (8, 8), 1.0))


def test_a_dtype_outside_the_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="float16 in the layout"):
        seeded_state({"a.weight": ((2, 2), "float16")})
