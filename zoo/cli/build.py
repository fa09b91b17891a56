"""`zoo build`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose


@click.command("build")
@options.recipes
@options.targets
@options.weights
@options.licence
@options.running
@click.option(
    "--copy",
    "copy_to",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Also copy the compiled models to FOLDER/RECIPE/TARGET/, and TorchScript to FOLDER/RECIPE/.",
)
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
    copy_to: str | None,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Compile models for targets and prove them equal to the original.

    Fetches the weights, exports and edits the ONNX file, converts it to each target's precision, compiles it, and
    holds every stage against PyTorch on real images. What has been done already is taken from the store.
    """
    from zoo.cli.session import Session, exit_code
    from zoo.cli.summary import build_summary, copy_models
    from zoo.cli.wishes import actions_for

    session = Session.open(workspace, offline=offline, verbose=verbose, rehash=rehash, licence=licence)
    recipes = session.permitted(names, everything, weights)
    actions = actions_for(session, recipes, targets, weights=weights, rehearse=rehearse)
    outcomes = session.carry_out(
        actions, jobs=jobs, again=lambda action: again and not action.step.precious, fail_fast=fail_fast, quiet=as_json
    )
    if copy_to:
        copy_models(outcomes, copy_to)
    build_summary(session, outcomes, recipes, as_json)
    return exit_code(list(outcomes.values()))
