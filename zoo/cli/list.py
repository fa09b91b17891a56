"""`zoo list`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.recipe.composite import AnyRecipe
    from zoo.recipe.workspace import Place


@click.command("list")
@options.as_json
@options.workspace
def command(as_json: bool, workspace: str | None, verbose: bool) -> int:
    """The recipes of this workspace: name, title, task, licence of the weights, targets.

    One with faults is listed with them: it keeps none of the others from being seen.
    """
    import msgspec

    from zoo.cli.session import Session
    from zoo.errors import RecipeError
    from zoo.recipe.workspace import read_recipe

    place = Session.open(workspace, verbose=verbose).place
    rows: list[dict[str, Any]] = []
    for path in place.files():
        try:
            rows.append(_told(read_recipe(path, place), place))
        except RecipeError as error:
            nothing = {"name": path.stem, "title": "", "task": "", "licence": "", "use": "", "targets": [], "terms": ""}
            rows.append({**nothing, "faults": [str(problem) for problem in error.problems]})
    if as_json:
        click.echo(msgspec.json.encode([{key: value for key, value in row.items() if key != "terms"} for row in rows]).decode())
        return 0
    from zoo.cli.console import counted, print_table

    lines = []
    for row in rows:
        title = row["title"] or f"cannot be used: {counted(len(row['faults']), 'fault')}"
        lines.append((row["name"], title, row["task"], row["terms"], str(len(row["targets"]) or "")))
    print_table(("recipe", "title", "task", "licence of the weights", "targets"), lines)
    for fault in dict.fromkeys(fault for row in rows for fault in row["faults"]):  # a part's own are those of its pipelines too
        click.echo(fault)
    return 0


def _told(recipe: AnyRecipe, place: Place) -> dict[str, Any]:
    """What is said of a recipe. Raises RecipeError where it names another one that has faults."""
    from zoo.licence import words
    from zoo.recipe.origin import BOXES, of_recipe

    # as strict as the strictest of its sources, since which of them is taken shows only when they are fetched
    chains = of_recipe(recipe, place).chains()
    own = any(f"<- {BOXES}" not in chain for chain in chains)
    terms = words(recipe.licences.weights, "non-commercial" if own else "any")
    return {
        "name": recipe.name,
        "title": recipe.title,
        "task": recipe.task,
        "licence": recipe.licences.weights,
        "use": "non-commercial" if chains else "any",
        "targets": list(recipe.targets),
        "terms": terms if own or not chains else f"{terms}; boxes: non-commercial",
        "faults": [],
    }
