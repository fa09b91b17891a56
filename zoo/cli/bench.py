"""`zoo bench`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from zoo.cli import options
from zoo.cli.settings import numbers_of, shape_of
from zoo.licence import Purpose


@click.command("bench")
@options.recipes
@options.targets
@click.option(
    "--batch",
    "batches",
    multiple=True,
    metavar="N[,N...]",
    callback=numbers_of,
    help="Images a call to time at, as in 1,8,32 (repeatable; default: the recipe's own).",
)
@click.option(
    "--shape",
    metavar="CxHxW",
    callback=shape_of,
    help="Channels, height and width to time a network at, as in 3x184x184 (default: the recipe's benchmark).",
)
@click.option(
    "--instances",
    multiple=True,
    metavar="I[,I...]",
    callback=numbers_of,
    help="Copies of a network to open at once, for throughput (default: 1).",
)
@click.option(
    "--streams",
    multiple=True,
    metavar="P[,P...]",
    callback=numbers_of,
    help="Calls in flight of each copy, for throughput (default: 1, 2, 4 ... up to the threads).",
)
@click.option(
    "--end-to-end", "end_to_end", is_flag=True, help="Time the whole way from files to poses as well, held against the network alone."
)
@click.option("--threads", type=click.IntRange(1), metavar="T", help="Threads in all, shared out (default: one for each physical core).")
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
    shape: tuple[int, int, int] | None,
    instances: tuple[int, ...],
    streams: tuple[int, ...],
    end_to_end: bool,
    threads: int | None,
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
    """Build, then measure speed on real images, each target in a process of its own, in turns with the others of its recipe: of a
    network alone, of a pipeline the whole way from an image to poses, with its stages.

    What was measured before is shown again; --again measures anew. Nothing is written to results/: `zoo eval` does that.

    With --batch, N images are given in one call, and images a second are counted accordingly: a line for each. A target that
    is built for a fixed batch takes no other, and asking for one is an error. A pipeline is given N images at once; those of its
    networks whose batch is free look at up to N of what they have to look at in one call.

    A network is timed one call after another, and then with several calls in flight: of --instances copies of it, each called by
    --streams threads at once, on --threads threads in all. A line for each setting, with what each gave.

    With --end-to-end the whole way is timed as well, in each of the recipe's protocols: reading and decoding of files, preparing,
    network and decoding of poses, overlapped, in turns with the network alone on the very same tensors.

    \b
      zoo bench human_pose_estimation_0001 --target openvino-fp32 --batch 1,8,32
      zoo bench human_pose_estimation_0001 --target openvino-int8 --end-to-end
      zoo bench openpose_mobilenet_landmark --batch 1 --batch 8
      zoo bench human_pose_estimation_0001 --shape 3x184x184 --instances 1,2 --streams 1,2 --threads 4
    """
    from zoo.cli.measured import tell
    from zoo.cli.session import Session, exit_code
    from zoo.cli.settings import refuse_impossible
    from zoo.cli.wishes import actions_for, usable
    from zoo.engine.plan import matching

    session = Session.open(workspace, offline=offline, verbose=verbose, rehash=rehash, licence=licence)
    if threads:
        session = replace(session, context=replace(session.context, threads=threads))
    recipes = session.permitted(names, everything, weights)
    for recipe in recipes:
        refuse_impossible(
            recipe,
            matching(recipe, targets or usable(session, recipe)),
            session.place.declared,
            shape=shape,
            instances=instances,
            streams=streams,
            threads=session.context.threads,
        )
    actions = actions_for(
        session,
        recipes,
        targets,
        weights=weights,
        rehearse=rehearse,
        latency=True,
        end_to_end=end_to_end,
        batches=batches,
        shape=shape and shape[1:],
        instances=instances or (1,),
        streams=streams,
    )
    outcomes = session.carry_out(
        actions, jobs=jobs, again=lambda action: again and action.step.measures, fail_fast=fail_fast, quiet=as_json
    )
    tell(session, recipes, targets, outcomes, as_json=as_json, publish=False, by_batch=True)
    return exit_code(list(outcomes.values()))
