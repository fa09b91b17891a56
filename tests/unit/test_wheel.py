"""What a wheel carries: installed, it is a zoo with recipes, in any folder."""

import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the tree and nothing that is left there gets in."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("zoo", "recipes"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "zoo.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir")
    run(sys.executable, "-m", "pip", "wheel", *options, out, ".", cwd=tree, HOME=str(out))
    (built,) = out.glob("*.whl")
    return built


def test_wheel_carries_recipes_photos_types_and_licence(wheel: Path) -> None:
    names = {name.partition(".data/data/")[2] or name for name in zipfile.ZipFile(wheel).namelist()}
    recipes = {f"share/pose-zoo/recipes/{path.name}" for path in ROOT.glob("recipes/*.yaml")}
    assert len(recipes) >= 3
    recipes |= {f"share/pose-zoo/recipes/vdsp/{path.name}" for path in ROOT.glob("recipes/vdsp/*.json")}
    assert recipes | {"share/pose-zoo/zoo.yaml", "share/pose-zoo/recipes/photos/annotations.json", "zoo/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_lock_is_carried_where_there_is_one(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("recipes/weights.lock") for name in names) == (ROOT / "recipes" / "weights.lock").is_file()


def test_installed_zoo_lists_its_recipes_in_an_empty_folder_with_an_empty_home(wheel: Path, tmp_path: Path) -> None:
    venv, home, here = tmp_path / "venv", tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=here)
    python = venv / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=here, HOME=str(home))
    packages = next(venv.glob("lib/python*/site-packages"))
    # everything else comes from the environment of these tests, but for its own, editable zoo
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))

    where = run(python, "-c", "import zoo; print(zoo.__file__)", cwd=here, HOME=str(home))
    assert Path(where.strip()).is_relative_to(venv)
    listed = run(venv / "bin" / "zoo", "list", "--json", cwd=here, HOME=str(home))
    for path in ROOT.glob("recipes/*.yaml"):
        assert f'"{path.stem}"' in listed
    assert not list(here.iterdir()), "it wrote into the folder that it was called in"
