"""Finding the workspace, and reading it and its recipes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from zoo.boxes import DetectorBoxes
from zoo.context import Context
from zoo.document import Document, read
from zoo.errors import Problem, RecipeError, UsageError
from zoo.machine import default_threads
from zoo.recipe.composite import AnyRecipe, Composite, PipelineRecipe, parts_of
from zoo.recipe.faults import Fault, unknown
from zoo.recipe.model import DETECTION, Name, Recipe, Workspace, sources
from zoo.recipe.schema import convert
from zoo.recipe.vdsp import resolved
from zoo.sources.lock import read as read_lock

NAME = "zoo.yaml"
FORMAT = 1
#: where a wheel puts the recipes that it carries
CARRIED = Path(sys.prefix) / "share" / "pose-zoo" / NAME


@dataclass(frozen=True)
class Place:
    """A workspace and the folder that it lies in."""

    root: Path
    declared: Workspace
    store: Path
    results: Path
    parsed: dict[Path, tuple[tuple[int, int, int], Document]] = field(default_factory=dict, compare=False, repr=False)
    """File -> its size, time and inode when it was read, and what stood there: read again only where it has changed."""
    judged: dict[Document, Recipe] = field(default_factory=dict, compare=False, repr=False)
    """The recipes of documents that say everything themselves."""

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment with the workspace's defaults under it."""
        defaults = {name: str((self.root / value).resolve()) for name, value in self.declared.environment.items()}
        return {**defaults, **os.environ}

    @property
    def recipes(self) -> Path:
        """The folder of the recipes."""
        return self.root / self.declared.recipes

    @property
    def lock(self) -> Path:
        """The file that pins what is fetched."""
        return self.recipes / "weights.lock"

    @property
    def board(self) -> Path:
        """The leaderboard: beside the folder of the results that it is made from, or in it where that is a folder of the user's own."""
        own = self.results != self.root / self.declared.results
        return (self.results if own else self.root) / "LEADERBOARD.md"

    def context(self, *, offline: bool = False) -> Context:
        """The context of a run in this workspace."""
        bare = Context(root=self.root, cache=self.store / "cache", environment=self.environment, offline=offline, threads=default_threads())
        mirrors = tuple(path for path in map(bare.path, self.declared.mirrors) if path.is_dir())
        return replace(bare, mirrors=mirrors, lock=read_lock(self.lock))

    def files(self) -> list[Path]:
        """Every recipe of the workspace, in order of name."""
        return sorted(self.recipes.glob("*.yaml"))

    def network(self, name: str) -> Recipe:
        """The recipe `name` of one network. Raises UsageError where it is not there or is a pipeline's, RecipeError."""
        document = self.document(self.find(name))
        if _joins(document):
            raise UsageError(f"{name} is a pipeline itself", "name a recipe of one network")
        return _single(document, self)

    def document(self, path: Path) -> Document:
        """A recipe as it stands in its file. Raises RecipeError where it cannot be read as one."""
        try:
            status = path.stat()
        except OSError:
            return _document(path)  # which says why
        state = (status.st_size, status.st_mtime_ns, status.st_ino)
        known = self.parsed.get(path)
        if known is None or known[0] != state:
            known = self.parsed[path] = (state, _document(path))
        return known[1]

    def networks(self, recipe: AnyRecipe) -> list[Recipe]:
        """The networks that a recipe needs: its own or those of its parts, and the detectors on whose boxes these are judged."""
        parts = list(parts_of(recipe).values())
        boxes = [boxes for part in parts for _, boxes in sources(part)]
        return parts + [self.network(name) for name in dict.fromkeys(one.recipe for one in boxes if isinstance(one, DetectorBoxes))]

    def find(self, text: str) -> Path:
        """The file of a recipe that is named by path or by name. Raises UsageError with the nearest name."""
        named = Path(text)
        # a folder of that name (`zoo build --copy .` makes one) is in nobody's way
        for path in (self.recipes / f"{text}.yaml", named, self.root / named):
            if path.is_file():
                return path
        import difflib

        names = [path.stem for path in self.files()]
        near = difflib.get_close_matches(named.stem, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"recipes here: {', '.join(names) or 'none'}"
        raise UsageError(f"there is no recipe {text}", hint)


def locate(asked: str | None, start: Path | None = None) -> Path:
    """The zoo.yaml to use: the one asked for, ZOO_WORKSPACE, upward from `start`, or the one that a wheel carries."""
    asked = asked or os.environ.get("ZOO_WORKSPACE")
    if asked:
        path = Path(asked)
        path = path / NAME if path.is_dir() else path
        if not path.is_file():
            raise UsageError(f"there is no workspace in {asked}", f"a workspace is a folder with a {NAME}")
        return path.resolve()
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder / NAME
    if CARRIED.is_file():
        return CARRIED
    raise UsageError(f"there is no {NAME} here or in any folder above", "go to a workspace, or name one with --workspace FOLDER")


def open_place(asked: str | None = None, start: Path | None = None) -> Place:
    """Read the workspace. Raises RecipeError with all its problems."""
    path = locate(asked, start)
    declared = convert(_document(path, "docs/schema/workspace.json describes it"), Workspace)
    declared = structs.replace(declared, machine=machine_name(declared))
    if path == CARRIED:
        # installed, so not ours to write in
        own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pose-zoo"
        return Place(path.parent, declared, own, own / declared.results)
    return Place(path.parent, declared, path.parent / declared.store, path.parent / declared.results)


def machine_name(declared: Workspace) -> str:
    """ZOO_MACHINE, so that a clone need not be changed to measure on another machine; else zoo.yaml's. Raises UsageError."""
    name = os.environ.get("ZOO_MACHINE") or declared.machine
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise UsageError(f"ZOO_MACHINE: {name!r} names no machine", "lower-case letters, digits, _ . -") from error


def _document(path: Path, help: str = "`zoo new` writes a recipe to start from") -> Document:
    """A document of a format that this zoo reads. Nothing more is said of another: its keys may mean other things."""
    document = read(shown(path))
    version = document.data.get("format") if isinstance(document.data, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and version != FORMAT:
        advice = "update the zoo (pip install -U pose-zoo)" if version > FORMAT else f"write it anew in format {FORMAT}: {help}"
        raise RecipeError([document.problem(("format",), f"this zoo reads format {FORMAT}, not {version}: {advice}")])
    return document


def shown(path: Path) -> Path:
    """A file as it would be typed from here, however it was named: faults that are found twice are told once."""
    path = path.parent.resolve() / path.name  # a link keeps its own name
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def read_recipe(path: Path, place: Place) -> AnyRecipe:
    """Read one recipe and hold it against its workspace. Raises RecipeError with all its problems."""
    document = place.document(path)
    return _composite(document, place) if _joins(document) else _single(document, place)


def _joins(document: Document) -> bool:
    """Whether it is a recipe that is made of recipes."""
    return isinstance(document.data, dict) and "pipeline" in document.data


def _single(document: Document, place: Place) -> Recipe:
    from zoo.recipe.check import problems
    from zoo.recipe.sound import sound

    if known := place.judged.get(document):
        return known
    read = document
    document, faults = resolved(read)
    try:
        recipe = convert(document, Recipe)
    except RecipeError as error:
        # with faults in its file, `preprocess` is still the file's name, of which they say all there is to say
        form = [problem for problem in error.problems if not faults or not problem.path.startswith("preprocess")]
        raise RecipeError(faults + form + problems(document, sound(document), place.declared)) from None
    if found := problems(document, recipe, place.declared) + [document.problem(path, text) for path, text in _detectors(recipe, place)]:
        raise RecipeError(found)
    if document is read:  # nothing of it stands in another file, which may change
        place.judged[document] = recipe
    return recipe


def _detectors(recipe: Recipe, place: Place) -> Iterator[Fault]:
    """Detectors that cannot be had: their recipes are looked at, and not judged here."""
    for path, boxes in sources(recipe):
        if not isinstance(boxes, DetectorBoxes):
            continue
        try:
            data = place.document(place.find(boxes.recipe)).data
        except UsageError as error:
            yield (*path, "recipe"), f"{error.message}; {error.hint}"
            continue
        task, targets = (data.get("task"), data.get("targets")) if isinstance(data, dict) else (None, None)
        if task != DETECTION:
            yield (*path, "recipe"), f"{boxes.recipe} finds no boxes: its task is {task}, and not {DETECTION}"
        elif not isinstance(targets, dict) or boxes.target not in targets:
            known = targets if isinstance(targets, dict) else ()
            yield (*path, "target"), unknown(f"target of {boxes.recipe}", boxes.target, known)
        elif (target := place.declared.targets.get(boxes.target)) and not target.backend.runs:
            yield (*path, "target"), f"{boxes.target} is built and not run: nothing can be found on it"
        elif boxes.protocol and boxes.protocol not in _protocols(data):
            yield (*path, "protocol"), unknown(f"protocol of {boxes.recipe}", boxes.protocol, _protocols(data))


def _protocols(data: Mapping[str, Any]) -> list[str]:
    """The names of the protocols in a recipe that was not judged."""
    evaluate = data.get("evaluate")
    return [str(one["protocol"]) for one in evaluate if isinstance(one, dict) and "protocol" in one] if isinstance(evaluate, list) else []


def _composite(document: Document, place: Place) -> Composite:
    from zoo.recipe.composite import problems

    declared = convert(document, PipelineRecipe)
    parts: dict[str, Recipe] = {}
    faults: list[Problem] = []
    for role, name in declared.pipeline.parts.items():
        try:
            parts[role] = place.network(name)
        except UsageError as error:
            faults.append(document.problem(("pipeline", role), f"{error.message}; {error.hint}"))
        except RecipeError as error:
            faults += error.problems
    if faults := faults + problems(document, declared, parts, place.declared):
        raise RecipeError(list(dict.fromkeys(faults)))
    return Composite(declared, parts)


def read_all(paths: Sequence[Path], place: Place) -> list[AnyRecipe]:
    """Read many recipes; raises one RecipeError with the problems of all of them, those of a part of several once."""
    recipes: list[AnyRecipe] = []
    faults: list[Problem] = []
    for path in paths:
        try:
            recipes.append(read_recipe(path, place))
        except RecipeError as error:
            faults += error.problems
    if faults:
        raise RecipeError(list(dict.fromkeys(faults)))
    return recipes
