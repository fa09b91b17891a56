"""A tree in COCO's layout: a folder of images and one annotation file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from zoo.context import Context
from zoo.datasets.images import BadAnnotations, DatasetBase, Images, Sample
from zoo.errors import StepFailed
from zoo.large import read_large


class Coco(DatasetBase, frozen=True, kw_only=True, tag="coco"):
    """Images with annotations in COCO's format."""

    images: Annotated[str, Meta(description="The folder of the images, for instance $ZOO_COCO/val2017")]
    annotations: Annotated[str, Meta(description="The annotation file, for instance $ZOO_COCO/annotations/person_keypoints_val2017.json")]
    detections: Annotated[
        dict[str, str],
        Meta(description="Name -> a file of COCO detections on these images: what `boxes: {type: detections}` names"),
    ] = {}
    omit: Annotated[
        tuple[int, ...], Meta(description="Ids of images that are left out, for instance since not everyone in them is annotated")
    ] = ()

    def absent(self, context: Context) -> str:
        try:
            images, annotations = context.path(self.images), context.path(self.annotations)
        except StepFailed as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        if not images.is_dir():
            return f"no folder {images} (declared as {self.images})"
        if not annotations.is_file():
            return f"no file {annotations} (declared as {self.annotations})"
        return ""

    def open(self, context: Context, fetched: Path | None = None) -> Images:
        """The images that the annotation file lists, without those to `omit`, and no others that lie in the folder.

        Raises `BadAnnotations` where one that shall be left out is not listed, or none is left."""
        self.present(context)
        file = context.path(self.annotations)
        images = annotated(context.path(self.images), file)
        if unknown := set(self.omit).difference(images.ids):
            raise BadAnnotations(f"{file}: the images to omit are not all listed: {', '.join(map(str, sorted(unknown)))}")
        left = tuple(sample for sample in images.samples if sample.id not in self.omit)
        if not left:
            raise BadAnnotations(f"{file}: all images are omitted", "leave `omit` away")
        return replace(images, samples=left)


class _Image(msgspec.Struct):
    id: int
    file_name: str


class _Annotation(msgspec.Struct):
    id: int
    image_id: int


class _File(msgspec.Struct):
    """What is read of an annotation file here; the decoder skips the rest, so val2017 takes a tenth of a second."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[msgspec.Raw]


def annotated(folder: Path, file: Path) -> Images:
    """The images in `folder` that the COCO annotations `file` lists, by id.

    Raises `BadAnnotations` where it is no JSON, lacks what it must have, or contradicts itself."""
    hint = "expected COCO's keypoint annotations: images (id, file_name), annotations (id, image_id, ...), categories"
    try:
        content = msgspec.json.decode(read_large(file), type=_File)
    except OSError as error:
        raise BadAnnotations(f"{file}: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise BadAnnotations(f"{file}: {error}", hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnnotations(f"{file} is not JSON: {error}", hint) from error
    by_id: dict[int, _Image] = {}
    names: set[str] = set()
    for image in content.images:
        if image.id in by_id:
            raise BadAnnotations(f"{file}: two images have the id {image.id}: {by_id[image.id].file_name} and {image.file_name}")
        if image.file_name in names:
            raise BadAnnotations(f"{file}: the image {image.file_name} is listed twice")
        by_id[image.id] = image
        names.add(image.file_name)
    if not by_id:
        raise BadAnnotations(f"{file}: no images", hint)
    for annotation in content.annotations:
        if annotation.image_id not in by_id:
            raise BadAnnotations(f"{file}: annotation {annotation.id} belongs to image {annotation.image_id}, which is not listed")
    return Images(tuple(Sample(id, folder / by_id[id].file_name, by_id[id].file_name) for id in sorted(by_id)), file)
