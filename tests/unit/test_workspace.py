"""Which workspace is used, and where what it makes goes."""

from pathlib import Path

import pytest

from zoo.errors import UsageError
from zoo.recipe import workspace
from zoo.recipe.workspace import Place, locate, open_place

DECLARED = """
format: 1
machine: here
mirrors: [mirror, $ZOO_MIRROR, absent]
environment: {ZOO_MIRROR: other}
datasets: {}
targets: {}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ZOO_WORKSPACE", "ZOO_MACHINE", "ZOO_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "zoo.yaml").write_text(DECLARED)
    return folder


def test_the_one_asked_for_goes_before_the_variable_and_that_before_the_folders_above(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = tmp_path / "other", tmp_path / "third"
    for folder in (other, third):
        folder.mkdir()
        (folder / "zoo.yaml").write_text(DECLARED)
    inside = root / "a" / "b"
    inside.mkdir(parents=True)
    assert locate(None, inside) == root / "zoo.yaml"
    monkeypatch.setenv("ZOO_WORKSPACE", str(other))
    assert locate(None, inside) == other / "zoo.yaml"
    assert locate(str(third), inside) == third / "zoo.yaml"


def test_without_any_the_carried_one_is_used_and_nothing_is_written_beside_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, cache = tmp_path / "empty", tmp_path / "cache"
    empty.mkdir()
    monkeypatch.setattr(workspace, "CARRIED", root / "zoo.yaml")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    place = open_place(start=empty)
    assert place.root == root and place.recipes == root / "recipes"
    for written in (place.store, place.results, place.board, place.context().cache):
        assert written.is_relative_to(cache), f"{written} is not ours to write"


def test_without_any_at_all_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "CARRIED", tmp_path / "nowhere" / "zoo.yaml")
    with pytest.raises(UsageError, match=r"no zoo\.yaml here"):
        locate(None, tmp_path)


def test_the_board_lies_beside_results_and_inside_a_folder_of_ones_own(root: Path, tmp_path: Path) -> None:
    place = open_place(str(root))
    assert (place.results, place.board) == (root / "results", root / "LEADERBOARD.md")
    own = Place(place.root, place.declared, place.store, tmp_path / "own")
    assert own.board == tmp_path / "own" / "LEADERBOARD.md"


def test_a_machine_is_named_by_the_environment_without_changing_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_place(str(root)).declared.machine == "here"
    monkeypatch.setenv("ZOO_MACHINE", "there-1")
    assert open_place(str(root)).declared.machine == "there-1"
    monkeypatch.setenv("ZOO_MACHINE", "../there")
    with pytest.raises(UsageError, match="names no machine"):
        open_place(str(root))


def test_a_context_knows_the_mirrors_that_are_there_and_the_lock(root: Path) -> None:
    for name in ("mirror", "other"):
        (root / name).mkdir()
    (root / "recipes").mkdir()
    (root / "recipes" / "weights.lock").write_text(f"{'a' * 64}  some/file.pth\n")
    context = open_place(str(root)).context(offline=True)
    assert context.mirrors == (root / "mirror", root / "other")
    assert context.lock == {"some/file.pth": "a" * 64}
    assert context.offline and context.root == root
