"""The digest of a step's code follows its imports, and nothing else."""

import shutil
import sys
from pathlib import Path

import pytest

from zoo.engine.code import PACKAGE, Code
from zoo.pose.decoders import PafDecoder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's sources to change."""
    shutil.copytree(PACKAGE, tmp_path / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "zoo"


def closure(package: Path, *roots: str) -> str:
    code = Code(package.parent / "cache", package)  # what has not changed since the last time need not be parsed again
    found = code.digest_of(frozenset(roots))
    code.save()
    return found


COMPILE = ("zoo.steps.compile", "zoo.backends.onnxruntime")
ACCURACY = ("zoo.steps.accuracy", "zoo.backends.onnxruntime", "zoo.pose.decoders.paf", "zoo.datasets.coco", "zoo.metrics.coco")

STEPS = [f"zoo.steps.{name}" for name in ("fetch", "export", "edit", "fp16", "int8", "compile", "parity", "latency")]


@pytest.mark.parametrize(
    ("file", "compiles", "judges"),
    [
        ("pose/decoders/paf.py", False, True),
        ("pose/decoders/lazy.py", False, True),
        ("pose/decoders/tf_pose.py", False, False),
        ("backends/onnxruntime.py", True, True),
    ],
)
def test_a_change_is_felt_by_the_steps_that_run_it(package: Path, file: str, compiles: bool, judges: bool) -> None:
    before = closure(package, *COMPILE), closure(package, *ACCURACY)
    with (package / file).open("a") as source:
        source.write("\nCHANGED = 1\n")
    after = closure(package, *COMPILE), closure(package, *ACCURACY)
    assert (before[0] != after[0], before[1] != after[1]) == (compiles, judges)


@pytest.mark.parametrize(
    "file",
    [
        # what reads and writes files of others, and what is said of them
        "pose/vdsp.py", "pose/vdsp_keys.py", "interop/emit.py", "recipe/vdsp.py", "formats/coco.py", "formats/txt.py",
        "formats/prediction.py", "cli/predict.py", "pose/draw.py",
        # what computes the same as a module that counts
        "pose/decoders/lazy_compiled.py",
        # what a single network has no part in
        "pipelines/body_hands.py", "pose/hands.py", "steps/whole.py", "steps/assemble.py",
    ],
)  # fmt: skip
def test_what_no_measurement_of_a_network_runs_outdates_none(package: Path, file: str) -> None:
    before = [closure(package, root) for root in STEPS], closure(package, *ACCURACY)
    with (package / file).open("a") as source:
        source.write("\nCHANGED = 1\n")
    assert ([closure(package, root) for root in STEPS], closure(package, *ACCURACY)) == before


@pytest.mark.parametrize("file", ["pipelines/body_hands.py", "pose/hands.py", "pipelines/estimator.py"])
def test_a_change_of_how_networks_work_together_is_felt_by_what_measures_a_pipeline(package: Path, file: str) -> None:
    roots = [(step, "zoo.pipelines.body_hands") for step in ("zoo.steps.assemble", "zoo.steps.whole", "zoo.steps.accuracy")]
    before = [closure(package, *root) for root in roots]
    with (package / file).open("a") as source:
        source.write("\nCHANGED = 1\n")
    assert not set(before) & {closure(package, *root) for root in roots}


def test_a_change_deep_in_the_imports_is_felt(package: Path) -> None:
    before = closure(package, *ACCURACY)
    with (package / "pose/decoders/peaks.py").open("a") as source:
        source.write("\nCHANGED = 1\n")
    assert closure(package, *ACCURACY) != before


def test_comments_and_docstrings_are_not_code(package: Path) -> None:
    path = package / "pose/decoders/paf.py"
    before = closure(package, *ACCURACY)
    path.write_text("# a remark\n" + path.read_text().replace('"""Bottom-up poses', '"""Bottom-up people', 1))
    assert closure(package, *ACCURACY) == before


def test_what_was_parsed_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    decoder = PafDecoder(heatmaps="h", pafs="p")
    first = Code(tmp_path)
    digest = first.digest(decoder)
    first.save()
    assert (tmp_path / "code.json").exists()
    assert Code(tmp_path).digest(decoder) == digest


def test_a_record_whose_code_is_known_stays_so_that_no_other_takes_its_place(package: Path) -> None:
    decoder, code = PafDecoder(heatmaps="h", pafs="p"), Code(package=package)
    before = sys.getrefcount(decoder)
    assert code.digest(decoder) == code.digest(decoder) == closure(package, PafDecoder.__module__)
    assert sys.getrefcount(decoder) == before + 1
