"""Writing the masks of a dataset: one file each, by several processes, and gone on with where a run was stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from zoo.context import Context
from zoo.datasets.images import LARGEST, BadAnnotations, Images
from zoo.errors import StepFailed, UsageError
from zoo.files import Digests, write_bytes
from zoo.journal import Journal
from zoo.training.mask_files import JOURNAL, MADE, Made, Shown, made_of, mask_file, shown
from zoo.training.masks import Chosen, Ignore, drawn

PIECE = 32
"""Images that a process draws before it answers: few, so that a run that is stopped loses little."""
STOPS = (signal.SIGINT, signal.SIGTERM)


class Task(NamedTuple):
    """An image whose mask is to be written."""

    id: int
    height: int
    width: int
    chosen: list[Chosen]


class Done(NamedTuple):
    """What became of it."""

    id: int
    ignored: int
    """Pixels that are not scored."""
    fault: str
    """Why it could not be drawn; empty where it could."""


@dataclass
class Written:
    """What `write_masks` did, or found."""

    images: int
    known: int = 0
    """Images that an earlier run had done."""
    masks: int = 0
    """Images with a mask."""
    new: int = 0
    """Masks that were written now."""
    faults: list[str] = field(default_factory=list)
    """Of each image that was passed over: its id, and the annotation that is malformed."""


def write_masks(images: Images, ignore: Ignore, folder: Path, *, jobs: int, again: bool, context: Context) -> Written:
    """Write the mask of each of `images` in which something is not scored into `folder`, whole or not at all.

    What an earlier run has written there by the same rule and of the same annotations is left; with `again` it goes first. An image
    with a malformed annotation is passed over and told in `faults`; it is not done, and the next run tries it again.
    Raises UsageError where the folder holds other masks, `BadAnnotations` where images have no size, StepFailed where a file cannot
    be written, Cancelled where the run is stopped: what was written stays, and the next run goes on from there."""
    assert images.annotations is not None, "what is not scored stands in annotations"
    digests = Digests(context.cache)
    made = Made(ignore=ignore, annotations=digests.sha256(images.annotations))
    digests.save()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _ready(folder, made, again)
            return _write(images, made, folder, jobs, context)
    except OSError as error:
        raise StepFailed(
            f"{error.filename2 or error.filename or folder}: cannot be written: {error.strerror or error}",
            "what was written before is whole: make room, and the same command goes on",
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else writes masks there meanwhile; the lock goes with this process, however it ends. Raises UsageError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another zoo masks is writing to {folder}", "wait for it, or stop it") from None
        yield
    finally:
        os.close(handle)


def _ready(folder: Path, made: Made, again: bool) -> None:
    """Take away what a killed run left half-written, and what was made of something else. Raises UsageError where that is not wanted."""
    before = made_of(folder)
    masks = sorted(path for path in folder.glob("*.png") if path.stem.isdecimal() and len(path.stem) >= 12)
    if not again and before != made and (before or masks):
        what = "of another rule, or of annotations that were others then" if before else "that zoo masks has not written"
        raise UsageError(f"{folder} holds {len(masks)} masks {what}", "--again replaces them, -o FOLDER writes elsewhere")
    for path in folder.glob(".*.png.*.tmp"):
        path.unlink()
    if again or before is None:
        # masks first: without a journal they would be taken for another tool's
        for path in masks:
            path.unlink()
        (folder / JOURNAL).unlink(missing_ok=True)
        with Journal(folder / JOURNAL) as journal:
            journal.add(MADE, msgspec.to_builtins(made))


def _write(images: Images, made: Made, folder: Path, jobs: int, context: Context) -> Written:
    context.report("reading annotations")
    there = {path.name for path in folder.glob("*.png")}
    journal = Journal(folder / JOURNAL)
    known = {id: ignored for id, ignored in journal if id != MADE and (not ignored or mask_file(folder, id).name in there)}
    known = {id: known[id] for id in images.ids if id in known}
    found = Written(len(images), known=len(known), masks=sum(ignored > 0 for ignored in known.values()))
    left: list[Task] = []
    with journal:
        for image in _sized(images):
            if image.id in known:
                continue
            try:
                chosen = made.ignore.chosen(image.annotations)
            except BadAnnotations as error:
                found.faults.append(f"image {image.id}: {error.message}")
                continue
            if chosen:
                left.append(Task(image.id, image.height or 0, image.width or 0, chosen))
            else:
                journal.add(image.id, 0)
        ready = len(images) - len(left)
        context.report("drawing masks", ready, len(images), "images")
        with closing(_drawn(left, folder, jobs, context)) as pieces:
            for piece in pieces:
                for done in piece:
                    if done.fault:
                        found.faults.append(f"image {done.id}: {done.fault}")
                    else:
                        journal.add(done.id, done.ignored)
                        found.masks += done.ignored > 0
                        found.new += done.ignored > 0
                ready += len(piece)
                context.report("drawing masks", ready, len(images), "images")
    return found


def _sized(images: Images) -> list[Shown]:
    """The images as the annotation file shows them. Raises `BadAnnotations` with all that have no size that a mask could have."""
    found = list(shown(images))
    bad = [image for image in found if not (0 < (image.height or 0) * (image.width or 0) <= LARGEST and (image.height or 0) > 0)]
    if bad:
        names = {sample.id: sample.name for sample in images.samples}
        told = ", ".join(f"{image.id} ({names[image.id]}: {image.width}x{image.height})" for image in bad[:10])
        more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise BadAnnotations(
            f"{images.annotations}: images without a width and height that they could have: {told}{more}",
            "width and height stand in `images` of COCO's annotations, in pixels",
        )
    return found


def draw(tasks: Sequence[Task], folder: Path) -> list[Done]:
    """Draw and write some masks; it runs in processes of its own. Raises OSError."""
    import cv2

    results = []
    for task in tasks:
        try:
            mask = drawn(task.chosen, task.height, task.width)
        except BadAnnotations as error:
            results.append(Done(task.id, 0, error.message))
            continue
        ignored = int(np.count_nonzero(mask))
        if ignored:
            _, data = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))
            write_bytes(mask_file(folder, task.id), data.tobytes())
        results.append(Done(task.id, ignored, ""))
    return results


def _drawn(tasks: Sequence[Task], folder: Path, jobs: int, context: Context) -> Generator[list[Done], None, None]:
    """What became of `tasks`, some at a time, in the order in which they are ready."""
    pieces = [tasks[start : start + PIECE] for start in range(0, len(tasks), PIECE)]
    work = partial(draw, folder=folder)
    jobs = min(jobs, len(pieces))
    if jobs <= 1:
        yield from map(work, pieces)
        return
    with _processes(jobs) as pool:
        try:
            with _undisturbed():
                results = [pool.submit(work, piece) for piece in pieces]
            for result in as_completed(results):
                yield result.result()
        except BrokenProcessPool as error:
            context.report("drawing masks")
            raise StepFailed("a process that draws masks has died", "was it short of memory? --jobs 1 needs the least") from error


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    """Processes that start from nothing, since a copy of one with threads may never get on; what waits for them goes at the end."""
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_follow)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that are started inside never hear of ^C or SIGTERM: this one does, and tells them when to end."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would end the silence when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow() -> None:
    """End this process when the one that it draws for has gone, however it went."""
    from multiprocessing import parent_process

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
