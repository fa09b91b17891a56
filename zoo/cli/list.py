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

    session = Session.open(workspace, verbose=verbose)
    recipes = session.recipes((), everything=True)
    if as_json:
        rows = [
            {"name": r.name, "title": r.title, "task": r.task, "licence": r.licences.weights, "targets": list(r.targets)} for r in recipes
        ]
        click.echo(msgspec.json.encode(rows).decode())
        return 0
    from rich.table import Table

    from zoo.cli.console import print_table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("recipe", "title", "task", "licence of the weights", "targets"):
        table.add_column(heading, overflow="fold")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.title, recipe.task, recipe.licences.weights, str(len(recipe.targets)))
    print_table(table)
    return 0
