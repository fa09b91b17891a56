"""`zoo demo`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zoo.cli import options
from zoo.licence import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.cli.demonstration import Demonstration
    from zoo.cli.running import Ready
    from zoo.cli.saving import Saver
    from zoo.cli.session import Session
    from zoo.datasets.images import Sample
    from zoo.steps.part import Part
    from zoo.video.source import Source

#: the dataset of photographs that is shown where no input is named
PHOTOS = "photos"


@click.command("demo")
@click.argument("name", metavar="RECIPE", shell_complete=options.complete_recipes)
@click.option(
    "--input",
    "source",
    metavar="SOURCE",
    help="A video, an image, a folder of images, a camera (0, /dev/video0) or an address (rtsp://...) (default: the dataset photos).",
)
@click.option("--save", metavar="FILE.mp4|FOLDER", help="What is written (default: demo/RECIPE/ where --show is not said).")
@click.option("--show", is_flag=True, help="Show it in a window as it comes.")
@click.option("--track", is_flag=True, help="People keep their numbers from frame to frame.")
@click.option("--smooth", is_flag=True, help="Keypoints do not tremble (1 euro filter); --track with it.")
@click.option(
    "--overlay",
    metavar="NAME,...",
    help="skeleton, heatmap, paf, boxes, ids (--track with it), status (default: skeleton,status, and ids with --track).",
)
@click.option("--threshold", metavar="SCORE", type=click.FloatRange(0), help="Draw no keypoint or box of a smaller score, as predict.")
@click.option("--rate", metavar="N", type=click.IntRange(1), default=25, show_default=True, help="Images of a folder a second of video.")
@options.model
@click.option("--fail-fast", is_flag=True, help="Stop at the first frame or image that fails (default: go on with the rest).")
@options.licence
@options.workspace
def command(
    name: str,
    source: str | None,
    save: str | None,
    show: bool,
    target: str | None,
    protocol: str | None,
    track: bool,
    smooth: bool,
    overlay: str | None,
    threshold: float | None,
    rate: int,
    weights: str | None,
    rehearse: bool,
    offline: bool,
    fail_fast: bool,
    licence: Purpose | None,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Show what a model finds, in a video, in photographs, or live.

    Reading, network and drawing overlap. Of a file every frame is shown; of a camera or a live stream always the newest, and
    those that came meanwhile are dropped. A video or an image that is damaged is shown as far as it goes: the exit code is 1 then.

    \b
    What is written (also when it is stopped, by ^C or `timeout 60 zoo demo ...`, as far as it went):
      --save out.mp4   the video, and out.jsonl beside it
      --save FOLDER    FOLDER/NAME.mp4 and NAME.jsonl of a video; of images a picture each, and poses.jsonl
    A line of the .jsonl is a frame: its number, time in seconds, people with id, score, box, and every keypoint or null.

    \b
    Keys in the window:
      q, Esc   end                 s   skeleton          b   boxes
      space    stand still         h   heatmaps          i   ids
      f        speed and latency   p   part affinity fields

    Heatmaps and part affinity fields are shown of single networks that find people by themselves. In a field the colour is the
    direction: red right, yellow-green down, cyan left, violet up.

    A recipe's protocols are other ways to use its network: demo_256 is that of Lightweight OpenPose's own demo, of lower images, in half
    the time.

    \b
      zoo demo rtmdet_rtmpose_s
      zoo demo human_pose_estimation_0001 --input street.mp4 --save out.mp4 --track --smooth
      zoo demo human_pose_estimation_0001 --input street.mp4 --save out.mp4 --protocol demo_256
      zoo demo openpose_mobilenet --input 0 --show
    """
    from contextlib import ExitStack
    from pathlib import Path

    from zoo.cli import saving
    from zoo.cli.demonstration import Demonstration
    from zoo.cli.predict import SEEN, looks_at_boxes
    from zoo.cli.running import chosen_target, made, parts_in
    from zoo.cli.session import Session, exit_code
    from zoo.cli.window import Window
    from zoo.errors import Bug, Findings, UsageError, ZooError
    from zoo.pose.smooth import OneEuro
    from zoo.pose.tracking import Tracker
    from zoo.recipe.composite import parts_of
    from zoo.steps.part import layouts_of

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    (recipe,) = session.permitted([name], everything=False, weights=weights)
    chosen = chosen_target(session, recipe, target)
    parts = parts_in(session, recipe, chosen, protocol)
    overlays = wanted(overlay, track or smooth, [*parts.values()])
    shown = threshold if threshold is not None else SEEN if any(map(looks_at_boxes, parts_of(recipe).values())) else 0.0

    with ExitStack() as opened:
        folder = Path(save) if save else None if show else saving.FOLDER / recipe.name
        frames, samples = opened_source(session, source, rate, strict=fail_fast, drawn=folder)
        opened.enter_context(frames)
        if frames.live and not (save or show):
            raise UsageError(f"{frames.name} never ends", "say what becomes of it: --show, --save out.mp4, or both")
        if folder:
            saving.ready(folder, frames, samples)
        window = opened.enter_context(Window(f"{recipe.name} on {chosen}")) if show else None
        ready = made(session, recipe, chosen, parts, weights=weights, rehearse=rehearse)
        if isinstance(ready, list):
            return exit_code(ready)
        # a live frame is wanted at once, on every core; of a file's frames several are run beside one another
        layout = layouts_of(parts, session.context)[-1 if frames.live else 0]
        model = opened.enter_context(ready.open(session.context, streams=layout.streams))
        saver = opened.enter_context(saving.Saver(folder, frames, samples, model.skeleton.name)) if folder else None
        # in a window ids may be asked for at any moment
        tracker = Tracker(model.skeleton) if "ids" in overlays or track or smooth or window else None
        demonstration = Demonstration(overlays, shown, tracker, OneEuro() if smooth else None, fail_fast=fail_fast)
        stopped: ZooError | None = None
        try:
            with session.telling(f"{recipe.name}/{chosen}") as context:
                demonstration.run(model, frames, context, workers=layout.workers, saver=saver, window=window)
        except ZooError as error:
            stopped = error  # what there is is whole, and told
    if demonstration.frames or not stopped:
        summary(demonstration, frames, ready, saver, images=bool(samples))
    if stopped:
        raise stopped
    return Bug.exit_code if demonstration.bugs else Findings.exit_code if frames.lost or demonstration.faults else 0


