"""`zoo train` on scenes that are drawn, stopped and taken up again, and what it makes on its way through build and eval."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from workspaces import Zoo, made, states

import zoo as package
from zoo.cli import run
from zoo.document import read
from zoo.measure.isolated import Isolated
from zoo.steps.latency import MeasureLatency

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

ROOT = Path(__file__).parents[2]
WORKSPACE = """\
format: 1
machine: here
datasets:
  stick_train: {type: stick_people, title: scenes to learn from, scenes: 18, seed: 1}
  stick_val: {type: stick_people, title: scenes to look at, scenes: 3, seed: 2}
  stick_test: {type: stick_people, title: scenes to judge on, scenes: 4, seed: 3}
  stick_calibration: {type: stick_people, title: scenes to calibrate on, scenes: 2, seed: 4}
targets:
  onnxruntime-fp32: {backend: {type: onnxruntime}, precision: fp32}
  onnxruntime-int8: {backend: {type: onnxruntime}, precision: int8}
"""

#: what the process that takes the steps does to the command, and to itself
KILLING = """
import os, signal, sys
if "serve" in " ".join(sys.orig_argv):
    from zoo.training import checkpoint
    save = checkpoint.save
    def killing(folder, content):
        save(folder, content)
        if content["step"] == int(os.environ["LAST_STEP"]):
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.save = killing
"""


def recipe(name: str = "stick_openpose") -> dict[str, Any]:
    """A recipe of this repository, to be changed."""
    data: dict[str, Any] = json.loads(json.dumps(read(ROOT / f"recipes/{name}.yaml").data))
    return data


def written(root: Path, changed: dict[str, Any], workspace: str) -> Path:
    """A workspace with a recipe."""
    (root / "recipes").mkdir(parents=True, exist_ok=True)
    (root / f"recipes/{changed['name']}.yaml").write_text(json.dumps(changed))
    (root / "zoo.yaml").write_text(workspace)
    return root


def miniature(root: Path, **train: Any) -> Path:
    """A workspace with the recipe that learns from drawn figures, made small."""
    small = recipe()
    small["train"] |= {"size": [64, 64], "epochs": 2, "batch": 4, **train}
    small["train"]["validation"] |= {"protocol": "stick_256", "every": 1}
    small["model"]["width"] = 4
    small["targets"] = {"onnxruntime-fp32": None, "onnxruntime-int8": {"parity": {"snr": 3, "reason": "it has learnt nothing yet"}}}
    small["calibration"]["images"] = 2
    small["evaluate"] = small["evaluate"][:1]
    return written(root, small, WORKSPACE)


def killed_after(step: int, folder: Path, words: list[str]) -> int:
    """The command `zoo WORDS`, killed right after its checkpoint of a step; how it ended."""
    (folder / "killing").mkdir()
    (folder / "killing/sitecustomize.py").write_text(KILLING)
    folders = [str(folder / "killing"), str(Path(package.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1", "LAST_STEP": str(step)}
    command = [sys.executable, "-c", "from zoo.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, timeout=300, env=environment, check=False).returncode


def history(root: Path) -> list[dict[str, Any]]:
    """What training.json says of each epoch."""
    (path,) = (root / ".zoo/objects").glob("*/training.json")
    epochs: list[dict[str, Any]] = json.loads(path.read_text())["epochs"]
    return epochs


def losses(root: Path) -> list[float]:
    return [epoch["loss"] for epoch in history(root)]


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Any:
    """Nobody reads these timings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.engine.network.MeasureLatency", partial(MeasureLatency, seconds=0.01, runs=3))
        patch.setattr("zoo.steps.end_to_end.run_isolated", lambda work, *given, context: Isolated(work(*given, context=context), 1))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("ZOO_WORKSPACE", raising=False)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = miniature(tmp_path_factory.mktemp("trained") / "workspace")
    assert run(["train", "stick_openpose", "--workspace", str(root)]) == 0
    return root


