"""RTMPose is the original's, key for key and number for number, and its official files load."""

import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zoo.backends import TensorRtRtx
from zoo.calibrators import MinMax
from zoo.calibrators.quantize import quantize
from zoo.context import Context
from zoo.edits import OnnxSim
from zoo.edits.half import half
from zoo.errors import StepFailed
from zoo.models import Model, RtmPose
from zoo.models.rtmpose import VARIANTS
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.steps.bundle import Bundle
from zoo.steps.export import Export, ExportOnnx, load
from zoo.steps.provenance import Provenance
from zoo.weights import PthReader
from zoo.weights.seeded import seeded_state

torch = pytest.importorskip("torch")

#: as published: trainable parameters, entries of the official file
COUNTS = {"t": (3_337_007, 218), "s": (5_473_251, 254), "m": (13_587_611, 362), "l": (27_660_339, 470)}
PARTS = ("backbone.stem", *(f"backbone.stage{index}" for index in range(1, 5)), "head.final_layer", "head.gau")


def crops(count: int) -> Any:
    """The input that the original was given."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal((count, 3, 256, 192)).astype(np.float32))


def run(module: Any, image: Any) -> dict[str, Any]:
    """The outputs by their names."""
    with torch.no_grad():
        return dict(zip(RtmPose(variant="t").outputs, module(image), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that say that they are a rehearsal's."""
    path = tmp_path_factory.mktemp("weights")
    Provenance(source="seeded", files={}, licence="nobody's", use="any", rehearsal=True).write(path)
    return path


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Any:
    """The smallest network, with seeded weights."""
    return load(RtmPose(variant="t"), folder, Context(root=folder, cache=folder))[0]


