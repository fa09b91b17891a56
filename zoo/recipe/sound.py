"""A refused document as far as it goes: the parts of it that are well-formed, so that how they fit can be judged all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_type_hints

import msgspec

from zoo.document import Document
from zoo.recipe.model import Evaluation, Recipe, TargetOptions


class Unsound(Exception):
    """A part of a recipe that has another fault already was asked for."""


class Sound:
    """The parts of a refused document that are well-formed by themselves: what is wrong with how they fit can be said
    together with what is wrong with the others. The others raise `Unsound`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._types = get_type_hints(Recipe)
        self._defaults = {field.name: field.default for field in msgspec.structs.fields(Recipe) if not field.required}

    def __getattr__(self, name: str) -> Any:
        if name not in self._data:
            if name in self._defaults:
                return self._defaults[name]
            raise Unsound
        value = self._data[name]
        if name == "targets" and isinstance(value, dict):
            return {str(target): _converted(options, TargetOptions | None) for target, options in value.items()}
        if name == "evaluate" and isinstance(value, list):
            return [_converted(item, Evaluation) for item in value]
        found = _converted(value, self._types[name])
        if found is UNSOUND:
            raise Unsound
        return found


UNSOUND: Any = object()


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return UNSOUND


def sound(document: Document) -> Recipe:
    """A refused document as far as it goes."""
    return cast(Recipe, Sound(document.data if isinstance(document.data, dict) else {}))


def evaluations(recipe: Recipe) -> list[tuple[int, Evaluation]]:
    """The protocols that are well-formed, each with its place."""
    return [(index, evaluation) for index, evaluation in enumerate(recipe.evaluate) if evaluation is not UNSOUND]
