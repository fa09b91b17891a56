"""TorchScript beside the ONNX file: the same network, the same bytes every time, and a file that differs is found."""

import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from workspaces import picture

from zoo.backends.torch import Torch
from zoo.context import Context
from zoo.datasets import Folder
from zoo.errors import StepFailed
from zoo.models import LightweightOpenPose
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.steps import reports, torchscript
from zoo.steps.export import Export, ExportOnnx, load
from zoo.steps.images import Views
from zoo.steps.parity import Gate, MeasureParity
from zoo.steps.provenance import Provenance
from zoo.steps.torchscript import WriteTorchScript

torch = pytest.importorskip("torch")

MODEL = LightweightOpenPose(channels=8)
NAME = "tiny.torchscript.pt"
ROOT = Path(__file__).parents[2]


def export(root: Path, out: Path) -> None:
    step = ExportOnnx(
        model=MODEL,
        export=Export(shape=(1, 3, 64, 64)),
        preprocess=Preprocess(fit=Stretch(width=64, height=48), mean=(128, 128, 128), std=(256, 256, 256)),
    )
    step.run({"weights": root / "weights"}, out, Context(root=root, cache=root / "cache"))


def traced(root: Path, out: Path) -> None:
    given = {"weights": root / "weights", "exported": root / "exported"}
    WriteTorchScript(model=MODEL, shape=(1, 3, 64, 64), name=NAME).run(given, out, Context(root=root, cache=root / "cache"))


@pytest.fixture(scope="module")
def _exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `weights` (seeded), `exported` and `torchscript`."""
    root = tmp_path_factory.mktemp("torchscript")
    (root / "weights").mkdir()
    (root / "exported").mkdir()
    (root / "torchscript").mkdir()
    Provenance(source="seeded", files={}, licence="nobody's", use="any", rehearsal=True).write(root / "weights")
    for seed in range(2):
        picture(root / "pictures" / f"{seed}.png", seed)
    export(root, root / "exported")
    traced(root, root / "torchscript")
    return root


@pytest.fixture
def exported(_exported: Path, tmp_path: Path) -> Path:
    """Another folder that sees the same files; replacing one of them there leaves the others alone."""
    for path in sorted(_exported.rglob("*")):
        if path.is_file():
            copy = tmp_path / path.relative_to(_exported)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    return tmp_path


def parity(root: Path) -> MeasureParity:
    step = MeasureParity(
        model=MODEL,
        torchscript=NAME,
        gate=Gate(relative=1e-4),
        views=Views(dataset=Folder(title="pictures", images="pictures")),
        images=2,
    )
    (root / "report").mkdir()
    given = {"weights": root / "weights", "exported": root / "exported", "torchscript": root / "torchscript", "model": root / "exported"}
    step.run(given, root / "report", Context(root=root, cache=root / "cache"))
    return step


def module(root: Path) -> Any:
    return load(MODEL, root / "weights", Context(root=root, cache=root / "cache"))[0]


def said(path: Path) -> dict[str, str]:
    """What a file says about itself."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "/extra/" in name]
        return {name.rpartition("/extra/")[2]: archive.read(name).decode() for name in names}


def replaced(path: Path, changed: Any) -> None:
    path.unlink()
    torchscript.write(changed, (1, 3, 64, 64), path, {})


def test_it_takes_any_batch_and_size_and_says_what_it_is(exported: Path) -> None:
    path = exported / "torchscript" / NAME
    data = np.random.default_rng(0).standard_normal((3, 3, 40, 72)).astype(np.float32)
    with Torch(module(exported), tuple(MODEL.outputs)) as ours, Torch.from_torchscript(path, tuple(MODEL.outputs)) as theirs:
        expected, found = ours({"data": data}), theirs({"data": data})
    assert list(found) == list(MODEL.outputs)
    for name, value in expected.items():
        assert found[name].shape[0] == 3 and np.array_equal(found[name], value)
    assert msgspec.json.decode(said(path)["zoo.preprocess"], type=Preprocess).fit == Stretch(width=64, height=48)
    assert msgspec.json.decode(said(path)["zoo.weights"], type=Provenance).rehearsal


def test_it_has_the_same_bytes_in_every_process_whatever_was_traced_before(exported: Path) -> None:
    path, again = exported / "torchscript" / NAME, exported / "again"
    again.mkdir()
    torchscript.write(module(exported), (1, 3, 64, 64), again / NAME, said(path))
    traced(exported, again)
    assert [file.name for file in again.iterdir()] == [NAME], "nothing half-made is left"
    assert (again / NAME).read_bytes() == path.read_bytes()
    assert str(ROOT).encode() not in path.read_bytes(), "where the code lay is nobody's business"


def test_parity_holds_it_against_the_module(exported: Path) -> None:
    step = parity(exported)
    report = reports.read(exported / "report")
    assert isinstance(report, reports.Parity) and step.verdict(exported / "report") == ""
    assert {(one.reference, one.output) for one in report.comparisons if one.candidate == "TorchScript"} == {
        ("PyTorch", output) for output in MODEL.outputs
    }
    assert {one.candidate for one in report.comparisons} == {"TorchScript", "exported ONNX", "edited ONNX"}


def test_a_file_of_other_weights_fails_parity(exported: Path) -> None:
    other = module(exported)
    with torch.no_grad():
        other.initial_stage.pafs[1][0].weight *= 1.01
    replaced(exported / "torchscript" / NAME, other)
    verdict = parity(exported).verdict(exported / "report")
    assert "TorchScript" in verdict and "pafs" in verdict


def test_a_file_that_is_fixed_to_its_example_fails_parity(exported: Path) -> None:
    class Fixed(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def forward(self, data: Any) -> Any:
            return tuple(torch.zeros(1, channels, 8, 8) for channels in MODEL.outputs.values())

    replaced(exported / "torchscript" / NAME, Fixed())
    with pytest.raises(StepFailed, match=r"TorchScript: .* has the shape"):
        parity(exported)


def test_a_file_that_is_none_is_named(exported: Path) -> None:
    path = exported / "torchscript" / NAME
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StepFailed, match=r"tiny\.torchscript\.pt cannot be opened as TorchScript"):
        parity(exported)


@pytest.mark.parametrize("name", ["model.onnx", "../body.pt", "a/b.pt", ".pt"])
def test_only_a_plain_name_of_torchs_own_ending_is_taken(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"shape": [1, 3, 64, 64], "torchscript": name}, Export)
