"""`Images`: what every dataset opens to; how an image is read, and how two sets are told apart."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.context import Context
from zoo.datasets.headers import FORMATS, inks_unclear, size
from zoo.errors import StepFailed
from zoo.files import Digests
from zoo.record import Choice

#: by the identities of dataset and environment (which are held, so that nothing else gets these) and root: the digest
_Seen = dict[tuple[int, int, Path], tuple[object, object, str]]
_SEEN: ContextVar[_Seen | None] = ContextVar("datasets seen", default=None)
#: what the digest of a file that is not there reads as
ABSENT = "absent"
#: pixels of an image that is decoded, 67 million: more than cameras of a full frame have. Its bytes take 200 MB
LARGEST = 1 << 26
#: bytes of a file that is read: such an image of four channels of 16 bits, not compressed
HEAVIEST = LARGEST * 8


class BadImage(StepFailed):
    """One image of a dataset is missing or cannot be decoded; `name` says which."""

    def __init__(self, name: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.name = name


class BadAnnotations(StepFailed):
    """An annotation file is not what it should be."""


@dataclass(frozen=True)
class Sample:
    """One image of a dataset: its id in the annotations, where it lies, the name that is shown."""

    id: int
    path: Path
    name: str


def called_together(chunk: Sequence[Sample]) -> str:
    """How several images that are looked at together are called."""
    return chunk[0].name if len(chunk) == 1 else f"{chunk[0].name} or one of the {len(chunk) - 1} after it"


@dataclass(frozen=True)
class Images:
    """The images of a dataset, in the order of their ids, and their annotations where there are any."""

    samples: tuple[Sample, ...]
    annotations: Path | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def ids(self) -> list[int]:
        """The ids of the images, in order: what a metric is restricted to."""
        return [sample.id for sample in self.samples]

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The image as uint8 BGR (H, W, 3), decoded as the original projects do: cv2's colour mode,
        which turns an image the way that its EXIF orientation says, leaves transparency away, keeps the upper 8 of 16 bits, and
        takes the first of several images in a file.

        Raises `BadImage` where the file is missing, unreadable, no image, or cut off; and, before anything is decoded, where it is
        of another format than `FORMATS` or has more than `LARGEST` pixels."""
        import cv2

        data = _bytes(sample)
        found = size(data)
        if found is None:
            what = "is empty" if not data else f"cannot be decoded: it does not begin as {FORMATS}"
            raise _bad(sample, what, "fetch it again")
        if found[0] * found[1] > LARGEST:
            # before it is decoded, which takes three bytes a pixel and more
            megapixels = f"{found[0]}x{found[1]} pixels, {found[0] * found[1] / 1e6:.0f} megapixels"
            raise _bad(sample, f"has {megapixels}: more than {LARGEST / 1e6:.0f} are not read", "scale it down")
        if inks_unclear(data):
            raise _bad(sample, "is in CMYK and does not say which way round its inks are", "save it in RGB")
        # From memory and not from the file: cv2.imread fills up what is cut off, imdecode refuses it.
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # rather than None, for some faults of a header
            image = None
        if image is None:
            raise _bad(sample, "cannot be decoded (corrupt, cut off, or of a kind that OpenCV does not read)", "fetch it again")
        return np.asarray(image, np.uint8)

    def subset(self, limit: int | None) -> Images:
        """The first `limit` images by id; all of them for None."""
        return self if limit is None else replace(self, samples=self.samples[: max(limit, 0)])

    def without(self, names: Sequence[str]) -> Images:
        """The same images but those named."""
        return replace(self, samples=tuple(sample for sample in self.samples if sample.name not in set(names)))

    def digests(self, context: Context) -> dict[str, str]:
        """name -> sha256 of the file, "absent" where there is none. A file is read once and remembered in the cache."""
        known = Digests(context.cache)
        found = self._digests(known)
        known.save()
        return found

    def digest(self, context: Context) -> str:
        """One sha256 of ids, names and bytes of the images and of their annotations: a subset has its own."""
        known = Digests(context.cache)
        digests = self._digests(known)
        lines = [f"{digests[sample.name]}  {sample.id}  {sample.name}" for sample in self.samples]
        lines.append(known.sha256(self.annotations) if self.annotations else "no annotations")
        known.save()
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _digests(self, known: Digests) -> dict[str, str]:
        found: dict[str, str] = {}
        for sample in self.samples:
            try:
                found[sample.name] = known.sha256(sample.path)
            except OSError:
                found[sample.name] = ABSENT
        return found


