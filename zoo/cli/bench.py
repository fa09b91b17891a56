"""`zoo bench`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose


@click.command("bench")
@options.recipes
@options.targets
@options.weights
@options.licence
@options.running
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
    jobs: int,
    fail_fast: bool,
    again: bool,
    rehash: bool,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Build, then measure speed on real images, each target in a process of its own: of a network alone, of a pipeline the whole
    way from an image to poses, with its stages.

    What was measured before is shown again; --again measures anew. Nothing is written to results/: `zoo eval` does that.
    """
    from zoo.cli.measured import tell
    from zoo.cli.session import Session, exit_code
    from zoo.cli.wishes import actions_for, measures

    session = Session.open(workspace, offline=offline, verbose=verbose, rehash=rehash, licence=licence)
    recipes = session.permitted(names, everything, weights)
    actions = actions_for(session, recipes, targets, weights=weights, rehearse=rehearse, latency=True)
    outcomes = session.carry_out(actions, jobs=jobs, again=lambda action: again and measures(action), fail_fast=fail_fast, quiet=as_json)
    tell(session, recipes, outcomes, as_json=as_json, publish=False)
    return exit_code(list(outcomes.values()))
