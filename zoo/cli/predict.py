"""`zoo predict`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zoo.cli import options
from zoo.licence import Purpose

if TYPE_CHECKING:
    from zoo.pipelines.estimator import PoseModel
    from zoo.recipe.model import Recipe
    from zoo.recipe.workspace import Place
    from zoo.stream import Layout

BUGS = "please report bugs; --fail-fast ends at the first one, with its traceback"
SEEN = 0.3
"""A network that looks at boxes says of every keypoint where it is, seen or not: what it scores lower is not drawn. The usual
threshold of top-down pictures (mmpose: `kpt_thr`). Networks that find people by themselves leave such keypoints away."""


@click.command("predict")
@click.argument("name", metavar="RECIPE", shell_complete=options.complete_recipes)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--save", metavar="FOLDER", type=click.Path(file_okay=False), help="Where the files are written (default: predictions/RECIPE/)."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["txt", "json", "coco", "openpose"]),
    help="What is written (repeatable; default: txt, and pictures).",
)
@click.option(
    "--draw/--no-draw", default=None, help="Write each image with its poses drawn, to FOLDER/drawn/ (default: where no --format is named)."
)
@click.option(
    "--threshold",
    metavar="SCORE",
    type=click.FloatRange(0),
    help=f"Draw no keypoint, or box of a detector, of a smaller score (default: {SEEN} for networks that look at boxes, else 0)."
    " The other files hold everything.",
)
@click.option("--batch", metavar="N", type=click.IntRange(1), default=4, show_default=True, help="The most inputs of one shape in a call.")
@options.model
@click.option("--fail-fast", is_flag=True, help="Stop at the first image that cannot be read or run (default: go on with the rest).")
@options.licence
@options.workspace
def command(
    name: str,
    paths: Sequence[str],
    save: str | None,
    formats: Sequence[str],
    draw: bool | None,
    threshold: float | None,
    target: str | None,
    protocol: str | None,
    batch: int,
    weights: str | None,
    rehearse: bool,
    offline: bool,
    fail_fast: bool,
    licence: Purpose | None,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Find the people in images, write down their keypoints, and draw them.

    PATHs are images or folders of images, with the folders in them (links to folders are not followed). RECIPE is of one
    network or of several, such as a body and its hands; what is not built yet is built first. An image that cannot be
    read or run is reported and passed over: the exit code is 1 then. Every file is written whole or not at all. A run that was
    stopped, by ^C or otherwise, is gone on with by the same command.

    \b
    In FOLDER, of an image sub/a.jpg of a folder that was named:
      txt       predictions.txt, all images: a line a keypoint, image person part index x y score
      coco      predictions.json, all images: COCO's results; hands as lefthand_kpts and righthand_kpts
      json      json/sub/a.json: people with box, score, and every keypoint or null
      openpose  openpose/sub/a_keypoints.json, in the layout that OpenPose writes
      --draw    drawn/sub/a.jpg

    A recipe of a network that looks at boxes (its fit is `box`) is shown each image as one person's. A pipeline finds the people
    first, as rtmdet_simplepose does for simplepose.

    A person detector has no keypoints: its people have a box and a score. txt gives the box's corners as a part "box" (0 upper
    left, 1 lower right), coco COCO's detections; openpose cannot say them and is refused.

    \b
      zoo predict recipes/rtmdet_simplepose.yaml photos/
      zoo predict openpose_mobilenet photos/ --save out --no-draw
      zoo predict openpose_mobilenet_landmark a.jpg b.jpg --save out --format json --format openpose
    """
    from dataclasses import replace
    from pathlib import Path
    from shutil import rmtree

    from zoo.cli.console import counted
    from zoo.cli.predictions import DRAWN, FOLDER, Writer, gathered
    from zoo.cli.resuming import Task
    from zoo.cli.running import chosen_target, made, parts_in
    from zoo.cli.session import Session, exit_code, relative
    from zoo.errors import Bug, Cancelled, Findings
    from zoo.recipe.composite import parts_of
    from zoo.recipe.model import Recipe
    from zoo.record import fingerprint
    from zoo.steps.part import layouts_of

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    (recipe,) = session.permitted([name], everything=False, weights=weights)
    chosen = chosen_target(session, recipe, target)
    parts = parts_in(session, recipe, chosen, protocol)
    pictures = not formats if draw is None else draw
    shown = threshold if threshold is not None else SEEN if any(map(looks_at_boxes, parts_of(recipe).values())) else 0.0
    formats = list(dict.fromkeys(formats)) or ["txt"]
    writer = Writer(Path(save or FOLDER / recipe.name), formats, pictures, shown, fail_fast=fail_fast)
    inputs = gathered([Path(path) for path in paths], writer.folder / DRAWN)
    writer.ready()

    if isinstance(recipe, Recipe) and looks_at_boxes(recipe):
        finders = finding(recipe.name, session.place)
        before = f"; {' and '.join(finders)} {'find' if len(finders) > 1 else 'finds'} people first" if finders else ""
        click.echo(f"each image is taken for one {'hand' if recipe.task == 'hand_pose' else 'person'}{before}", err=True)

    ready = made(session, recipe, chosen, parts, weights=weights, rehearse=rehearse)
    if isinstance(ready, list):
        return exit_code(ready)
    task = Task(
        compiled=ready.folder.name,
        parts=parts,
        pipeline=ready.pipeline,
        formats=tuple(formats),
        draw=pictures,
        threshold=shown,
        folder=str(writer.folder.resolve()),
    )
    key = fingerprint([task, session.code.digest(task)])
    partial = session.store.resumed(key)
    try:
        with session.telling(f"{recipe.name}/{chosen}") as told:
            context = replace(told, partial=partial)

            def opening(layout: Layout) -> PoseModel:
                return ready.open(context, batch, layout.streams)

            writer.write_all(opening, layouts_of(parts, context), inputs, batch, context)
    except Cancelled as error:
        raise Cancelled(error.message, f"the same command goes on with the {counted(writer.left, 'image')} that are left") from error
    rmtree(partial, ignore_errors=True)
    if writer.known:
        click.echo(f"{counted(writer.known, 'image')} had been done by a run that was stopped", err=True)
    if ready.rehearsal:
        click.echo("a rehearsal: the weights are seeded, what was found means nothing", err=True)
    for file, reason in writer.bad:
        click.echo(f"passed over: {file}: {reason}", err=True)
    if writer.bugs:
        click.echo(BUGS, err=True)
    people, images = counted(writer.people, "person", "people"), counted(len(inputs) - len(writer.bad), "image")
    click.echo(f"{people} in {images} by {recipe.name} on {chosen}: {relative(writer.folder)} ({', '.join(writer.places)})")
    return Bug.exit_code if writer.bugs else Findings.exit_code if writer.bad else 0


def looks_at_boxes(recipe: Recipe) -> bool:
    """Whether a network has to be told where the people are."""
    from zoo.pose.fits.box import Box

    return isinstance(recipe.preprocess.fit, Box)


def finding(name: str, place: Place) -> list[str]:
    """The pipelines of a workspace that find people for the network `name` to look at. Recipes with faults are passed over."""
    from zoo.document import read
    from zoo.errors import RecipeError
    from zoo.recipe.composite import PipelineRecipe
    from zoo.recipe.schema import convert

    found = []
    for path in place.files():
        try:
            document = read(path)
            # only a pipeline's file is looked at any closer: this is a hint, and judges nothing
            if not isinstance(document.data, dict) or "pipeline" not in document.data:
                continue
            pipeline = convert(document, PipelineRecipe).pipeline
        except RecipeError:
            continue
        if name in [pipeline.parts[role] for role in pipeline.boxed]:
            found.append(path.stem)
    return found
