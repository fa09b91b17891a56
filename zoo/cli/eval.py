"""`zoo eval`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose


@click.command("eval")
@options.recipes
@options.targets
@click.option(
    "--images",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="Judge on these images instead of the recipe's datasets ...",
)
@click.option("--labels", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="... with these annotations in COCO's format.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Only the first N images; the figures never enter results/.")
@click.option("--skip-bad-images", is_flag=True, help="Pass over images that cannot be read; the report counts them.")
@click.option(
    "--dataset",
    "-d",
    "datasets",
    multiple=True,
    metavar="GLOB",
    help="Only these of the recipe's datasets (repeatable; default: all here).",
)
@click.option(
    "--results",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Write the results and their leaderboard there (default: results/).",
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
    images: str | None,
    labels: str | None,
    limit: int | None,
    skip_bad_images: bool,
    datasets: tuple[str, ...],
    results: str | None,
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
    """Build, then measure accuracy and speed.

    Every target is judged in each of the recipe's protocols, on each of its datasets that is here. The results go to
    results/<machine>/, and LEADERBOARD.md is written anew from all of them - unless --weights, --images, --limit or
    --skip-bad-images made them something else than the recipe's own, or --dataset only a part of it: a part is
    written where --results names a folder of its own.

    \b
      zoo eval --all
      zoo eval human_pose_estimation_0001 --target 'onnxruntime-*'
      zoo eval lightweight_openpose --weights my.pth --images val2017 --labels person_keypoints_val2017.json --limit 500
    """
    from zoo.cli.measured import tell
    from zoo.cli.session import Session, exit_code
    from zoo.cli.wishes import actions_for
    from zoo.errors import UsageError

    own = bool(weights or images or limit or skip_bad_images)
    if own and results:
        raise UsageError("--results is for figures of the recipe's own", "leave out --weights, --images, --limit and --skip-bad-images")
    session = Session.open(workspace, offline=offline, verbose=verbose, rehash=rehash, results=results, licence=licence)
    recipes = session.permitted(names, everything, weights)
    actions = actions_for(
        session,
        recipes,
        targets,
        weights=weights,
        rehearse=rehearse,
        accuracy=True,
        latency=True,
        end_to_end=True,
        images=images,
        labels=labels,
        datasets=datasets or ("*",),
        limit=limit,
        skip_bad_images=skip_bad_images,
    )
    outcomes = session.carry_out(
        actions, jobs=jobs, again=lambda action: again and action.step.measures, fail_fast=fail_fast, quiet=as_json
    )
    tell(
        session,
        recipes,
        targets,
        outcomes,
        as_json=as_json,
        publish=not own and bool(results or not datasets) and len(outcomes) == len(actions),
    )
    return exit_code(list(outcomes.values()))