def wanted(overlay: str | None, tracked: bool, parts: Sequence[Part]) -> set[str]:
    """The overlays that a command line names. Raises UsageError where one is unknown, or the networks have no such maps."""
    from zoo.cli.demonstration import OVERLAYS
    from zoo.errors import UsageError

    if overlay is None:
        return {"skeleton", "status"} | ({"ids"} if tracked else set())
    names = {name.strip() for name in overlay.split(",") if name.strip()}
    if unknown := sorted(names - OVERLAYS.keys()):
        raise UsageError(f"there is no overlay {', '.join(unknown)}", f"overlays: {', '.join(OVERLAYS)}")
    reads = set(parts[0].decode.reads()) if len(parts) == 1 and not parts[0].of_boxes else set()
    for name, field in (("heatmap", "heatmaps"), ("paf", "pafs")):
        if name in names and field not in reads:
            raise UsageError(f"this recipe has no {field} to show", "single networks that find people by themselves have")
    return names


def opened_source(
    session: Session, named: str | None, rate: int, *, strict: bool = False, drawn: Path | None = None
) -> tuple[Source, tuple[Sample, ...]]:
    """What a command line names, and the images where it is images: of a folder without what was `drawn` into one inside of it.

    Raises UsageError where it is nothing that can be shown."""
    from pathlib import Path

    from zoo.cli.demonstration import Pictures
    from zoo.cli.predictions import ENDINGS, gathered, real
    from zoo.errors import UsageError
    from zoo.video.newest import Newest
    from zoo.video.source import is_video, open_video

    if named is None:
        samples = photographs(session)
        return Pictures(samples, rate, strict=strict), samples
    path = Path(named)
    # a file or folder that is called 0 is named ./0
    if not is_video(named) and (path.is_dir() or path.suffix.lower() in ENDINGS):
        if not path.exists():
            raise UsageError(f"{named}: there is no such file", "name a video, an image, a folder of images, a camera (0) or an address")
        samples = gathered([path], None if drawn is None or real(path).is_relative_to(real(drawn)) else drawn)
        return Pictures(samples, rate, strict=strict), samples
    video = open_video(named)
    return (Newest(video, session.context.cancelled) if video.live else video), ()


def photographs(session: Session) -> tuple[Sample, ...]:
    """The images of the workspace's dataset of photographs, fetched where they are not here."""
    from zoo.engine.wish import Plan
    from zoo.errors import StepFailed, UsageError

    dataset = session.place.declared.datasets.get(PHOTOS)
    if dataset is None:
        raise UsageError("what shall be shown?", "say --input, a video, an image, a folder of images, a camera (0) or an address")
    story = Plan(session.place)
    reads = story.photos(dataset)
    fetched = None
    if reads:
        outcome = session.carry_out([*story.actions.values()], jobs=1, again=lambda _: False, fail_fast=True, quiet=True)[reads[PHOTOS]]
        if outcome.artifact is None:
            raise outcome.error or StepFailed("the photographs could not be fetched", "say --input")
        fetched = outcome.artifact.path
    return dataset.open(session.context, fetched).samples


def summary(demonstration: Demonstration, source: Source, ready: Ready, saver: Saver | None, *, images: bool) -> None:
    """Say what was shown, at what speed, and what is missing."""
    from zoo.cli.console import counted
    from zoo.cli.predict import BUGS
    from zoo.cli.session import relative

    if ready.rehearsal:
        click.echo("a rehearsal: the weights are seeded, what was found means nothing", err=True)
    for lost in filter(None, [source.lost, *demonstration.faults[:5]]):
        click.echo(lost if images else f"{source.name}: {lost}", err=True)
    if len(demonstration.faults) > 5:
        click.echo(f"and {len(demonstration.faults) - 5} frames more that failed", err=True)
    if demonstration.bugs:
        click.echo(BUGS, err=True)
    seen = counted(demonstration.people, "person", "people")
    frames = counted(demonstration.frames, "image") if images else counted(demonstration.frames, "frame")
    dropped = f", {demonstration.dropped} dropped" if demonstration.dropped else ""
    of = "" if images else f" of {source.name}"
    speed = f"{demonstration.rate:.1f} {'images' if images else 'frames'}/s, p50 latency {1e3 * demonstration.latency:.0f} ms"
    where = f": {', '.join(relative(path) for path in saver.places)}" if saver and demonstration.frames else ""
    click.echo(f"{seen} in {frames}{dropped}{of} by {ready.recipe.name} on {ready.target}, {speed}{where}")
