"""What `zoo predict` reads and writes: images in, files of poses out, each whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample
from zoo.errors import UsageError
from zoo.files import write_bytes, write_text
from zoo.formats import FORMATS, Prediction
from zoo.pipelines.estimator import Image, PoseModel
from zoo.pose.draw import draw
from zoo.pose.keypoints import Poses

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
ALIKE = 4
"""Images in hand at once, in calls' worth: those of one shape among them share calls."""


def gathered(paths: Sequence[Path], output: Path) -> tuple[Sample, ...]:
    """The images that `paths` name: files as they are, of folders all that end like images, in order of their names.

    Each is called by its path within what was named. What lies in the `output` is passed over.
    Raises UsageError where there are none, or two would be called alike."""
    found: dict[Path, str] = {}
    for path in paths:
        if path.is_file():
            found.setdefault(path, path.name)
            continue
        inside = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in ENDINGS and file.is_file()]
        found |= {file: file.relative_to(path).as_posix() for file in inside if not file.resolve().is_relative_to(output.resolve())}
    if not found:
        raise UsageError(f"there are no images in {', '.join(map(str, paths))}", f"images end in {', '.join(sorted(ENDINGS))}")
    twice = [name for name, count in Counter(found.values()).items() if count > 1]
    if twice:
        where = ", ".join(str(path) for path, name in found.items() if name == twice[0])
        raise UsageError(f"two images are called {twice[0]}: {where}", "name the folder that holds both, or save to two folders")
    return tuple(Sample(index, path, name) for index, (path, name) in enumerate(found.items()))


@dataclass
class Writer:
    """Writes predictions into a folder, those of single images as they come and what holds all of them at the end."""

    folder: Path
    formats: Sequence[str]
    draw: bool = False
    people: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    """The images that were passed over, and why."""

    def write_all(self, model: PoseModel, samples: Sequence[Sample], batch: int, context: Context) -> None:
        """Run `model` over the images and write everything. Raises Cancelled where the run is stopped: what is there is whole."""
        images = Images(tuple(samples))
        stems = Counter(Path(sample.name).with_suffix("") for sample in samples)
        together: list[Prediction] = []
        pending: list[tuple[Sample, Image]] = []
        tracked = context.track(samples, "finding people", len(samples))
        for sample in tracked:
            try:
                pending.append((sample, images.read(sample)))
            except BadImage as error:
                self.bad.append((sample.name, error.message))
            if len(pending) == (batch * ALIKE if batch > 1 else 1):
                together += self._write(model, pending, stems)
                pending = []
        together += self._write(model, pending, stems)
        for name in self.formats:
            if FORMATS[name].TOGETHER:
                write_text(self._file(f"predictions{FORMATS[name].SUFFIX}"), FORMATS[name].write(together))

    def _write(self, model: PoseModel, pending: Sequence[tuple[Sample, Image]], stems: Counter[Path]) -> list[Prediction]:
        """The files of single images."""
        found = []
        poses_of = model.many([image for _, image in pending]) if pending else []
        for (sample, image), poses in zip(pending, poses_of, strict=True):
            prediction = Prediction(sample.name, (image.shape[1], image.shape[0]), model.skeleton.name, poses)
            self.people += len(poses)
            found.append(prediction)
            stem = Path(sample.name).with_suffix("")
            # a.jpg and a.png beside each other keep their endings, so that neither overwrites the other's file
            called = str(stem) if stems[stem] == 1 else sample.name
            for name in self.formats:
                if not FORMATS[name].TOGETHER:
                    write_text(self._file(called + FORMATS[name].SUFFIX), FORMATS[name].write([prediction]))
            if self.draw:
                write_bytes(self._file(f"drawn/{called}.jpg"), drawn(image, poses, model))
        return found

    def _file(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def drawn(image: Image, poses: Poses, model: PoseModel) -> bytes:
    """The image with its poses, as a JPEG file."""
    import cv2

    return bytes(cv2.imencode(".jpg", draw(image, poses, model.skeleton), [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
