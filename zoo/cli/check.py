"""`zoo check`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options


@click.command("check")
@options.recipes
@options.as_json
@options.workspace
def command(names: Sequence[str], everything: bool, as_json: bool, workspace: str | None, verbose: bool) -> int:
    """Say everything that is wrong with recipes, each fault at its file:line:column.

    Without a name: every recipe of the workspace, and zoo.yaml itself. Beside the form it is checked whether the
    parts fit: keypoint counts, shapes, names of targets, datasets and outputs, and that no image that a model is
    calibrated on is one that it is evaluated on (compared by content, where both datasets are present).
    """
    import msgspec

    from zoo.cli.console import counted
    from zoo.cli.session import Session
    from zoo.errors import Problem, RecipeError
    from zoo.recipe.overlaps import overlaps
    from zoo.recipe.workspace import read_recipe

    faults: list[Problem] = []
    count = 0
    try:
        session = Session.open(workspace, verbose=verbose)
    except RecipeError as error:
        faults, session = error.problems, None
    if session:
        place = session.place
        paths = [place.find(name) for name in names] if names and not everything else place.files()
        for path in paths:
            count += 1
            try:
                recipe = read_recipe(path, place)
            except RecipeError as error:
                faults += error.problems
            else:
                faults += overlaps(path, recipe, place.declared, session.context)
    faults = list(dict.fromkeys(faults))  # a part's own are found again in every pipeline
    if as_json:
        click.echo(msgspec.json.encode([vars(fault) for fault in faults]).decode())
    else:
        for fault in faults:
            click.echo(str(fault))
        click.echo(f"{counted(count, 'recipe')}, {counted(len(faults), 'problem') if faults else 'all well'}")
    return RecipeError.exit_code if faults else 0
