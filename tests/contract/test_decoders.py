"""What every decoder of crops promises; a new one is found through the union."""

from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.pose.decoders import Decoder
from zoo.pose.fits import Box
from zoo.pose.geometry import Affine
from zoo.pose.skeletons import SKELETONS

FIT = Box(width=96, height=128)
BOXES = np.array([[10, 20, 100, 200], [-30, 5, 90, 60], [50, 50, 51, 51], [0, 0, 320, 240]], float)
AFFINES = [FIT.affine((320, 240), box) for box in BOXES]

#: tag -> fields and the shapes of what is read, after the crops and the channels, as YAML and networks give them. A decoder of crops
#: without an example fails `test_every_decoder_of_crops_has_an_example`.
EXAMPLES: dict[str, list[tuple[dict[str, Any], dict[str, tuple[int, ...]]]]] = {
    "landmarks": [({"landmarks": "points", "presence": "hand", "threshold": 0.0}, {"points": (), "hand": ()})],
    "simcc": [
        ({"x": "x", "y": "y"}, {"x": (192,), "y": (256,)}),
        ({"x": "x", "y": "y", "split": 1.5, "score": "mean", "skeleton": "hand_21"}, {"x": (144,), "y": (192,)}),
    ],
    "heatmap_peaks": [
        ({"heatmaps": "maps", "refine": refine, "skeleton": skeleton}, {"maps": (32, 24)})
        for refine, skeleton in (("none", "openpose_18"), ("quarter", "coco_17"), ("dark", "openpose_18_hands"))
    ],
}
CASES = [(msgspec.convert({"type": tag, **fields}, Decoder), shapes) for tag, examples in EXAMPLES.items() for fields, shapes in examples]

every_decoder = pytest.mark.parametrize(("decoder", "shapes"), CASES, ids=lambda part: type(part).__name__)


def outputs_of(decoder: Any, shapes: dict[str, tuple[int, ...]], count: int = 4, spare: int = 1) -> dict[str, Any]:
    """Noise in the channels that are read and `spare` more."""
    random = np.random.default_rng(1)
    read = {getattr(decoder, field): channels for field, channels in decoder.reads().items()}
    outputs = {name: random.normal(0.3, 1, (count, read[name] + spare, *shape)).astype(np.float32) for name, shape in shapes.items()}
    for output in outputs.values():
        output.flags.writeable = False
    return outputs


def test_every_decoder_of_crops_has_an_example() -> None:
    having = {decoder.__struct_config__.tag for decoder in get_args(Decoder) if hasattr(decoder, "decode_crops")}
    assert having == set(EXAMPLES)


@every_decoder
def test_a_decoder_survives_being_written_and_read(decoder: Any, shapes: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(decoder), type=Decoder) == decoder


@every_decoder
def test_crops_decoded_at_once_are_those_decoded_one_by_one(decoder: Any, shapes: Any) -> None:
    outputs = outputs_of(decoder, shapes)
    keypoints, scores = decoder.decode_crops(outputs, AFFINES)
    count = len(SKELETONS[decoder.skeleton].keypoints)
    assert keypoints.shape == (4, count, 2) and scores.shape == (4, count)
    for row, affine in enumerate(AFFINES):
        alone = {name: output[row : row + 1] for name, output in outputs.items()}
        one, score = decoder.decode_crops(alone, [affine])
        np.testing.assert_allclose(one[0], keypoints[row], rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(score[0], scores[row])
        poses = decoder.decode(alone, affine)
        there = ~np.isnan(keypoints[row, :, 0]).all()
        assert len(poses) == there
        if there:
            np.testing.assert_allclose(poses.keypoints[0], keypoints[row], rtol=1e-12, atol=1e-9)
            np.testing.assert_array_equal(poses.scores[0], scores[row])
            assert poses.instance_scores[0] == pytest.approx(scores[row][poses.present[0]].mean())


@every_decoder
def test_an_absent_keypoint_is_nan_with_score_0(decoder: Any, shapes: Any) -> None:
    outputs = {name: output.copy() for name, output in outputs_of(decoder, shapes).items()}
    for output in outputs.values():
        output[1] = -1
        output[2] = np.nan
        output[3] = np.inf
    keypoints, scores = decoder.decode_crops(outputs, AFFINES)
    assert np.isnan(keypoints[1:]).all() and not scores[1:].any()
    np.testing.assert_array_equal(np.isnan(keypoints).all(axis=-1), scores == 0)
    np.testing.assert_array_equal(np.isnan(keypoints).any(axis=-1), scores == 0)
    nobody = decoder.decode({name: output[1:2] for name, output in outputs.items()}, AFFINES[1])
    assert len(nobody) == 0 and nobody.keypoints.shape == (0, keypoints.shape[1], 2)


@pytest.mark.parametrize(("decoder", "shapes"), [case for case in CASES if hasattr(case[0], "unmirrored")])
def test_what_is_mirrored_twice_is_what_it_was(decoder: Any, shapes: Any) -> None:
    outputs = {name: output[:, :-1] for name, output in outputs_of(decoder, shapes).items()}
    once = decoder.unmirrored(outputs)
    assert set(once) == {getattr(decoder, field) for field in decoder.reads()}
    assert any(not np.array_equal(once[name], output) for name, output in outputs.items())
    for name, output in decoder.unmirrored(once).items():
        np.testing.assert_array_equal(output, outputs[name])


@every_decoder
def test_outputs_that_do_not_fit_are_refused(decoder: Any, shapes: Any) -> None:
    outputs = outputs_of(decoder, shapes, spare=0)
    for name, output in outputs.items():
        for wrong in (output[:, :-1], output[1:], output[..., None], output[0], np.zeros((*output.shape[:-1], 0), np.float32)):
            with pytest.raises(StepFailed, match=f"the output '{name}' has the shape") as caught:
                decoder.decode_crops(outputs | {name: wrong}, AFFINES)
            assert "the decoder needs [4, " in str(caught.value.hint)
        with pytest.raises(StepFailed, match=f"asks for the output '{name}'"):
            decoder.decode_crops({other: value for other, value in outputs.items() if other != name}, AFFINES)


@every_decoder
def test_crops_of_several_sizes_are_refused_where_the_size_matters(decoder: Any, shapes: Any) -> None:
    mixed = [*AFFINES[:3], Affine(AFFINES[3].matrix, (320, 240), (64, 64), (0, 0, 64, 64))]
    if type(decoder).__struct_config__.tag == "landmarks":
        return  # its outputs are in pixels of the input already
    with pytest.raises(StepFailed, match="64 x 64, 96 x 128"):
        decoder.decode_crops(outputs_of(decoder, shapes), mixed)
    with pytest.raises(StepFailed, match="none"):
        decoder.decode_crops(outputs_of(decoder, shapes, count=0), [])
