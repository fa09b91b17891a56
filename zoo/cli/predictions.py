"""What `zoo predict` reads and writes: images in, files of poses out, each whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.cli.resuming import Found, state
from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample, called_together
from zoo.errors import Bug, Cancelled, StepFailed, UsageError, ZooError
from zoo.faults import naming, reason
from zoo.files import write_bytes
from zoo.formats import FORMATS, Prediction
from zoo.formats.prediction import poses_of
from zoo.pipelines.estimator import Image, PoseModel
from zoo.pose.draw import draw
from zoo.pose.keypoints import Poses
from zoo.stream import Layout, Reopened, streamed

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ogv", ".webm", ".wmv"}
DRAWN = "drawn"
FOLDER = Path("predictions")
"""Where predictions lie, each recipe's in a folder of its own, unless another is named."""
ALIKE = 4
"""Images in hand at once, in calls' worth: those of one shape among them share calls."""
HELD = 1 << 27
"""Bytes of pixels that a worker has in hand before it runs them, however few images that are: four of 12 megapixels."""


def gathered(paths: Sequence[Path], drawn: Path | None) -> tuple[Sample, ...]:
    """The images that `paths` name: files as they are, of folders all that end like images, in order of their names.

    Each is called by its path within what was named. Links to files are followed, links to folders inside of what was named are
    not. Pictures that an earlier run drew in the folder `drawn` or the usual ones are passed over.
    Raises UsageError where there are none, where two would be called alike, where those pictures themselves are named, or a video."""
    drawings = [real(drawn)] if drawn else []
    usual = [real(folder) for folder in FOLDER.glob(f"*/{DRAWN}")]
    found: dict[Path, str] = {}
    for path in paths:
        if any(real(path).is_relative_to(folder) for folder in drawings):
            raise UsageError(f"{path} lies in {drawn}, where pictures are drawn", "save to another folder")
        if path.suffix.lower() in VIDEOS and path.is_file():
            raise UsageError(f"{path} is a video", f"zoo demo RECIPE --input {path} shows it, and writes down what is found")
        # who names other drawings means them
        passed = [*drawings, *(folder for folder in usual if not real(path).is_relative_to(folder))]
        for file, name in _images(path):
            if not any(real(file).is_relative_to(folder) for folder in passed):
                found.setdefault(Path(os.path.abspath(file)), name)  # noqa: PTH100 - not resolved: a link is an image of its own
    if not found:
        raise UsageError(f"there are no images in {', '.join(map(str, paths))}", f"images end in {', '.join(sorted(ENDINGS))}")
    twice = [name for name, count in Counter(found.values()).items() if count > 1]
    if twice:
        where = ", ".join(str(path) for path, name in found.items() if name == twice[0])
        raise UsageError(f"two images are called {twice[0]}: {where}", "name the folder that holds both, or save to two folders")
    return tuple(Sample(index, path, name) for index, (path, name) in enumerate(found.items()))


def real(path: Path) -> Path:
    """Where a path leads to, as far as it leads."""
    # not Path.resolve: a link that leads to itself ends it with an error
    return Path(os.path.realpath(path))


def _images(path: Path) -> Iterator[tuple[Path, str]]:
    """What a path names, and how it is called. A link that leads nowhere is among them, so that it is reported."""
    if path.is_file():
        yield path, path.name
        return
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in ENDINGS and (file.is_file() or (file.is_symlink() and not file.exists())):
            yield file, file.relative_to(path).as_posix()


class Written(NamedTuple):
    """What became of a few images."""

    predictions: list[tuple[str, Prediction]]
    """Each with the state of its file before that was read."""
    bad: list[tuple[str, Exception]]


