"""`zoo bench`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose


def batches_of(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers in `1,8` and `32`, each once, in the order in which they were given."""
    numbers = [word.strip() for words in given for word in words.split(",")]
    for number in numbers:
        if not number.isdecimal() or int(number) == 0:
            raise click.BadParameter(f"{number!r} is no number of images: say 8, or several as in 1,8,32")
    return tuple(dict.fromkeys(map(int, numbers)))


@click.command("bench")
@options.recipes
@options.targets
@click.option(
    "--batch",
    "batches",
    multiple=True,
    metavar="N[,N...]",
    callback=batches_of,
    help="Images a call to time at, as in 1,8,32 (repeatable; default: the recipe's own).",
)
@options.weights
@options.licence
@options.running
@options.as_json
@options.workspace
def command(
    names: Sequence[str],
    everything: bool,
    targets: Sequence[str],
    batches: tuple[int, ...],
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

    With --batch, N images are given in one call, and images a second are counted accordingly: a line for each. A target that
    is built for a fixed batch takes no other, and asking for one is an error. A pipeline is given N images at once; those of its
    networks whose batch is free look at up to N of what they have to look at in one call.

    \b
      zoo bench human_pose_estimation_0001 --target openvino-fp32 --batch 1,8,32
      zoo bench openpose_mobilenet_landmark --batch 1 --batch 8
    """
    from zoo.cli.measured import tell
    from zoo.cli.session import Session, exit_code
    from zoo.cli.wishes import actions_for, measures

    session = Session.open(workspace, offline=offline, verbose=verbose, rehash=rehash, licence=licence)
    recipes = session.permitted(names, everything, weights)
    actions = actions_for(session, recipes, targets, weights=weights, rehearse=rehearse, latency=True, batches=batches)
    outcomes = session.carry_out(actions, jobs=jobs, again=lambda action: again and measures(action), fail_fast=fail_fast, quiet=as_json)
    tell(session, recipes, targets, outcomes, as_json=as_json, publish=False, by_batch=True)
    return exit_code(list(outcomes.values()))
