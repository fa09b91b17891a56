"""What continuous integration decides by: figures compared, options that keep results apart."""

import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo import cli
from zoo.board.results import Result, Weights
from zoo.machine import Machine
from zoo.recipe.model import Recipe
from zoo.steps.reports import Accuracy, Data, Failure

ROOT = Path(__file__).parent.parent.parent
MACHINE = Machine(cpu="A CPU", architecture="x86_64", isa=(), cores=2, threads=2, memory_bytes=8 << 30)


@pytest.fixture(scope="module")
def compare() -> Callable[[list[Result], list[Result]], list[str]]:
    found: Callable[[list[Result], list[Result]], list[str]] = runpy.run_path(str(ROOT / "ci" / "compare.py"))["compare"]
    return found


def result(ap: float | None, precision: str = "fp32", machine: str = "one", scale: float = 1.0, **failure: Any) -> Result:
    accuracy: Accuracy | Failure = Accuracy(
        figures={"AP": ap},
        title="a protocol",
        protocol={"scales": [scale]},
        dataset=Data(name="photos", title="photographs", digest="0123456789abcdef"),
        images=3,
        detections=3,
        machine=MACHINE,
        computed_in="fp32",
    )
    if failure:
        accuracy = Failure(dataset="photos", **failure)
    return Result(
        machine=machine,
        description=MACHINE,
        recipe="alpha",
        title="Alpha",
        task="body_pose",
        weights=Weights(title="official", licence="none"),
        target=f"onnxruntime-{precision}",
        backend="onnxruntime",
        device="cpu",
        precision=precision,
        accuracy=(accuracy,),
        key="k",
        definition="d",
    )


@pytest.mark.parametrize(
    ("precision", "off", "passes"), [("fp32", 0.004, True), ("fp32", 0.006, False), ("int8", 0.029, True), ("int8", 0.031, False)]
)
def test_a_figure_may_differ_by_its_tolerance(compare: Any, precision: str, off: float, passes: bool) -> None:
    (line,) = compare([result(0.5 + off, precision)], [result(0.5, precision)])
    assert line.startswith("FAILED") != passes


def test_one_machine_that_agrees_is_enough(compare: Any) -> None:
    (line,) = compare([result(0.5)], [result(0.4, machine="one"), result(0.5, machine="two")])
    assert line == "alpha/onnxruntime-fp32 on photos: AP 0.5000, committed 0.5000, tolerance 0.005"


def test_a_figure_of_another_protocol_is_none_to_compare_with(compare: Any) -> None:
    (line,) = compare([result(0.5)], [result(0.5, scale=2.0)])
    assert line.startswith("FAILED") and "no committed result" in line


def test_what_was_not_measured_fails(compare: Any) -> None:
    assert compare([], [result(0.5)]) == ["FAILED: nothing was measured"]
    (line,) = compare([result(None, word="failed", message="out of memory")], [result(0.5)])
    assert line == "FAILED alpha/onnxruntime-fp32 on photos: failed: out of memory"


@pytest.mark.parametrize("option", ["--limit=1", "--skip-bad-images", f"--weights={__file__}"])
def test_own_figures_have_no_folder_of_results(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["eval", "openpose_mobilenet", "--workspace", str(ROOT), option, "--results", str(tmp_path / "out")]) == 2
    assert "--results is for figures of the recipe's own" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_no_recipe_names_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["eval", "openpose_mobilenet", "--workspace", str(ROOT), "--dataset", "foto*"]) == 2
    assert "no dataset is called foto*" in capsys.readouterr().err


def test_a_glob_picks_the_datasets_that_a_model_is_judged_on() -> None:
    from zoo.engine.use import judged_on
    from zoo.engine.wish import Plan, Wish
    from zoo.recipe.workspace import open_place, read_recipe

    place = open_place(str(ROOT))
    recipe: Recipe = read_recipe(place.find("openpose_mobilenet"), place)
    picked = {
        glob: list(judged_on(Plan(place), recipe.evaluate[0], None, place.context(), Wish(datasets=(glob,), assume=True)))
        for glob in ("*", "photos", "coco_*", "none")
    }
    assert picked == {
        "*": ["photos", "coco_mini", "coco_val2017"],
        "photos": ["photos"],
        "coco_*": ["coco_mini", "coco_val2017"],
        "none": [],
    }


@pytest.mark.parametrize("script", ["ci/environment", "ci/quickstart", "ci/test", "ci/remeasure", "ci/leaderboard", ".ci/run"])
def test_a_script_is_executable_and_bash_reads_it(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", path], capture_output=True, check=False).returncode == 0


def test_every_dependency_is_pinned_once() -> None:
    import tomllib

    from packaging.requirements import Requirement

    lines = (ROOT / "ci" / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    names = [pin.name for pin in pins]
    assert len(set(names)) == len(names)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)}
    for requirement in map(Requirement, wanted):
        if requirement.name == "tensorrt":
            continue  # PyPI's is a stub that downloads from an index of its own: no script installs it
        (pin,) = [pin for pin in pins if pin.name == requirement.name.lower()]
        (version,) = [part.version for part in pin.specifier if part.operator == "=="]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"