def test_what_is_trained_is_built_judged_and_ranked_in_a_table_of_its_own(trained: Path, zoo: Zoo) -> None:
    epochs = history(trained)
    assert [epoch["step"] for epoch in epochs] == [4, 8] and epochs[1]["loss"] < epochs[0]["loss"]
    assert all(0 <= epoch["validation"]["AP"] <= epoch["validation"]["ceiling"] <= 1 for epoch in epochs)
    said = zoo("eval", "stick_openpose", "--workspace", str(trained))
    assert said.code == 0 and "stick_openpose/train" not in made(said)
    for target in ("onnxruntime-fp32", "onnxruntime-int8"):
        result = json.loads((trained / f"results/here/stick_openpose/{target}.json").read_text())
        assert result["weights"]["title"] == "trained as stick_openpose says, seed 0" and not result["weights"]["rehearsal"]
    headings = [line for line in (trained / "LEADERBOARD.md").read_text().splitlines() if line.startswith("#")]
    assert any("scenes to judge on" in heading for heading in headings)


def test_training_is_not_done_twice_nor_by_other_commands(trained: Path, zoo: Zoo) -> None:
    here = ("--workspace", str(trained))
    assert states(zoo, "stick_openpose", *here)["stick_openpose/train"] == "known"
    assert "stick_openpose/train" not in made(zoo("train", "stick_openpose", *here))
    assert "stick_openpose/train" not in made(zoo("build", "stick_openpose", "--again", "-t", "onnxruntime-fp32", *here))
    zoo("gc", *here)
    assert states(zoo, "stick_openpose", *here)["stick_openpose/train"] == "known"


def test_what_has_not_been_trained_is_not_trained_by_build(tmp_path: Path, zoo: Zoo) -> None:
    root = miniature(tmp_path / "workspace")
    said = zoo("build", "stick_openpose", "--workspace", str(root))
    assert said.code == 4 and "stick_openpose has not been trained here" in said.err and "zoo train stick_openpose" in said.err
    assert "photos/stick_train/render" not in made(said)
    assert not list(root.glob(".zoo/partial/*")), "nothing was begun that could be gone on with"
    said = zoo("build", "stick_openpose", "-t", "onnxruntime-fp32", "--rehearse", "--workspace", str(root))
    assert said.code == 0 and "stick_openpose/fetch" in made(said)


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(trained: Path, tmp_path: Path, zoo: Zoo) -> None:
    """Killed right after the checkpoint of step 6, in the middle of the second epoch."""
    root = miniature(tmp_path / "workspace", checkpoint=3)
    words = ["train", "stick_openpose", "--workspace", str(root)]
    assert killed_after(6, tmp_path, words) == -signal.SIGKILL
    zoo("gc", "--workspace", str(root))
    assert zoo(*words).code == 0
    assert losses(root) == losses(trained)


@pytest.mark.enable_socket
def test_two_processes_learn_what_one_does(trained: Path, tmp_path: Path, zoo: Zoo) -> None:
    """Up to what BatchNorm sees of half a batch: the first epoch's loss is near, and both end with weights."""
    root = miniature(tmp_path / "workspace")
    assert zoo("train", "stick_openpose", "--devices", "2", "--accelerator", "cpu", "--no-validation", "--workspace", str(root)).code == 0
    assert losses(root) == pytest.approx(losses(trained), rel=0.1)


def test_devices_that_cannot_share_a_batch_are_refused_before_anything_is_drawn(tmp_path: Path, zoo: Zoo) -> None:
    root = miniature(tmp_path / "workspace")
    said = zoo("train", "stick_openpose", "--devices", "3", "--accelerator", "cpu", "--workspace", str(root))
    assert said.code == 2 and "cannot be shared by 3 devices" in said.err
    assert not (root / ".zoo/objects").exists()


