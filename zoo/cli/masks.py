"""`zoo masks`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.cli.session import Session
    from zoo.datasets import Images
    from zoo.training.mask_writing import Written

SPLITS = ("train", "val")
IMAGES = "http://images.cocodataset.org/zips/{split}2017.zip"
ANNOTATIONS = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
TOLD = 20
"""Images that are passed over: so many are named."""


@dataclass(frozen=True)
class Part:
    """Images whose masks lie in one folder."""

    name: str
    images: Images
    folder: Path


@click.command("masks")
@click.argument("tree", metavar="[FOLDER]", required=False, type=click.Path())
@click.option("--dataset", metavar="NAME", help="Instead of FOLDER: the images of this dataset of zoo.yaml, which is of the type coco.")
@click.option(
    "--save", "-o", metavar="FOLDER", type=click.Path(file_okay=False), help="Write into this folder (default: beside the images)."
)
@click.option(
    "--rule",
    type=click.Choice(["crowds_and_poor", "crowds"]),
    default="crowds_and_poor",
    show_default=True,
    help="Who is not scored: crowds alone, or also people with few keypoints or a small area.",
)
@click.option("--min-keypoints", metavar="N", type=click.IntRange(0), default=5, show_default=True, help="Fewer keypoints are few.")
@click.option(
    "--min-area", metavar="PIXELS", type=click.FloatRange(0), default=1024.0, show_default=True, help="This much or less is a small area."
)
@click.option("--jobs", "-j", metavar="N", type=click.IntRange(1), help="Processes at once (default: one for each physical core).")
@click.option("--again", is_flag=True, help="Remove the masks that lie there, and write all anew.")
@options.as_json
@options.workspace
def command(
    tree: str | None,
    dataset: str | None,
    save: str | None,
    rule: Literal["crowds_and_poor", "crowds"],
    min_keypoints: int,
    min_area: float,
    jobs: int | None,
    again: bool,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Write what is not scored in training, as masks beside the images of a COCO tree.

    FOLDER (default: $ZOO_COCO) has COCO's layout: train2017/, val2017/ and annotations/ with person_keypoints_train2017.json and
    person_keypoints_val2017.json; a split whose images are not there is passed over. Masks are written to ignore_mask_train/ and
    ignore_mask_val/ in it: 000000057597.png of the image with the id 57597, of its size, 255 where it is not scored and 0
    elsewhere, and no file where everything is.

    With the rule crowds_and_poor, MindSpore's for OpenPose, a crowd is not scored but where somebody was annotated before it, nor is
    anybody with few keypoints or a small area. With crowds, Lightweight OpenPose's, it is all of the crowds and nothing else.

    Training needs no written masks: where there are none of its own rule, it draws them as it goes.

    Each file is written whole or not at all, and a run that was stopped is gone on with by the same command. An image with a
    malformed annotation is named and passed over: the exit code is 1 then.

    \b
      zoo masks ~/coco
      zoo masks --jobs 8
      zoo masks --dataset coco_mini --save masks
    """
    import msgspec

    from zoo.cli.session import Session, relative
    from zoo.errors import Cancelled, Findings, UsageError
    from zoo.training.mask_writing import write_masks
    from zoo.training.masks import Ignore

    if tree and dataset:
        raise UsageError("a folder and a dataset are two things", "name one of them")
    session = Session.open(workspace, verbose=verbose)
    ignore = Ignore(rule=rule, min_keypoints=min_keypoints, min_area=min_area)
    parts = [_declared(session, dataset, save)] if dataset else _laid_out(session, tree, save)
    _writable([part.folder for part in parts])
    rows = []
    for part in parts:
        try:
            with session.telling(f"masks of {part.name}") as context:
                written = write_masks(part.images, ignore, part.folder, jobs=jobs or context.threads, again=again, context=context)
        except Cancelled as error:
            raise Cancelled(error.message, f"what was written stays: the same command goes on{', without --again' * again}") from error
        rows.append({"name": part.name, "folder": relative(part.folder), **msgspec.to_builtins(written)})
        for fault in written.faults[:TOLD]:
            click.echo(f"passed over: {fault} ({part.images.annotations})", err=True)
        if len(written.faults) > TOLD:
            click.echo(f"passed over: {len(written.faults) - TOLD} more", err=True)
        if not as_json:
            click.echo(_summary(part, written))
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
    return Findings.exit_code if any(row["faults"] for row in rows) else 0


