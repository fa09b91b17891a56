"""Which keys and words a format knows, as plain tables, and what of a document is not in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from zoo.interop.cursor import Cursor, shown

#: nearer than this, and a key that no one knows is taken for a slip of the pen
NEAR = 0.75


@dataclass(frozen=True)
class Keys:
    """A mapping. `open`: it may hold more than is known here, so only what looks misspelt is reported."""

    known: Mapping[str, Spec]
    open: bool = False
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Each:
    """A list, every part of which is alike."""

    of: Spec


@dataclass(frozen=True)
class Typed:
    """A mapping whose `type` says which keys it has."""

    types: Mapping[str, Keys]


@dataclass(frozen=True)
class Word:
    """One of these words."""

    words: tuple[str, ...]


#: None: whatever stands there
Spec: TypeAlias = Keys | Each | Typed | Word | None


@dataclass(frozen=True)
class Unknown:
    """A key or a word that the format does not have, or a key that it lacks."""

    at: Cursor
    kind: Literal["key", "value", "malformed"]
    message: str
    hint: str


def nearest(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The word that was probably meant, or nothing."""
    folded = {one.lower(): one for one in known}
    near = difflib.get_close_matches(str(word).lower(), folded, 1, NEAR) if isinstance(word, str) and len(word) < 100 else []
    return folded[near[0]] if near else ""


def unknown(at: Cursor, spec: Spec) -> Iterator[Unknown]:
    """Everything at and under `at` that is not of `spec`."""
    if isinstance(spec, Keys):
        yield from _mapping(at, spec)
    elif isinstance(spec, Typed):
        name = at.at("type")
        if not isinstance(at.value, dict):
            yield _wrong(at, "a mapping")
        elif not name.exists:
            yield Unknown(at, "malformed", f"{at.name}: it has no `type`", f"one of {', '.join(spec.types)}")
        elif isinstance(name.value, str) and name.value in spec.types:
            keys = spec.types[name.value]
            yield from _mapping(at, Keys({"type": None, **keys.known}, keys.open, keys.needed))
        else:
            yield from _word(name, tuple(spec.types))
    elif isinstance(spec, Each):
        if isinstance(at.value, list):
            for part in at.items():
                yield from unknown(part, spec.of)
        else:
            yield _wrong(at, "a list")
    elif isinstance(spec, Word):
        yield from _word(at, spec.words)


def _wrong(at: Cursor, wanted: str) -> Unknown:
    return Unknown(at, "malformed", f"{at.name or 'the document'}: {shown(at.value)} where {wanted} is read", f"write {wanted}")


def _mapping(at: Cursor, spec: Keys) -> Iterator[Unknown]:
    if not isinstance(at.value, dict):
        yield _wrong(at, "a mapping")
        return
    missing = [key for key in spec.needed if key not in at.value]
    for key, value in at.entries():
        if isinstance(key, str) and key in spec.known:
            if value.value is not None:
                yield from unknown(value, spec.known[key])
            continue
        meant = nearest(key, {one: None for one in spec.known if one not in at.value} or spec.known)
        if meant:
            missing = [one for one in missing if one != meant]
            yield Unknown(value, "key", f"{value.name}: unknown key", f"did you mean {meant}?")
        elif not spec.open:
            yield Unknown(value, "key", f"{value.name}: unknown key", f"known here: {', '.join(spec.known)}")
    for key in missing:
        yield Unknown(at, "malformed", f"{at.name or 'the document'}: there is no {key}", "without it nobody knows what is meant: say it")


def _word(at: Cursor, words: tuple[str, ...]) -> Iterator[Unknown]:
    if not isinstance(at.value, str) or at.value not in words:
        meant = nearest(at.value, words)
        yield Unknown(
            at, "value", f"{at.name}: {shown(at.value)} is not known", f"did you mean {meant}?" if meant else f"known: {', '.join(words)}"
        )
