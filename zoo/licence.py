"""What the terms of weights allow, and what a user wants to do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

#: what terms allow
Use = Literal["any", "non-commercial"]
#: what is wanted
Purpose = Literal["any", "commercial"]


def words(licence: str, use: Use) -> str:
    """Terms in words: `licence` as it was stated, with "non-commercial" where it does not say so itself."""
    return licence if use == "any" or use in licence.lower() else f"{licence}, {use}"


def joined(parts: Mapping[str, str]) -> str:
    """The terms of several parts, by role, in words: said once where all are the same."""
    said = list(dict.fromkeys(parts.values()))
    return said[0] if len(said) == 1 else "; ".join(f"{role}: {terms}" for role, terms in parts.items())


def strictest(uses: Iterable[Use]) -> Use:
    """What is allowed where all of `uses` have to be kept to."""
    return "non-commercial" if "non-commercial" in uses else "any"