def test_a_recipe_that_says_nothing_of_training_is_refused_with_those_that_do(zoo: Zoo) -> None:
    for name in ("rtmpose_t", "rtmdet_rtmpose_t"):
        said = zoo("train", name, "--workspace", str(ROOT))
        assert said.code == 2 and f"{name} does not say how it is trained" in said.err and "stick_openpose" in said.err


def test_a_try_is_told_and_not_taken(tmp_path: Path, zoo: Zoo) -> None:
    root = miniature(tmp_path / "workspace")
    said = zoo("train", "stick_openpose", "--steps", "1", "--no-validation", "--copy", str(tmp_path / "own.pth"), "--workspace", str(root))
    assert said.code == 0 and "a try" in said.out and (tmp_path / "own.pth").is_file()
    assert states(zoo, "stick_openpose", "--workspace", str(root))["stick_openpose/train"] == "to do"
    said = zoo("build", "stick_openpose", "-t", "onnxruntime-fp32", "--weights", str(tmp_path / "own.pth"), "--workspace", str(root))
    assert said.code == 0


@pytest.mark.assets
@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("name", "devices"),
    [("openpose_vgg19", 1), ("openpose_vgg19_8", 2), ("lightweight_openpose_train_1", 1), ("lightweight_openpose_train_3", 1)],
)
def test_the_recipes_of_full_size_take_first_steps_on_photographs(
    name: str, devices: int, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo
) -> None:
    """On small crops and few at a time, from random weights where those to begin with cannot be had; stopped and taken up again."""
    monkeypatch.setenv("ZOO_ASSETS", str(assets))
    root = tmp_path / "workspace"
    shutil.copytree(ROOT / "recipes", root / "recipes")
    small = recipe(name)
    small["train"] |= {"size": [64, 64], "batch": 2, "checkpoint": 1}
    written(root, small, (ROOT / "zoo.yaml").read_text())
    words = ["train", name, "--dataset", "coco_mini", "--steps", "2", "--rehearse", "--no-validation", "--offline"]
    words += ["--devices", str(devices), "--accelerator", "cpu", "--workspace", str(root)]
    assert killed_after(1, tmp_path, words) == -signal.SIGKILL
    assert zoo(*words).code == 0
    (weights,) = root.glob(".zoo/objects/*/trained.pth")
    assert json.loads((weights.parent / "provenance.json").read_text())["source"].endswith("2 steps, begun at random")
    (epoch,) = history(root)
    assert epoch["step"] == 2 and 0 < epoch["loss"] < 1e5


@pytest.mark.assets
def test_one_photograph_is_learnt_by_heart(assets: Path, tmp_path: Path, zoo: Zoo) -> None:
    """Image 785 of coco_mini: one person, whom the decoder finds without fault in perfect maps."""
    file = assets / "coco_mini/annotations/person_keypoints_val_mini.json"
    others = [image["id"] for image in json.loads(file.read_text())["images"] if image["id"] != 785]
    photograph = f"{{type: coco, images: {assets / 'coco_mini/images'}, annotations: {file}, omit: {others}}}"
    learning = recipe()
    learning["train"] |= {"dataset": "learnt", "size": [256, 384], "epochs": 300, "batch": 1}
    # near the height at which it will be looked at, 256 of 425 pixels; moved a little, since the cells lie otherwise there
    learning["train"]["augment"] = {"scale": [0.58, 0.62], "target": 0, "about": "image", "rotate": 0, "shift": 8, "flip": 0}
    learning["train"]["optimizer"]["lr"] = 4e-3
    learning["train"]["validation"] = {"dataset": "looked_at", "protocol": "stick_256", "every": 300}
    learning["targets"] = {"onnxruntime-fp32": None}
    workspace = WORKSPACE.replace("targets:", f"  learnt: {photograph}\n  looked_at: {photograph}\ntargets:")
    root = written(tmp_path / "workspace", learning, workspace)
    assert zoo("train", "stick_openpose", "--workspace", str(root)).code == 0
    validation = history(root)[-1]["validation"]
    assert validation["ceiling"] == pytest.approx(1) and validation["AP"] > 0.95