def _summary(part: Part, written: Written) -> str:
    from zoo.cli.console import counted
    from zoo.cli.session import relative

    known = f"; {counted(written.known, 'image')} had been done before" if written.known else ""
    told = f"{part.name}: something is not scored in {written.masks} of {counted(written.images, 'image')}"
    return f"{told}, {counted(written.new, 'mask')} written{known}: {relative(part.folder)}"


def _declared(session: Session, name: str, save: str | None) -> Part:
    """A dataset of zoo.yaml. Raises UsageError where it is none of COCO's type, StepFailed where it is not here."""
    from zoo.datasets import Coco
    from zoo.errors import UsageError
    from zoo.training.mask_files import called, folder_of

    declared = session.place.declared.datasets
    dataset = declared.get(name)
    if not isinstance(dataset, Coco):
        known = ", ".join(one for one, what in declared.items() if isinstance(what, Coco))
        what = f"the dataset {name} has no annotations of COCO's" if dataset else f"there is no dataset {name}"
        raise UsageError(what, f"datasets of the type coco: {known or 'none'}")
    images = dataset.open(session.context)
    own = folder_of(images)
    return Part(name, images, Path(save or own.parent) / called(own))


def _laid_out(session: Session, tree: str | None, save: str | None) -> list[Part]:
    """The splits of a tree that are there. Raises UsageError with everything of COCO's layout that is missing, and how to get it."""
    from zoo.datasets.coco import annotated
    from zoo.errors import UsageError
    from zoo.training.mask_files import called

    if not tree and "ZOO_COCO" not in session.context.environment:
        raise UsageError("which COCO tree?", "name its folder, or export ZOO_COCO=FOLDER; --dataset NAME takes one of zoo.yaml's")
    root = Path(tree) if tree else session.context.path("$ZOO_COCO")
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}", "a COCO tree holds train2017/, val2017/ and annotations/")
    folders = {split: root / f"{split}2017" for split in SPLITS}
    files = {split: root / f"annotations/person_keypoints_{split}2017.json" for split in SPLITS}
    there = [split for split in SPLITS if folders[split].is_dir()]
    missing = [f"no {files[split]}: it is in {ANNOTATIONS}" for split in there if not files[split].is_file()]
    if not there:
        missing = [f"no {folder}: unpack {IMAGES.format(split=split)} in {root}" for split, folder in folders.items()]
        missing += [f"no {file}: unpack {ANNOTATIONS} in {root}" for file in files.values() if not file.is_file()]
        if (root.parent / "annotations").is_dir():
            missing.append(f"did you mean {root.parent}?")
    if missing:
        raise UsageError(f"{root} is not laid out as COCO:", "\n  ".join(missing))
    for split in SPLITS:
        if split not in there:
            click.echo(f"{split} is passed over: there is no {folders[split]}", err=True)
    parts = [Part(split, annotated(folders[split], files[split]), Path(save or root) / called(folders[split])) for split in there]
    for part in parts:
        _complete(part.images, folders[part.name])
    return parts


def _complete(images: Images, folder: Path) -> None:
    """Say which images are listed and are not in `folder`. Raises `BadAnnotations` where that is all of them, or names lead elsewhere."""
    from pathlib import PurePosixPath

    from zoo.datasets import BadAnnotations

    names = [sample.name for sample in images.samples]
    bad = [name for name in names if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if bad:
        raise BadAnnotations(f"{images.annotations}: these are no names of images: {_some(bad)}", "file_name is a path within the folder")
    there = {path.name for path in folder.iterdir()}
    gone = [name for name in names if not (name in there or ("/" in name and (folder / name).exists()))]
    if len(gone) == len(names):
        raise BadAnnotations(f"{folder} holds none of the {len(names)} images that {images.annotations} lists", "unpack the images there")
    if gone:
        told = f"{len(gone)} of {len(names)} images are not in {folder}"
        click.echo(f"{told}: {_some(gone)}; their masks are written all the same", err=True)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (" ..." if len(names) > 10 else "")


def _writable(folders: Sequence[Path]) -> None:
    """Make the folders. Raises UsageError with all in which nothing can be written."""
    import tempfile

    from zoo.errors import UsageError

    faults = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            faults.append(f"nothing can be written to {folder}: {error.strerror}")
    if faults:
        raise UsageError("; ".join(faults), "name another folder with --save")