def _bytes(sample: Sample) -> bytes:
    """What the file of an image holds. Raises `BadImage` where it is no file, cannot be read, or is too large for memory."""
    try:
        about = sample.path.stat()
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            raise _bad(sample, "is a folder" if stat.S_ISDIR(about.st_mode) else "is no file", "name images, or a folder of them")
        if about.st_size > HEAVIEST:
            raise _bad(sample, f"has {about.st_size / 1e6:.0f} MB: more than {HEAVIEST / 1e6:.0f} are not read", "scale it down")
        return sample.path.read_bytes()
    except OSError as error:
        hint = f"put {sample.name} into {sample.path.parent}, or leave it out: --skip-bad-images"
        raise BadImage(sample.name, f"image {sample.path}: {error.strerror}", hint) from error


def _bad(sample: Sample, what: str, remedy: str) -> BadImage:
    return BadImage(sample.name, f"image {sample.path} {what}", f"{remedy}, or leave it out: --skip-bad-images")


class DatasetBase(Choice, frozen=True, kw_only=True):
    """What every dataset declares, and what it can be asked."""

    drawn: ClassVar[bool] = False
    """Whether its people are drawn figures: what is found in them is compared with nothing else."""

    title: Annotated[str, Meta(description="The heading of its table on the leaderboard; the dataset's own name where empty")] = ""
    licence: Annotated[str, Meta(description="The licence of the images and of the annotations")] = ""
    demonstration: Annotated[bool, Meta(description="Too small to compare models with: its table says so")] = False

    def absent(self, context: Context) -> str:
        """Why the dataset cannot be opened here and how to get it; empty where it can."""
        raise NotImplementedError

    def open(self, context: Context, fetched: Path | None = None) -> Images:
        """The images. `fetched` is the folder of a dataset whose images an action has made: fetched, or drawn.

        Raises StepFailed (with the text of `absent`), or `BadAnnotations`."""
        raise NotImplementedError

    def digests(self, context: Context) -> dict[str, str]:
        """name -> sha256 of every image that lies here."""
        return {name: digest for name, digest in self.open(context).digests(context).items() if digest != ABSENT}

    def said(self) -> dict[str, Any]:
        """What of it belongs to the protocol of a figure, beside its name and its images; empty where they say it all."""
        return {}

    def digest(self, context: Context) -> str:
        """What enters the key of an action that reads the dataset, beside what that action is given; "absent" where it is not here."""
        seen = _SEEN.get()
        if seen is None:
            return self._digest(context)
        asked = (id(self), id(context.environment), context.root)
        if asked not in seen:
            seen[asked] = (self, context.environment, self._digest(context))
        return seen[asked][2]

    def _digest(self, context: Context) -> str:
        return ABSENT if self.absent(context) else self.open(context).digest(context)

    def present(self, context: Context) -> None:
        """Raise StepFailed with the reason unless the dataset is there."""
        if reason := self.absent(context):
            raise StepFailed(f"the dataset is not here: {reason}")


@contextmanager
def at_one_moment() -> Iterator[None]:
    """Inside, in this thread, the digest of a dataset is found once: whoever asks about many actions at a time need not look at
    every file for each of them. What runs for long looks anew, since files change meanwhile."""
    token = _SEEN.set({})
    try:
        yield
    finally:
        _SEEN.reset(token)


def overlap(one: DatasetBase, other: DatasetBase, context: Context) -> list[str]:
    """The names in `one` of the images whose bytes are also in `other`, whatever they are called there.

    Both are present. What calibrates a model must have no overlap with what judges it."""
    there = set(other.digests(context).values())
    return [name for name, digest in one.digests(context).items() if digest in there]
