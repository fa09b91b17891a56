"""`zoo show`"""

from __future__ import annotations

import click

from zoo.cli import options


@click.command("show")
@click.argument("name", metavar="RECIPE")
@options.as_json
@options.workspace
def command(name: str, as_json: bool, workspace: str | None, verbose: bool) -> int:
    """One recipe in full: licences, weights, targets, protocols, published figures."""
    from zoo.cli.session import Session
    from zoo.engine.joint import options_on, parts_on
    from zoo.recipe.composite import Composite, parts_of
    from zoo.recipe.origin import of_recipe
    from zoo.record import canonical

    session = Session.open(workspace, verbose=verbose)
    (recipe,) = session.recipes([name], everything=False)
    if as_json:
        click.echo(canonical(recipe.declared if isinstance(recipe, Composite) else recipe).decode())
        return 0
    from rich.table import Table

    from zoo.cli.console import print_table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(recipe.name, recipe.title)
    table.add_row("task", recipe.task)
    table.add_row("paper", recipe.paper)
    for part in ("weights", "code", "data"):
        table.add_row(f"licence: {part}", getattr(recipe.licences, part))
    chains = of_recipe(recipe, session.place).chains()
    table.add_row("commercial use", f"not allowed: {'; '.join(chains)}" if chains else "the recipe states nothing against it")
    for role, network in parts_of(recipe).items():
        label = f"{role}: " if role else ""
        if role:
            table.add_row(f"{label}recipe", f"{network.name}, {network.title}")
        for source in network.weights:
            what = f"substitute: {source.substitute}" if source.substitute else "official"
            table.add_row(f"{label}weights", f"{source.describe()} ({what})")
        table.add_row(
            f"{label}model", f"{type(network.model).__name__}, {network.model.keypoints} keypoints, stride {network.model.stride}"
        )
    for target in recipe.targets:
        kept = sum(len(options.keep) for options in options_on(recipe, target) if options)
        declared = session.place.declared.targets[target]
        missing = next(filter(None, (part.backend.available() for part in parts_on(recipe, target, session.place.declared).values())), "")
        words = f"{target} ({declared.precision}{f', {kept} nodes in float' if kept else ''})"
        table.add_row("target", words + (f" - not here: {missing}" if missing else ""))
    for evaluation in recipe.evaluate:
        for dataset in evaluation.datasets:
            absent = session.place.declared.datasets[dataset].absent(session.context)
            table.add_row("judged on", f"{dataset} in the protocol {evaluation.protocol}" + (f" - not here: {absent}" if absent else ""))
    for figure in recipe.published:
        table.add_row("published", f"{figure.metric} {figure.value:g} ({figure.protocol}; {figure.source})")
    print_table(table)
    return 0