@dataclass
class Writer:
    """Writes predictions into a folder: those of single images into one of each format's name as they come, and what holds all
    of them at the end. So no image's name can be that of another file."""

    folder: Path
    formats: Sequence[str]
    draw: bool = False
    threshold: float = 0.0
    """Keypoints, or a detector's boxes, of a smaller score are not drawn."""
    people: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    """The images that were passed over or not drawn, and why."""
    fail_fast: bool = False
    """End at the first such image."""
    bugs: int = 0
    """How many of them failed as nobody foresaw."""
    known: int = 0
    """The images that a run before this one had done."""
    left: int = 0
    """The images that are not done."""
    _reading: dict[str, str] = field(default_factory=dict)
    """Of those that are in hand together, by the first, the one that is being read."""

    @property
    def places(self) -> list[str]:
        """What is written, within the folder."""
        together = [f"predictions{FORMATS[name].SUFFIX}" if FORMATS[name].TOGETHER else f"{name}/" for name in self.formats]
        return together + [f"{DRAWN}/"] * self.draw

    def ready(self) -> None:
        """Make the folder. Raises UsageError where nothing can be written there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise UsageError(f"nothing can be written to {self.folder}: {error.strerror}", "name another folder with --save") from error

    def write_all(
        self, opening: Callable[[Layout], PoseModel], tried: Sequence[Layout], samples: Sequence[Sample], batch: int, context: Context
    ) -> None:
        """Run the model that `opening` gives over the images, in the fastest of the layouts `tried`, and write everything. An image
        that cannot be read or run is noted in `bad`, or raised with its name where `fail_fast`. What a run that was stopped has
        left in the context's `partial` is gone on with.

        Raises Cancelled where the run is stopped: what is there is whole. Raises ZooError before anything is run where a format
        cannot say the model's poses."""
        images, called = Images(tuple(samples)), names(samples)
        together = [name for name in self.formats if FORMATS[name].TOGETHER]
        size = batch * ALIKE if batch > 1 else 1
        with Found(context.partial) as journal, Reopened(opening) as opened:
            found = {name: one for name, one in journal.of(samples).items() if self._there(called[name])}
            self.known, self.people = len(found), sum(len(one.poses) for one in found.values())
            undone = [sample for sample in samples if sample.name not in found]
            chunks = [undone[start : start + size] for start in range(0, len(undone), size)]
            self.left = len(undone)
            model = opened(tried[0])
            for name in self.formats:
                FORMATS[name].write([Prediction("none", (1, 1), model.skeleton.name, nobody(model))])

            def serving(layout: Layout) -> Callable[[Sequence[Sample]], Written]:
                model = opened(layout)
                return lambda chunk: self._write(model, images, chunk, called)

            context.report("finding people", self.known, len(samples), "images")
            with closing(streamed(chunks, serving, tried, context=context, weight=len, named=self._called)) as results:
                for chunk, written in zip(chunks, results, strict=True):
                    for name, error in written.bad:
                        if self.fail_fast:
                            raise naming(error, name)
                        self.bad.append((name, reason(error)))
                        self.bugs += not isinstance(error, ZooError) or isinstance(error, Bug)
                    for then, prediction in written.predictions:
                        journal.add(then, prediction)
                        self.people += len(prediction.poses)
                        if together:
                            found[prediction.image] = prediction
                    self.left -= len(chunk)
                    context.report("finding people", len(samples) - self.left, len(samples), "images")
        everyone = [found[sample.name] for sample in samples if sample.name in found]
        for name in together:
            self._put(f"predictions{FORMATS[name].SUFFIX}", FORMATS[name].write(everyone).encode())

    def _write(self, model: PoseModel, images: Images, chunk: Sequence[Sample], called: dict[str, str]) -> Written:
        """The files of single images; called by several threads at once, with different images."""
        written = Written([], [])
        states: dict[str, str] = {}
        for sample, image, poses in self._found_in(model, images, chunk, states, written.bad):
            prediction = Prediction(sample.name, (image.shape[1], image.shape[0]), model.skeleton.name, poses)
            written.predictions.append((states[sample.name], prediction))
            for name, place in self._single(called[sample.name]).items():
                self._put(place, FORMATS[name].write([prediction]).encode())
            if self.draw:
                if picture := drawn(image, poses, model, self.threshold):
                    self._put(_picture(called[sample.name]), picture)
                else:
                    written.bad.append((sample.name, StepFailed("it is not drawn: no JPEG is so wide or high")))
        return written

    def _called(self, chunk: Sequence[Sample]) -> str:
        return self._reading.get(chunk[0].name) or called_together(chunk)

    def _found_in(
        self, model: PoseModel, images: Images, chunk: Sequence[Sample], states: dict[str, str], bad: list[tuple[str, Exception]]
    ) -> Iterator[tuple[Sample, Image, Poses]]:
        """The poses of each image that can be read, and in `states` what its file was before; together as many as may be held."""
        pending: list[tuple[Sample, Image]] = []
        for sample in chunk:
            states[sample.name], self._reading[chunk[0].name] = state(sample.path), sample.name
            try:
                pending.append((sample, images.read(sample)))
            except BadImage as error:
                bad.append((sample.name, error))
            del self._reading[chunk[0].name]
            if sum(image.nbytes for _, image in pending) >= HELD:
                yield from self._found(model, pending, bad)
                pending.clear()
        yield from self._found(model, pending, bad)

    def _single(self, called: str) -> dict[str, str]:
        """Format -> the file of an image that is `called` so, for formats that give each a file."""
        return {name: f"{name}/{called}{FORMATS[name].SUFFIX}" for name in self.formats if not FORMATS[name].TOGETHER}

    def _there(self, called: str) -> bool:
        """Whether all files of an image that is `called` so are there."""
        wanted = [*self._single(called).values(), *([_picture(called)] if self.draw else [])]
        return all((self.folder / place).is_file() for place in wanted)

    def _put(self, name: str, data: bytes) -> None:
        """One file, whole or not at all. Raises StepFailed where there is no room, or the folder has gone."""
        try:
            write_bytes(self.folder / name, data)
        except OSError as error:
            raise StepFailed(
                f"{self.folder / name} cannot be written: {error.strerror or error}",
                "make room there, or name another folder with --save; the files written before are whole",
            ) from error

    def _found(
        self, model: PoseModel, pending: Sequence[tuple[Sample, Image]], bad: list[tuple[str, Exception]]
    ) -> Iterator[tuple[Sample, Image, Poses]]:
        """The poses of each; where a call fails, its images are tried one by one, and those that fail alone are noted."""
        try:
            several = model.many([image for _, image in pending]) if pending else []
        except Cancelled:
            raise
        except Exception as error:  # whatever a runtime or a decoder raises on one image must not take the others with it
            if len(pending) == 1:
                bad.append((pending[0][0].name, error))
            else:
                for one in pending:
                    yield from self._found(model, [one], bad)
            return
        yield from ((sample, image, poses) for (sample, image), poses in zip(pending, several, strict=True))


def _picture(called: str) -> str:
    return f"{DRAWN}/{called}.jpg"


def names(samples: Sequence[Sample]) -> dict[str, str]:
    """An image's name -> what its files are called: without its ending, where no other image is called so or would be."""
    stems = {sample.name: str(Path(sample.name).with_suffix("")) for sample in samples}
    count = Counter([*stems.values(), *(name for name, stem in stems.items() if name != stem)])
    return {name: stem if count[stem] == 1 else name for name, stem in stems.items()}


def nobody(model: PoseModel) -> Poses:
    """No people of the model's skeleton."""
    keypoints = len(model.skeleton.keypoints)
    return poses_of(np.zeros((0, keypoints, 2)), np.zeros((0, keypoints)))


def drawn(image: Image, poses: Poses, model: PoseModel, threshold: float) -> bytes:
    """The image with its poses, as a JPEG file; empty where that cannot be: no side has more than 65500 pixels."""
    import cv2

    if max(image.shape) > 65500:
        return b""
    return bytes(cv2.imencode(".jpg", draw(image, poses, model.skeleton, threshold=threshold), [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
