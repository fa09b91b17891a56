"""Where heavy things are imported, pixels resampled, and words printed: only where the layers say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo

PACKAGE = Path(zoo.__file__).parent
#: what takes long to import, or is not always installed
HEAVY = {
    *("av", "cv2", "numba", "onnx", "onnx_graphsurgeon", "onnxruntime", "onnxsim", "openvino", "polygraphy", "pycocotools", "pygame"),
    *("lightning_fabric", "pypi_simple", "requests", "tensorboardX", "tensorrt", "tensorrt_rtx", "torch"),
}
#: modules whose classes derive from a heavy library's, or that it compiles: whoever wants them has it, and imports them late
DERIVED = {
    "zoo.backends.polygraphy",
    "zoo.models.nets.hand_landmark",
    "zoo.models.nets.lightweight_openpose",
    "zoo.models.nets.openpose",
    "zoo.models.nets.openpose_mobilenet",
    "zoo.models.nets.openpose_small",
    "zoo.models.nets.rtmpose",
    "zoo.pose.decoders.lazy_compiled",
    "zoo.training.fit",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [module_of(path) for path in FILES]


def run(code: str) -> str:
    """What a fresh interpreter prints in its last line."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "import zoo.recipe.model",
        "import zoo.cli",
        "import zoo.api",
        "import zoo.engine.plan, zoo.engine.execute, zoo.board.tables",
        "from zoo.cli import run; assert run(['--help']) == 0",
        "from zoo.cli import run; assert run(['eval', '--help']) == 0",
        "from zoo.cli import cli, COMMANDS; [cli.get_command(None, name) for name in COMMANDS]",
    ],
)
def test_what_every_command_needs_imports_nothing_heavy(code: str) -> None:
    assert run(f"{code}\nimport sys\nprint(sorted({HEAVY!r} & set(sys.modules)))") == "[]"


def test_every_module_imports_on_its_own_without_anything_heavy() -> None:
    """Each as the first of the package, so that no cycle is hidden by the order of imports."""
    failed = run(f"""
import importlib, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(name + " is blocked", name=name)
sys.meta_path.insert(0, Blocker())
failed = {{}}
for module in {MODULES!r}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except ImportError as error:
        failed[module] = str(error)
print(failed)
""")
    assert set(ast.literal_eval(failed)) == DERIVED, failed


def nodes(path: Path) -> Iterator[tuple[str, int, str]]:
    """(file, line, code) of every name, attribute and import: prose in docstrings is none of them."""
    file = path.relative_to(PACKAGE).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name | ast.Attribute):
            yield file, node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from ((file, node.lineno, f"import {alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((file, node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def found(words: set[str]) -> dict[str, list[str]]:
    """File -> `line: code` of each of `words`."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for file, line, code in nodes(path):
            if code in words:
                places.setdefault(file, []).append(f"{line}: {code}")
    return places


RESAMPLING = {f"cv2.{name}" for name in ("resize", "warpAffine", "warpPerspective", "remap", "copyMakeBorder", "normalize", "pyrDown")}
PRINTING = {"print", "click.echo", "click.secho", "sys.exit", "sys.stderr.write", "sys.stdout.write", "traceback.print_exc"}
TERMINAL = {"import click", "click.Context", "rich.console.Console", "rich.table.Table", "rich.live.Live", "rich.progress.Progress"}


def test_images_are_resized_and_normalised_in_zoo_pose_alone() -> None:
    places = found(RESAMPLING)
    assert "pose/fits/resize.py" in places  # the search does find what is there
    assert {file: lines for file, lines in places.items() if not file.startswith("pose/")} == {}


def test_a_mean_and_a_deviation_are_read_by_preprocessing_what_folds_it_and_what_writes_it_alone() -> None:
    readers = set(found({"preprocess.mean", "preprocess.std", "self.mean", "self.std"}))
    assert readers == {"pose/preprocess.py", "pose/vdsp_writer.py", "interop/process_ops.py", "edits/fold_preprocess.py"}


def test_only_the_command_line_prints_and_exits() -> None:
    places = found(PRINTING | TERMINAL)
    assert "cli/__init__.py" in places
    assert {file: lines for file, lines in places.items() if not file.startswith("cli/")} == {}
