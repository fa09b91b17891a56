"""`zoo train` on scenes that are drawn, stopped and taken up again, and what it makes on its way through build and eval."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from workspaces import Zoo, changed, made, states

import zoo as package
from zoo.cli import run
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
TARGETS = """targets:
  onnxruntime-fp32:
  onnxruntime-int8: {parity: {snr: 3, reason: it has learnt nothing yet}}

calibration:"""


def miniature(root: Path, *changes: tuple[str, str]) -> Path:
    """A workspace with the recipe of this repository, made small."""
    text = (ROOT / "recipes/stick_openpose.yaml").read_text()
    text = re.sub(r"^targets:.*?^calibration:", TARGETS, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^  - protocol: stick_256_lazy.*?^benchmark:", "benchmark:", text, flags=re.DOTALL | re.MULTILINE)
    for key, value in {"size": "[64, 64]", "width": "4", "epochs": "2", "batch": "4", "images": "2", "every": "1"}.items():
        text, count = re.subn(rf"\b{key}: (\[[^]]*\]|[\w.]+)(?=[,}}\s])", f"{key}: {value}", text, count=1)
        assert count == 1, key
    (root / "recipes").mkdir(parents=True)
    (root / "recipes/stick_openpose.yaml").write_text(changed(text, *changes))
    (root / "zoo.yaml").write_text(WORKSPACE)
    return root


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
    said = zoo("build", "stick_openpose", "-t", "onnxruntime-fp32", "--rehearse", "--workspace", str(root))
    assert said.code == 0 and "stick_openpose/fetch" in made(said)


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(trained: Path, tmp_path: Path, zoo: Zoo) -> None:
    """Killed right after the checkpoint of step 6, in the middle of the second epoch."""
    root = miniature(tmp_path / "workspace", ("  batch: 4\n", "  batch: 4\n  checkpoint: 3\n"))
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
    [
        ("openpose_vgg19", 1),
        ("openpose_vgg19", 2),
        ("openpose_vgg19_8", 2),
        ("lightweight_openpose_train_1", 1),
        ("lightweight_openpose_train_3", 1),
    ],
)
def test_the_recipes_of_full_size_take_their_first_steps_on_photographs(
    name: str, devices: int, assets: Path, tmp_path: Path, zoo: Zoo
) -> None:
    """On small crops and few at a time, from random weights where those to begin with cannot be had; stopped and taken up again."""
    root = tmp_path / "workspace"
    shutil.copytree(ROOT / "recipes", root / "recipes")
    shutil.copy(ROOT / "zoo.yaml", root)
    path = root / f"recipes/{name}.yaml"
    text = re.sub(r"^  size: .*$", "  size: [64, 64]", path.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^  batch: .*$", "  batch: 2", text, flags=re.MULTILINE)
    path.write_text(re.sub(r"^  checkpoint: .*$", "  checkpoint: 1", text, flags=re.MULTILINE))
    words = [
        "train",
        name,
        "--dataset",
        "coco_mini",
        "--steps",
        "2",
        "--rehearse",
        "--no-validation",
        "--offline",
        "--workspace",
        str(root),
    ]
    words += ["--devices", str(devices), "--accelerator", "cpu"]
    killed = killed_after(1, tmp_path, words)
    assert killed == -signal.SIGKILL
    said = zoo(*words)
    assert said.code == 0 and "begun at random" in (next(root.glob(".zoo/objects/*/trained.pth")).parent / "provenance.json").read_text()
    (epoch,) = history(root)
    assert epoch["step"] == 2 and 0 < epoch["loss"] < 1e5
