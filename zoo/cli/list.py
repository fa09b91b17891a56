"""`zoo list`"""

from __future__ import annotations

import click

from zoo.cli import options


@click.command("list")
@options.as_json
@options.workspace
def command(as_json: bool, workspace: str | None, verbose: bool) -> int:
    """The recipes of this workspace: name, title, task, licence of the weights, targets."""
    import msgspec

    from zoo.cli.session import Session
    from zoo.licence import Use, words
    from zoo.recipe.origin import of_recipe

    session = Session.open(workspace, verbose=verbose)
    recipes = session.recipes((), everything=True)
    # as strict as the strictest of its sources, since which of them is taken shows only when they are fetched
    uses: dict[str, Use] = {recipe.name: "non-commercial" if of_recipe(recipe, session.place).chains() else "any" for recipe in recipes}
    if as_json:
        rows = [
            {
                "name": recipe.name,
                "title": recipe.title,
                "task": recipe.task,
                "licence": recipe.licences.weights,
                "use": uses[recipe.name],
                "targets": list(recipe.targets),
            }
            for recipe in recipes
        ]
        click.echo(msgspec.json.encode(rows).decode())
        return 0
    from rich.table import Table

    from zoo.cli.console import print_table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("recipe", "title", "task", "licence of the weights", "targets"):
        table.add_column(heading, overflow="fold")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.title, recipe.task, words(recipe.licences.weights, uses[recipe.name]), str(len(recipe.targets)))
    print_table(table)
    return 0
