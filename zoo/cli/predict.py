"""`zoo predict`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose


@click.command("predict")
@click.argument("name", metavar="RECIPE", shell_complete=options.complete_recipes)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--save", metavar="FOLDER", required=True, type=click.Path(file_okay=False), help="Where the files are written.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["txt", "json", "coco", "openpose"]),
    help="What is written (repeatable; default: txt).",
)
@click.option("--draw", is_flag=True, help="Also write each image with its poses drawn, to FOLDER/drawn/.")
@click.option("--target", "-t", metavar="TARGET", help="Run it on this target (default: the recipe's first that this machine can run).")
@click.option("--batch", metavar="N", type=click.IntRange(1), default=4, show_default=True, help="The most inputs of one shape in a call.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Use this file of one network's weights instead of its sources.",
)
@click.option("--rehearse", is_flag=True, help="Seed weights that cannot be had; what is found then means nothing.")
@click.option("--offline", is_flag=True, help="Use only mirrors and what is in the store.")
@options.licence
@options.workspace
def command(
    name: str,
    paths: Sequence[str],
    save: str,
    formats: Sequence[str],
    draw: bool,
    target: str | None,
    batch: int,
    weights: str | None,
    rehearse: bool,
    offline: bool,
    licence: Purpose | None,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Find the people in images, and write down their keypoints.

    PATHs are images or folders of images, with the folders in them (links to folders are not followed). RECIPE is of one
    network or of several, such as a body and its hands; what is not built yet is built first. An image that cannot be
    read is reported and passed over: the exit code is 1 then. Every file is written whole or not at all.

    \b
    In FOLDER, of an image sub/a.jpg of a folder that was named:
      txt       predictions.txt, all images: a line a keypoint, image person part index x y score
      coco      predictions.json, all images: COCO's results; hands as lefthand_kpts and righthand_kpts
      json      json/sub/a.json: people with box, score, and every keypoint or null
      openpose  openpose/sub/a_keypoints.json, in the layout that OpenPose writes
      --draw    drawn/sub/a.jpg

    A person detector has no keypoints: its people have a box and a score. txt gives the box's corners as a part "box" (0 upper
    left, 1 lower right), coco COCO's detections; openpose cannot say them and is refused.

    \b
      zoo predict openpose_mobilenet photos/ --save out --draw
      zoo predict openpose_mobilenet_landmark a.jpg b.jpg --save out --format json --format openpose
    """
    from pathlib import Path

    from zoo.cli.console import counted
    from zoo.cli.predictions import Writer, gathered
    from zoo.cli.session import Session, exit_code, relative
    from zoo.cli.wishes import actions_for, usable
    from zoo.engine.action import needed
    from zoo.engine.joint import open_on, runs_on
    from zoo.engine.plan import named
    from zoo.errors import Findings, UsageError
    from zoo.recipe.origin import of_artifact, require
    from zoo.steps.provenance import Provenance

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    (recipe,) = session.permitted([name], everything=False, weights=weights)
    declared = session.place.declared
    chosen = named(recipe, target) if target else next((one for one in usable(session, recipe) if runs_on(recipe, one, declared)), None)
    if chosen is None or not runs_on(recipe, chosen, declared):
        running = [one for one in recipe.targets if runs_on(recipe, one, declared)]
        only = f"{chosen} can be built but not run" if chosen else f"no target of {recipe.name} can be run"
        raise UsageError(only, f"targets that run: {', '.join(running) or 'none'}")
    writer = Writer(Path(save), list(dict.fromkeys(formats)) or ["txt"], draw)
    inputs = gathered([Path(path) for path in paths], writer.folder)
    writer.ready()

    compiled = f"{recipe.name}/{chosen}/compile"
    actions = needed(actions_for(session, [recipe], [chosen], weights=weights, rehearse=rehearse), compiled)
    outcomes = session.carry_out(actions, jobs=1, again=lambda _: False, fail_fast=True)
    artifact = outcomes[compiled].artifact if compiled in outcomes else None
    if artifact is None:
        return exit_code(list(outcomes.values()))
    # the artifact is asked as well as the recipe: what it was made from is written into it
    require([of_artifact(f"{recipe.name}/{chosen}", artifact.path)], session.purpose)

    with session.telling(f"{recipe.name}/{chosen}") as context, open_on(recipe, chosen, declared, artifact.path, context, batch) as model:
        writer.write_all(model, inputs, batch, context)
    if Provenance.read(artifact.path).rehearsal:
        click.echo("a rehearsal: the weights are seeded, what was found means nothing", err=True)
    for file, reason in writer.bad:
        click.echo(f"passed over: {file}: {reason}", err=True)
    people, images = counted(writer.people, "person", "people"), counted(len(inputs) - len(writer.bad), "image")
    click.echo(f"{people} in {images} by {recipe.name} on {chosen}: {relative(writer.folder)}")
    return Findings.exit_code if writer.bad else 0
