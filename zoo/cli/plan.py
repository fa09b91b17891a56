"""`zoo plan`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose

WORDS = {"known": "nothing to do", "to do": "will be done", "open": "until the step before it has run"}


@click.command("plan")
@options.recipes
@options.targets
@options.weights
@options.licence
@options.as_json
@options.workspace
def command(
    names: Sequence[str],
    everything: bool,
    targets: Sequence[str],
    weights: str | None,
    rehearse: bool,
    offline: bool,
    licence: Purpose | None,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """What `zoo eval` would do, and what the store knows already.

    "open" means that it depends on what a step before it will give: where that comes out as it was, nothing after
    it runs again.
    """
    import msgspec

    from zoo.cli.session import Session
    from zoo.cli.wishes import actions_for
    from zoo.engine.execute import foresee

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    recipes = session.permitted(names, everything, weights)
    actions = actions_for(session, recipes, targets, weights=weights, rehearse=rehearse, accuracy=True, latency=True, end_to_end=True)
    states = foresee(actions, session.store, session.context, session.code)
    session.code.save()
    if as_json:
        click.echo(
            msgspec.json.encode([{"id": action.id, "state": states[action.id], "reads": action.reads} for action in actions]).decode()
        )
        return 0
    for action in actions:
        click.echo(f"{states[action.id]:6} {action.id}")
    counts = [(word, sum(state == word for state in states.values())) for word in WORDS]
    click.echo("\n" + "; ".join(f"{count} {word} ({WORDS[word]})" for word, count in counts if count))
    return 0
