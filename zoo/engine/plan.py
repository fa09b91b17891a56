"""The plan: from a recipe of any kind to the actions that make and measure its models."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from zoo.context import Context
from zoo.engine.action import Action, definitions
from zoo.engine.code import Code
from zoo.engine.joint import plan_pipeline
from zoo.engine.network import plan_network
from zoo.engine.wish import Plan, Wish
from zoo.errors import UsageError
from zoo.recipe.composite import AnyRecipe, Composite, parts_of
from zoo.recipe.workspace import Place
from zoo.record import fingerprint


def plan(recipe: AnyRecipe, place: Place, context: Context, wish: Wish) -> list[Action]:
    """The actions that `wish` asks for. Raises UsageError where no target matches."""
    story = Plan(place)
    names = matching(recipe, wish.targets)
    if isinstance(recipe, Composite):
        plan_pipeline(story, recipe, names, context, wish)
    else:
        plan_network(story, recipe, names, context, wish)
    return list(story.actions.values())


def declared(recipe: AnyRecipe, place: Place, context: Context, code: Code) -> dict[str, str]:
    """`recipe/target` -> the digest of all that recipe, lock and code say about the row: what a result carries, and
    what the board computes anew to see whether the result still belongs to them."""
    actions = plan(recipe, place, context, Wish(accuracy=True, latency=True, end_to_end=True, assume=True))
    digests = definitions(actions, context.lock, code)
    # what a row repeats of its recipe without any action's help
    licences = [part.licences for part in parts_of(recipe).values()]
    said = {"title": recipe.title, "task": recipe.task, "licences": licences, "published": recipe.published}
    rows = {}
    for target in recipe.targets:
        name, chain = f"{recipe.name}/{target}", parities(recipe, target)
        own = {id: digest for id, digest in digests.items() if id.startswith((f"{name}/", f"{recipe.name}/ceiling/")) or id in chain}
        rows[name] = fingerprint({"said": said, **own})
    return rows


class Definitions:
    """What `declared` says of recipes, found once for each as it stands."""

    def __init__(self, place: Place, context: Context, code: Code) -> None:
        self._place, self._context, self._code = place, context, code
        self._known: dict[str, tuple[AnyRecipe, dict[str, str]]] = {}

    def of(self, recipe: AnyRecipe) -> dict[str, str]:
        """See `declared`."""
        known = self._known.get(recipe.name)
        if known is None or known[0] != recipe:
            known = self._known[recipe.name] = (recipe, declared(recipe, self._place, self._context, self._code))
        return known[1]


def named(recipe: AnyRecipe, target: str) -> str:
    """The one target that is named. Raises UsageError, with the nearest, where the recipe has none of that name."""
    if target in recipe.targets:
        return target
    near = difflib.get_close_matches(target, recipe.targets, 1)
    hint = f"did you mean {near[0]}?" if near else f"its targets: {', '.join(recipe.targets)}"
    raise UsageError(f"{recipe.name} has no target {target}", hint)


def matching(recipe: AnyRecipe, globs: Sequence[str]) -> list[str]:
    """The recipe's targets that any of `globs` names, in the recipe's order."""
    names = [name for name in recipe.targets if any(fnmatch.fnmatchcase(name, glob) for glob in globs)]
    if not names:
        raise UsageError(f"{recipe.name} has no target that matches {', '.join(globs)}", f"its targets: {', '.join(recipe.targets)}")
    return names


def parities(recipe: AnyRecipe, target: str) -> dict[str, str]:
    """The ids of the parity actions that a row stands on, of each network first that of its graph and then that of its target,
    each with the network's role."""
    found: dict[str, str] = {}
    for role, part in parts_of(recipe).items():
        on = recipe.target_of(target, role) if isinstance(recipe, Composite) else target
        found |= {f"{part.name}/parity": role, f"{part.name}/{on}/parity": role}
    return found
