"""`preprocess: {vdsp: FILE}`: a recipe's preprocessing in a file that Vastai's tools read too."""

from __future__ import annotations

import copy
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from zoo.document import Document, read
from zoo.errors import Problem, RecipeError
from zoo.pose import vdsp
from zoo.pose.preprocess import Preprocess
from zoo.recipe.walk import expected, found

KEY = "vdsp"
FIELD = "preprocess"


def resolved(document: Document) -> tuple[Document, list[Problem]]:
    """A recipe in which `preprocess` is what the vdsp JSON named there says, and what is wrong with that file or its name.

    The file is found from the recipe's folder. A recipe that names none, or one that is faulty, comes back as it was.
    """
    declared = document.data.get(FIELD) if isinstance(document.data, dict) else None
    if not isinstance(declared, dict):
        return document, []
    if KEY not in declared:
        meant = [name for name in declared if get_close_matches(name.lower(), [KEY], cutoff=0.7)]
        return document, [document.problem((FIELD, name), f"unknown key; did you mean '{KEY}'?", key=True) for name in meant]
    others = [name for name in declared if name != KEY]
    problems = [
        document.problem((FIELD, name), f"beside `{KEY}:` nothing else can stand: the file says it all", key=True) for name in others
    ]
    name = declared[KEY]
    if not isinstance(name, str) or not name:
        kind = expected(msgspec.inspect.type_info(str))
        return document, [*problems, document.problem((FIELD, KEY), f"expected {kind}, found {found(name)}")]
    path = Path(document.name).parent / name
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such file; paths start at the recipe's folder"
        return document, [*problems, document.problem((FIELD, KEY), f"{name}: {what}")]
    preprocess, faults = _read(path)
    problems += faults
    if preprocess is None or problems:
        return document, problems
    whole = copy.copy(document)
    whole.data = {**document.data, FIELD: msgspec.to_builtins(preprocess)}
    return whole, []


def _read(path: Path) -> tuple[Preprocess | None, list[Problem]]:
    """What a vdsp JSON says, or every fault of it at its place."""
    try:
        document = read(path)
        json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except RecipeError as error:
        return None, error.problems
    except json.JSONDecodeError as error:
        # YAML reads more than JSON is, and the tools that this file is for do not
        return None, [Problem(str(path), error.lineno, error.colno, "", f"no JSON: {error.msg[0].lower()}{error.msg[1:]}")]
    except ValueError as error:
        return None, [Problem(str(path), 1, 1, "", f"no JSON: {error}")]
    try:
        return vdsp.read(document.data), []
    except vdsp.VdspError as error:
        return None, [document.problem(fault.path, fault.message, fault.key) for fault in error.faults]


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number there")
