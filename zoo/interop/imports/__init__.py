"""Other zoos' files as recipes: `recipe(paths, place) -> str`, with everything that could not be carried over in comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.document import Document, parse
from zoo.errors import RecipeError, UsageError, ZooError
from zoo.interop.foreign import TITLES, kind_of
from zoo.interop.imports import mmpose, open_model_zoo, vamc
from zoo.interop.imports.draft import Draft
from zoo.interop.opening import opened
from zoo.recipe.check import problems
from zoo.recipe.model import Recipe
from zoo.recipe.schema import convert
from zoo.recipe.workspace import Place

__all__ = ["drafted", "recipe"]

#: kind -> what may be named beside it
BESIDE = {"vamc": "vdsp", "open_model_zoo": "accuracy_check", "mmpose": None}


def recipe(paths: Sequence[Path], place: Place, *, name: str = "", model: str | None = None) -> str:
    """The recipe that these files make, as YAML that passes `zoo check` in the workspace.

    Raises RecipeError for files that cannot be read, UsageError for such as make no recipe together."""
    made = drafted(paths, place, name=name, model=model)
    text = made.text(" ".join(["zoo import", *map(str, paths), *(["--model", model] if model else [])]))
    document = parse(text, f"{made.data['name']}.yaml")
    try:
        faults = problems(document, convert(document, Recipe), place.declared)
    except RecipeError as error:
        faults = error.problems
    if faults:
        raise ZooError(f"what {paths[0]} says makes no recipe: " + "; ".join(map(str, faults)), "`zoo audit` says what is wrong with it")
    return text


def drafted(paths: Sequence[Path], place: Place, *, name: str = "", model: str | None = None) -> Draft:
    """The recipe in the making, with what was carried and what was not."""
    found: dict[str, Document] = {}
    for path in paths:
        documents = opened(path)
        kind = kind_of(documents[0].data) if len(documents) == 1 else None
        if kind is None:
            raise UsageError(f"{path} is of no kind that can be imported", f"what can: {', '.join(TITLES.values())}")
        if kind in found:
            raise UsageError(f"{path} is a second {TITLES[kind]}", "import one model at a time")
        found[kind] = documents[0]
    main = next((kind for kind in BESIDE if kind in found), None)
    if main is None:
        needed = next(kind for kind, beside in BESIDE.items() if beside in found)
        raise UsageError(f"{paths[0]} alone names no model", f"name the {TITLES[needed]} that belongs to it, too")
    if extra := found.keys() - {main, BESIDE[main]}:
        raise UsageError(f"a {TITLES[main]} and a {TITLES[min(extra)]} make no recipe together", "import one model at a time")
    if main == "mmpose":
        return mmpose.draft(found[main], model, name, place)
    if model:
        raise UsageError("--model chooses among the models of an mmpose metafile", f"{paths[0]} is a {TITLES[main]}")
    maker = vamc.draft if main == "vamc" else open_model_zoo.draft
    return maker(found[main], found.get(BESIDE[main] or ""), name, place)
