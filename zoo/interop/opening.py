"""Reading a file of another zoo, YAML or JSON, with positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

from zoo.document import Document, read, read_all
from zoo.errors import Problem, RecipeError


def opened(path: Path) -> tuple[Document, ...]:
    """The documents of a file. Raises RecipeError with every fault of its form."""
    return (_json(path),) if path.suffix.lower() == ".json" else read_all(path)


def _json(path: Path) -> Document:
    """Whatever JSON's own readers would refuse is refused here too, though YAML would take it."""
    document = read(path)

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number of JSON")

    try:
        json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise RecipeError([Problem(str(path), error.lineno, error.colno, "", f"no JSON: {error.msg}")]) from None
    except (ValueError, OSError) as error:
        raise RecipeError([document.problem((), str(error))]) from None
    return document