@pytest.mark.assets
@pytest.mark.parametrize("variant", VARIANTS)
def test_network_equals_the_original(assets: Path, variant: str) -> None:
    record = msgspec.convert({"type": "rtmpose", "variant": variant}, Model)
    layout = json.loads((assets / f"layouts/rtmpose-{variant}.json").read_text())
    module, goldens, found = record.module(), np.load(assets / f"goldens/rtmpose-{variant}.npz"), {}
    assert {key: [list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in module.state_dict().items()} == layout
    assert (sum(parameter.numel() for parameter in module.parameters()), len(layout)) == COUNTS[variant]
    assert record.load(module, seeded_state({key: (shape, dtype) for key, (shape, dtype) in layout.items()}, record.gains)) == ()
    for part in PARTS:
        name = part.removeprefix("backbone.").replace(".", "_")
        module.get_submodule(part).register_forward_hook(lambda _, __, output, name=name: found.__setitem__(f"inner.{name}", output))
    checked = 0
    for count in (1, 2):
        found |= run(module, crops(count))
        for name, value in found.items():
            key = f"b{count}_256x192.{name}"
            if key in goldens:
                golden, (down, right) = goldens[key], goldens[f"{key}.stride"]
                assert value.shape == tuple(goldens[f"{key}.shape"]), key
                assert np.abs(value.numpy()[..., ::down, ::right] - golden).max() <= 1e-4 * np.abs(golden).max(), key
                checked += 1
    assert checked == sum(key.endswith(".shape") for key in goldens)


def test_crops_of_a_batch_do_not_see_each_other(tiny: Any) -> None:
    image = crops(2)
    alone = [run(tiny, image[index : index + 1]) for index in range(2)]
    for name, value in run(tiny, image).items():
        torch.testing.assert_close(value, torch.cat([one[name] for one in alone]), rtol=0, atol=1e-4 * float(value.abs().max()))
    assert not torch.allclose(alone[0]["simcc_x"], alone[1]["simcc_x"], rtol=0.1)


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest network as ONNX, with the weights of `tiny`."""
    path = tmp_path_factory.mktemp("exported")
    step = ExportOnnx(
        model=RtmPose(variant="t"),
        export=Export(input="input", shape=(1, 3, 256, 192), dynamic=("batch",)),
        preprocess=Preprocess(fit=Stretch(width=192, height=256)),
    )
    step.run({"weights": folder}, path, Context(root=path, cache=path))
    return path


def test_exported_graph_takes_any_batch_and_computes_the_same(tiny: Any, exported: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape) for value in (*session.get_inputs(), *session.get_outputs())] == [
        ("input", ["batch", 3, 256, 192]),
        ("simcc_x", ["batch", 17, 384]),
        ("simcc_y", ["batch", 17, 512]),
    ]
    for count in (1, 3):
        wanted = run(tiny, crops(count))
        for name, value in zip(wanted, session.run(None, {"input": crops(count).numpy()}), strict=True):
            assert np.abs(value - wanted[name].numpy()).max() <= 1e-4 * wanted[name].abs().max(), name


def noise(found: Any, wanted: Any) -> float:
    """In parts of the power of `wanted`."""
    return float(((found - wanted) ** 2).mean() / (wanted**2).mean())


def test_graph_keeps_what_it_computes_in_fewer_bits(exported: Path, compute: Any, tmp_path: Path, context: Context) -> None:
    import onnx

    bundle = Bundle.read(exported)
    graph, _ = OnnxSim().apply(bundle.graph, bundle.preprocess)
    onnx.save(graph, tmp_path / "model.onnx")
    image = crops(2).numpy()
    wanted = compute(graph, image)
    halved = half(graph)
    assert all(noise(value, wanted[name]) < 1e-4 for name, value in compute(halved, image).items())
    for scheme in ("u8s8", "s8s8"):
        feeds = ({"input": crop[None]} for crop in image)
        quantize(
            tmp_path / "model.onnx",
            tmp_path / f"{scheme}.onnx",
            feeds,
            calibrator=MinMax(),
            scheme=scheme,
            keep=["/head/*"],
            context=context,
        )
        for name, value in compute(onnx.load(tmp_path / f"{scheme}.onnx"), image).items():
            # below what the two crops differ by
            assert noise(value, wanted[name]) < 0.5 * noise(wanted[name][::-1], wanted[name]), (scheme, name)
    if TensorRtRtx().available():
        return
    shapes = {"input": ((1, 3, 256, 192), (1, 3, 256, 192), (32, 3, 256, 192))}
    (tmp_path / "half.onnx").write_bytes(halved.SerializeToString())
    for precision, file in (("fp32", "model"), ("fp16", "half"), ("int8", "s8s8")):
        source, out = tmp_path / f"from_{precision}", tmp_path / precision
        source.mkdir()
        out.mkdir()
        (tmp_path / f"{file}.onnx").rename(source / "model.onnx")
        TensorRtRtx().compile(source, out, precision=precision, shapes=shapes, context=context)
        assert (out / "model.engine").stat().st_size > 1e6


def test_larger_crops_have_weights_of_their_own() -> None:
    record = RtmPose(variant="t", input_size=(384, 288))
    module = record.module()
    with torch.no_grad():
        outputs = module(torch.zeros(1, 3, 384, 288))
    assert [tuple(value.shape) for value in outputs] == [(1, 17, 576), (1, 17, 768)]
    assert (record.size, record.keypoints, record.outputs) == ((384, 288), 17, {"simcc_x": 17, "simcc_y": 17})
    with pytest.raises(StepFailed, match=r"3 keys of another shape: head\.mlp\.1\.weight \(256, 48\) instead of \(256, 108\)"):
        record.load(module, RtmPose(variant="t").module().state_dict())
    with pytest.raises(ValueError, match="takes 384x288 alone"):
        module(torch.zeros(1, 3, 256, 192))
    with pytest.raises(msgspec.ValidationError, match="multiple of 32"):
        msgspec.convert({"type": "rtmpose", "variant": "t", "input_size": [250, 192]}, Model)


def publish(path: Path, module: Any, **meta: Any) -> Path:
    """Write a checkpoint in the form of OpenMMLab's: the older format, with what it says of its training, on a GPU."""
    state = OrderedDict(module.state_dict())
    adam = torch.optim.AdamW(list(module.parameters())[:1])
    meta = {
        "cfg": "model = dict(type='TopdownPoseEstimator')",
        "epoch": np.int64(420),
        "loss": np.float64(0.5),
        "dataset_meta": {"keypoint_colors": np.zeros((17, 3), np.uint8), "sigmas": np.ones(17, np.float32), "flip_indices": [0, 2, 1]},
        **meta,
    }
    state |= {f"data_preprocessor.{name}": torch.ones(3, 1, 1) for name in ("mean", "std")}
    torch.save({"meta": meta, "state_dict": state, "optimizer": adam.state_dict()}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    here, there = (b"X" + len(device).to_bytes(4, "little") + device for device in (b"cpu", b"cuda:0"))
    assert data.count(here) == 1, "the one place where the device is named has moved"
    path.write_bytes(data.replace(here, there))
    return path


def test_checkpoint_of_the_official_form_gives_what_was_saved(tiny: Any, tmp_path: Path) -> None:
    path = publish(tmp_path / "rtmpose-t.pth", tiny)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(path, weights_only=False)
    record = RtmPose(variant="t")
    module = record.module()
    assert record.load(module, PthReader(file=path.name).read(tmp_path)) == ("data_preprocessor.mean", "data_preprocessor.std")
    wanted = run(tiny, crops(1))
    assert all(torch.equal(value, wanted[name]) for name, value in run(module, crops(1)).items())
    with pytest.raises(StepFailed, match="are these weights of this architecture"):
        RtmPose(variant="s").load(RtmPose(variant="s").module(), PthReader(file=path.name).read(tmp_path))


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_hostile_checkpoint_of_the_official_form_is_refused(tiny: Any, tmp_path: Path) -> None:
    path, trace = tmp_path / "rtmpose-t.pth", tmp_path / "trace"
    publish(path, tiny, hooks=Hostile(trace))
    with pytest.raises(StepFailed, match=r"not a checkpoint of plain tensors.*mkdir"):
        PthReader(file=path.name).read(tmp_path)
    assert not trace.exists()
