"""Finding the files: named ones and trees, told apart by a look at their first bytes before anything is parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.document import Document
from zoo.errors import RecipeError, UsageError
from zoo.interop.audit.finding import Finding, finding
from zoo.interop.cursor import Place, printable
from zoo.interop.foreign import kind_of
from zoo.interop.opening import opened

SUFFIXES = {".yaml", ".yml", ".json"}
LOOK = 1 << 16
#: words that one of our kinds has, and by which a file that cannot be parsed is still known for what it was to be
_WORDS = re.compile(
    rb"OpType|OpConfig|NormaType|process_ops|calibrate_mode|frontend|tvm_vacc|input_info|model_optimizer_args|task_type|launchers"
    rb"|In Collection|Collections|Weights|licences|pipeline:"
)
RECIPE = "recipe"


@dataclass(frozen=True)
class File:
    """One document of a file of a known kind."""

    path: Path
    kind: str
    document: Document
    named: bool
    """Whether it was named on the command line, and not found in a tree."""


@dataclass
class Found:
    """What there is to judge, and what is wrong with what cannot be."""

    files: list[File] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    passed_over: int = 0
    """Files of trees that are of no known kind."""


def collect(paths: Sequence[Path]) -> Found:
    """Look at files and trees. Raises UsageError for a path that does not exist."""
    found, seen = Found(), set[Path]()
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"there is no {path}", "name files, or folders that hold them")
        if path.is_dir():
            for inside in sorted(_tree(path, found)):
                if inside not in seen:
                    seen.add(inside)
                    _look(inside, found)
        elif path not in seen:
            seen.add(path)
            _read(path, found, named=True)
    return found


def _tree(top: Path, found: Found) -> Iterator[Path]:
    """Every file under a folder. Hidden folders are left out, links to folders are not followed."""

    def failed(error: OSError) -> None:
        found.findings.append(finding(Place(str(error.filename), 1, 1), "unreadable", f"this folder cannot be read: {error.strerror}"))

    for folder, inside, names in os.walk(top, onerror=failed):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in names:
            yield Path(folder, name)


def _look(path: Path, found: Found) -> None:
    """Judge a file of a tree where its first bytes look like one of a known kind."""
    if path.suffix.lower() not in SUFFIXES:
        found.passed_over += 1
        return
    try:
        if path.is_symlink() and not path.exists():
            found.findings.append(finding(Place(str(path), 1, 1), "path", "a link that leads nowhere", "remove it, or mend it"))
            return
        if not path.is_file():
            found.passed_over += 1
            return
        with path.open("rb") as file:
            begins = file.read(LOOK)
    except OSError as error:
        found.findings.append(finding(Place(str(path), 1, 1), "unreadable", f"it cannot be read: {error.strerror}"))
        return
    # UTF-16 has a zero in every other byte; whoever saved it so meant the words all the same
    if _WORDS.search(begins.replace(b"\0", b"")):
        _read(path, found, named=False)
    else:
        found.passed_over += 1


def _read(path: Path, found: Found, named: bool) -> None:
    try:
        documents = opened(path)
    except RecipeError as error:
        for problem in error.problems:
            at = Place(problem.file, problem.line, problem.column)
            text = f"{problem.path}: {problem.message}" if problem.path else problem.message
            found.findings.append(finding(at, "malformed", printable(text)))
        return
    kinds = [(document, RECIPE if _recipe(document) else kind_of(document.data)) for document in documents]
    found.files += [File(path, kind, document, named) for document, kind in kinds if kind]
    if any(kind for _, kind in kinds):
        return
    if named:
        known = "a vdsp JSON, a vamc build YAML, Open Model Zoo's model.yml or accuracy-check.yml, an mmpose metafile, a recipe"
        found.findings.append(finding(Place(str(path), 1, 1), "unknown", "it is of no kind that is judged here", f"it would be {known}"))
    else:
        found.passed_over += 1


def _recipe(document: Document) -> bool:
    keys = document.data.keys() if isinstance(document.data, dict) else set()
    return {"format", "name"} <= keys and ({"weights", "model"} <= keys or "pipeline" in keys)
