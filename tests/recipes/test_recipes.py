"""The recipes that are shipped: sound, buildable for TensorRT without a GPU, and as good as their authors say."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from workspaces import annotate, person, picture

from zoo.cli import run
from zoo.measure.windows import FEWEST, LONG
from zoo.models import OnnxGraph
from zoo.recipe.model import Recipe
from zoo.recipe.workspace import open_place, read_recipe

ROOT = Path(__file__).parents[2]
#: what makes a recipe large and is more of the same: its stages from the third on, and another file of the same network
MORE_OF_THE_SAME = {
    "{type: openpose_body}": "{type: openpose_body, stages: 2}",
    "{type: openpose_hand}": "{type: openpose_hand, stages: 2}",
    "{type: openpose_body, last_relu: false, pooling: ceil}": "{type: openpose_body, last_relu: false, pooling: ceil, stages: 2}",
    "  torchscript: body.torchscript.pt\n": "",
    "  torchscript: hand.torchscript.pt\n": "",
}
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
PIPELINES = [name for name in RECIPES if "pipeline" in yaml.safe_load((ROOT / f"recipes/{name}.yaml").read_text())]
NETWORKS = [name for name in RECIPES if name not in PIPELINES]
#: whose graph is another recipe's: they differ in how they are trained
TRAINED_OTHERWISE = ("lightweight_openpose_train_1", "lightweight_openpose_train_2", "openpose_vgg19_8")
Zoo = Callable[..., list[Any]]


def workspace(root: Path, **changes: Any) -> Path:
    """The zoo's own recipes in a folder of the test's, with a store of its own and `changes` to zoo.yaml."""
    declared = yaml.safe_load((ROOT / "zoo.yaml").read_text()) | changes
    (root / "zoo.yaml").write_text(yaml.safe_dump(declared))
    shutil.copytree(ROOT / "recipes", root / "recipes")
    return root


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_the_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", name, "--workspace", str(ROOT)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_offers_every_kind_of_target_and_names_its_editors_schema(name: str) -> None:
    place = open_place(str(ROOT))
    recipe = read_recipe(place.find(name), place)
    kinds = {
        (place.declared.targets[target].backend.__struct_config__.tag, place.declared.targets[target].precision)
        for target in recipe.targets
    }
    for backend in ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"):
        assert {(backend, "fp32"), (backend, "int8")} <= kinds
    schema = "pipeline" if name in PIPELINES else "recipe"
    assert place.find(name).read_text().startswith(f"# yaml-language-server: $schema=../docs/schema/{schema}.json\n")


def _begun(name: str) -> Iterator[str]:
    """A recipe, and those whose weights its training begins with."""
    yield name
    recipe = open_place(str(ROOT)).network(name)
    if recipe.train and recipe.train.initial and recipe.train.initial.recipe:
        yield from _begun(recipe.train.initial.recipe)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in TRAINED_OTHERWISE])
def test_tensorrt_rtx_builds_every_precision_of_every_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    for module in ("torch", "tensorrt_rtx"):
        pytest.importorskip(module)
    place = open_place(str(ROOT))
    recipe = read_recipe(place.find(name), place)
    assert isinstance(recipe, Recipe) and recipe.calibration is not None
    judging = {"type": "coco", "images": "pictures", "annotations": "pictures/people.json"}
    datasets = {dataset: dict(judging) for evaluation in recipe.evaluate for dataset in evaluation.datasets}
    begun = {name}
    if recipe.train:
        looked_at = [recipe.train.validation.dataset] if recipe.train.validation else []
        datasets |= {dataset: dict(judging) for dataset in (recipe.train.dataset, *looked_at)}
        begun = set(_begun(name))
    # the graph is what is built, and it is the same whatever the weights and the pictures
    calibrating = {"type": "coco", "images": "others", "annotations": "others/people.json"}
    declared: dict[str, Any] = {"datasets": {**datasets, recipe.calibration.dataset: calibrating}}
    # but for one that is a file: without it there is no graph
    whole = isinstance(recipe.model, OnnxGraph)
    root = workspace(tmp_path, mirrors=[str(request.getfixturevalue("assets") / "weights")] if whole else [], **declared)
    for other in set(RECIPES) - begun:
        (root / f"recipes/{other}.yaml").unlink()
    path = root / f"recipes/{name}.yaml"
    text = path.read_text()
    for large, small in MORE_OF_THE_SAME.items():
        text = text.replace(large, small)
    # whoever finds the boxes, their crops are of one size
    path.write_text(re.sub(r"boxes: \{type: (detector|detections)[^}]*\}", "boxes: {type: annotations}", text))
    picture(root / "pictures/0.png", 0)
    annotate(root / "pictures/people.json", {}, {1: "0.png"})
    picture(root / "others/0.png", 1, height=192, width=256)
    annotate(root / "others/people.json", {1: [person(1)]}, {1: "0.png"}, height=192, width=256)
    monkeypatch.chdir(root)
    code = run(["build", name, "-t", "tensorrt-rtx-*", *([] if whole else ["--rehearse"]), "--offline", "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert {row["target"]: row["parity"] for row in json.loads(out)} == {
        f"tensorrt-rtx-{precision}": "built, not run" for precision in ("fp32", "fp16", "int8")
    }


@pytest.mark.assets
def test_human_pose_estimation_0001_reaches_both_published_protocols(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("ZOO_ASSETS", str(assets))
    monkeypatch.delenv("ZOO_COCO", raising=False)
    monkeypatch.chdir(workspace(tmp_path))
    code = run(["eval", "human_pose_estimation_0001", "-t", "onnxruntime-fp32", "--offline"])
    assert code == 0, capfd.readouterr().err
    (path,) = Path("results").rglob("*.json")
    row = json.loads(path.read_text())
    assert row["weights"]["substitute"] == "dequantised from Intel's INT8", "Intel's own file is not there: offline"
    figures = {cell["protocol"]["name"]: cell["figures"]["AP"] for cell in row["accuracy"]}
    published = {name: figures[name] for name in ("lightweight_openpose", "open_model_zoo")}
    assert published == {"lightweight_openpose": pytest.approx(0.4467, abs=0.002), "open_model_zoo": pytest.approx(0.4262, abs=0.003)}
    assert figures["lazy_368"] >= 0.44 and figures["lazy_256"] >= 0.335
    assert {cell["images"] for cell in row["accuracy"]} == {97}
    timing = row["latency"]["timing"]
    assert timing["seconds"] >= 2 and timing["runs"] >= (50 if timing["seconds"] < LONG else FEWEST)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in row["weights"]["sha256s"].values())
