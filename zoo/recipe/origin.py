"""Under which terms something stands, and where it has them from: the chain from what is used down to its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from zoo.boxes import DetectorBoxes
from zoo.errors import LicenceRefused
from zoo.licence import Purpose, Use, words
from zoo.recipe.composite import AnyRecipe, Composite
from zoo.recipe.model import Recipe, sources
from zoo.recipe.workspace import Place
from zoo.steps.provenance import NAME, Provenance

HINT = "for other than commercial use: --licence any, or `licence: any` in zoo.yaml"
OWN = "weights of your own: --weights FILE"
#: how the link of a chain begins that is a detector
BOXES = "boxes of "


@dataclass(frozen=True)
class Origin:
    """Something that is used, its own terms where it has any, and what it is made of: a tree whose leaves are weights."""

    what: str
    licence: str = ""
    use: Use = "any"
    made_of: tuple[Origin, ...] = ()

    def chains(self) -> tuple[str, ...]:
        """`this <- part <- ... (terms)`, one for everything below that must not be used commercially; () where all may be."""
        own = (f"{self.what} ({words(self.licence, self.use)})",) if self.use == "non-commercial" else ()
        return own + tuple(f"{self.what} <- {chain}" for part in self.made_of for chain in part.chains())

    def refusal(self, purpose: Purpose) -> str:
        """Why it must not be used for `purpose`, naming every chain; "" where it may be."""
        chains = () if purpose == "any" else self.chains()
        return f"{self.what} may not be used commercially: {'; '.join(chains)}" if chains else ""

    def replaceable(self) -> bool:
        """Whether other weights of its own would do: nothing below them is refused."""
        return not any(part.chains() for part in self.made_of if part.made_of)


def require(origins: Sequence[Origin], purpose: Purpose) -> None:
    """Raises LicenceRefused, with every chain, where any of `origins` must not be used for `purpose`."""
    if refused := [origin for origin in origins if origin.refusal(purpose)]:
        hint = f"{OWN}; {HINT}" if all(origin.replaceable() for origin in refused) else HINT
        raise LicenceRefused("\n".join(origin.refusal(purpose) for origin in refused), hint)


def of_recipe(recipe: AnyRecipe, place: Place, own: Path | None = None) -> Origin:
    """What a recipe stands on: the recipes of its parts; or all its sources, since which of them is taken shows only when
    they are fetched, or instead of these the user's `own` file; and the detectors on whose boxes it is calibrated or judged.
    Raises RecipeError where one of these has faults."""
    if isinstance(recipe, Composite):
        return Origin(recipe.name, made_of=tuple(of_recipe(part, place) for part in recipe.parts.values()))
    names = dict.fromkeys(boxes.recipe for _, boxes in sources(recipe) if isinstance(boxes, DetectorBoxes))
    found = tuple(Origin(f"{BOXES}{name}", made_of=of_recipe(place.network(name), place).made_of) for name in names)
    return Origin(recipe.name, made_of=((of_file(own),) if own else _declared(recipe)) + found)


def _declared(recipe: Recipe) -> tuple[Origin, ...]:
    """The sources that a recipe names."""
    files: dict[tuple[str, Use], list[str]] = {}
    for source in recipe.weights:
        terms = (source.licence or recipe.licences.weights, source.use or recipe.licences.use)
        files.setdefault(terms, []).extend(file.name for file in source.wanted())
    found = tuple(Origin(f"weights {', '.join(dict.fromkeys(names))}", *terms) for terms, names in files.items())
    return found or (Origin("trained weights", recipe.licences.weights, recipe.licences.use),)


def of_file(path: Path) -> Origin:
    """What a file of the user's own stands on: the terms are theirs, unless the zoo made or fetched it. Then its
    provenance.json lies beside it, and what holds for the weights holds for the file."""
    what = f"own file {path.name}"
    try:
        provenance = Provenance.read(path.parent)
    except (OSError, msgspec.MsgspecError):  # none, or another program's
        return Origin(what, made_of=(Origin(f"weights {path.name}", "own file"),))
    return Origin(what, made_of=(_weights(provenance),))


def of_artifact(what: str, folder: Path) -> Origin:
    """What the artifact `folder`, called `what`, stands on, by the provenance that travels with it; of a pipeline's by those
    of its parts, each in the folder of its role."""
    if parts := sorted(path.parent for path in folder.glob(f"*/{NAME}")):
        return Origin(what, made_of=tuple(of_artifact(part.name, part) for part in parts))
    return Origin(what, made_of=(_weights(Provenance.read(folder)),))


def _weights(provenance: Provenance) -> Origin:
    return Origin(f"weights {', '.join(sorted(provenance.files)) or provenance.source}", provenance.licence, provenance.use)
