"""Calibration on the images that the model is judged on: such an INT8 model looks better than it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import RecipeError, ZooError
from zoo.interop.audit.files import RECIPE, File
from zoo.interop.audit.finding import Finding, finding
from zoo.interop.cursor import Cursor, Place, shown
from zoo.recipe.workspace import Place as Workspace
from zoo.recipe.workspace import locate, open_place, read_recipe

#: a part of a path that names the images of an evaluation: val2017, ILSVRC2012_img_val, test, WIDER_val
_JUDGED = re.compile(r"(^|[_\-.])(val|valid|validation|test|eval|minival)[_\-]?(\d{2,4})?$", re.I)
_CALIBRATION = re.compile(r"calib|quant", re.I)


def calibration(files: Sequence[File]) -> Iterator[Finding]:
    """Build YAMLs whose calibration lies in images that something is evaluated on, and recipes of ours with any fault."""
    judged = dict(_judged(files))
    for file in files:
        if file.kind != "vamc":
            continue
        at = Cursor(file.document).at("dataset", "path")
        text = at.text()
        if text is None:
            continue
        if found := next((part for part in Path(text).parts if _JUDGED.search(part) and not _CALIBRATION.search(text)), None):
            message = f"dataset.path is {shown(text)}: by its name, {shown(found)} is what models are evaluated on"
            yield finding(at.place, "calibration", message, "calibrate on training images, or others")
            continue
        lies = _resolved(text, file.path.parent)
        for path, (name, place) in judged.items():
            if lies and (lies == path or path in lies.parents or lies in path.parents):
                message = f"dataset.path is {shown(text)}, where the images of {name} lie, which is evaluated on"
                yield finding(at.place, "calibration", message, "calibrate on other images", place)
    for file in files:
        if file.kind == RECIPE:
            yield from _recipe(file)


def _judged(files: Sequence[File]) -> Iterator[tuple[Path, tuple[str, Place]]]:
    """Folders of images that something is evaluated on -> what they are called, and where that stands."""
    for file in files:
        if file.kind == "accuracy_check":
            for model in Cursor(file.document).at("models").items():
                for dataset in model.at("datasets").items():
                    at = dataset.at("data_source")
                    if (text := at.text()) and (path := _resolved(text, file.path.parent)):
                        yield path, (shown(dataset.at("name").value), at.place)
    for place in _workspaces(files):
        for recipe in place.files():
            try:
                evaluations = read_recipe(recipe, place).evaluate
            except ZooError:
                continue
            for name in {name for evaluation in evaluations for name in evaluation.datasets}:
                folder = getattr(place.declared.datasets[name], "images", "")
                try:
                    path = place.context(offline=True).path(folder) if folder else None
                except ZooError:
                    continue  # in a variable that this machine does not have
                if path:
                    yield path.resolve(), (name, Place(str(recipe), 1, 1))


def _workspaces(files: Sequence[File]) -> list[Workspace]:
    """The workspaces that build YAMLs lie in, where they name images that are here."""
    found: dict[Path, Workspace] = {}
    for folder in {file.path.parent for file in files if file.kind == "vamc" and _here(file)}:
        try:
            path = locate(None, folder)
            found.setdefault(path, open_place(str(path)))
        except ZooError:
            continue
    return list(found.values())


def _here(file: File) -> bool:
    text = Cursor(file.document).at("dataset", "path").text()
    path = _resolved(text, file.path.parent) if text else None
    try:
        return path is not None and path.is_dir()
    except OSError:  # a name that no file can have
        return False


def _resolved(text: str, folder: Path) -> Path | None:
    try:
        return (folder / os.path.expandvars(text)).resolve()
    except (OSError, ValueError, RuntimeError):
        return None


def _recipe(file: File) -> Iterator[Finding]:
    """What `zoo check` says of a recipe of ours."""
    from zoo.recipe.overlaps import overlaps

    try:
        place = open_place(None, file.path.parent)
        problems = overlaps(file.path, read_recipe(file.path, place), place.declared, place.context(offline=True))
    except RecipeError as error:
        problems = error.problems
    except ZooError:
        return  # it lies in no workspace: nobody knows the names in it
    for problem in problems:
        text = f"{problem.path}: {problem.message}" if problem.path else problem.message
        at = Place(problem.file, problem.line, problem.column)
        yield finding(at, "calibration" if problem.path.startswith("calibration") else "recipe", text)
