"""What networks find on many images, for several protocols in one pass: an image is read once, and protocols that show the network
the same share what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample, called_together
from zoo.errors import Cancelled, ZooError
from zoo.faults import naming
from zoo.journal import Journal
from zoo.pipelines import Pipeline
from zoo.pipelines.estimator import Estimator, Image, PoseModel
from zoo.pose.geometry import View
from zoo.pose.keypoints import Poses
from zoo.steps.part import Part, images_together, joined, layouts_of, opened_all
from zoo.stream import Layout, Reopened, Settled, streamed

Found = list[dict[str, Any]]
"""What is judged of an image."""
Seen = dict[tuple[Any, int], list[View]]
"""What the network said, by how it was shown which image."""


@dataclass(eq=False)
class Way:
    """One protocol: how images become poses, and where they are written down."""

    parts: Mapping[str, Part]
    pipeline: Pipeline | None
    people: Mapping[int, Poses] | None
    """Whom a network that looks at boxes is shown, by image."""
    judged: Callable[[Poses, str, int], Found]
    """(poses, skeleton, image id) -> what is judged of them."""
    journal: Journal
    """Image id -> what is judged; None of an image that was passed over. What a run before this one has written is not run again."""
    known: set[int] = field(init=False)
    computed_in: str = ""
    error: Exception | None = None
    """Why it was given up while the others went on."""

    def __post_init__(self) -> None:
        self.known = {id for id, _ in self.journal}


class Opened:
    """The model of each way; all stand on the same networks, which are opened once."""

    def __init__(self, compiled: Path, ways: Sequence[Way], context: Context, batch: int, streams: int) -> None:
        with ExitStack() as stack:
            runners = opened_all(compiled, ways[0].parts, context, stack, streams)
            self.models = [joined(compiled, way.parts, way.pipeline, runners, batch=batch) for way in ways]
            self.close = stack.pop_all().close


def find(compiled: Path, images: Images, ways: Sequence[Way], context: Context, *, what: str, skip: bool) -> None:
    """Write into the journal of each way what it finds on each image.

    A way that fails on an image is given up (`Way.error`) and the others go on; where an image cannot be read, all are. `skip`: such
    images are passed over instead. Raises Cancelled."""
    left = [sample for sample in images.samples if any(sample.id not in way.known for way in ways)]
    together, total = images_together(ways[0].parts), len(images.samples)
    chunks = [left[start : start + together] for start in range(0, len(left), together)]
    settled: list[Settled] = []

    def opening(layout: Layout) -> Opened:
        return Opened(compiled, ways, context, together, layout.streams)

    with Reopened(opening) as opened:

        def serving(layout: Layout) -> Callable[[Sequence[Sample]], list[dict[int, Found | None] | Exception]]:
            models = opened(layout).models
            return lambda chunk: _found(ways, models, images, chunk, skip)

        tried = layouts_of(ways[0].parts, context)
        results = streamed(chunks, serving, tried, context=context, told=settled.append, weight=len, named=called_together)
        done = total - len(left)
        context.report(what, done, total, "images")
        with closing(results):
            for found in results:
                for way, of_way in zip(ways, found, strict=True):
                    if isinstance(of_way, Exception):
                        way.error = way.error or of_way
                    elif way.error is None:
                        for id, value in of_way.items():
                            way.journal.add(id, value)
                if all(way.error for way in ways):
                    return
                done = min(done + together, total)
                context.report(what, done, total, "images")
        for way, model in zip(ways, opened(settled[0].layout).models, strict=True):
            way.computed_in = model.computed_in


def _found(
    ways: Sequence[Way], models: Sequence[PoseModel], images: Images, chunk: Sequence[Sample], skip: bool
) -> list[dict[int, Found | None] | Exception]:
    """Of each way what is judged of a few images that it does not know yet, by id (None where one is passed over), or why it fails."""
    read: dict[int, Image] = {}
    for sample in chunk:
        try:
            read[sample.id] = images.read(sample)
        except BadImage as error:
            if not skip:
                return [error] * len(ways)
    seen: Seen = {}
    found: list[dict[int, Found | None] | Exception] = []
    for way, model in zip(ways, models, strict=True):
        new = [] if way.error else [sample for sample in chunk if sample.id not in way.known]
        try:
            judged = _judged(way, model, {sample.name: (sample.id, read[sample.id]) for sample in new if sample.id in read}, seen, skip)
        except ZooError as error:  # of one way: the others go on, and whoever takes the results tells it
            if isinstance(error, Cancelled):
                raise
            found.append(error)
        else:
            found.append({sample.id: judged.get(sample.id) for sample in new})
    return found


def _judged(way: Way, model: PoseModel, images: Mapping[str, tuple[int, Image]], seen: Seen, skip: bool) -> dict[int, Found]:
    """What is judged of images, by id. One on which this fails is named, or with `skip` left out."""
    try:
        poses = _poses(way, model, dict(images.values()), seen)
        return {id: way.judged(one, model.skeleton.name, id) for (id, _), one in zip(images.values(), poses, strict=True)}
    except Cancelled:
        raise
    except Exception as error:  # whatever a decoder raises
        if len(images) > 1:
            apart = [_judged(way, model, {name: one}, seen, skip) for name, one in images.items()]
            return {id: found for one in apart for id, found in one.items()}
        if skip:
            return {}
        (name,) = images
        raise naming(error, name) from error


def _poses(way: Way, model: PoseModel, images: Mapping[int, Image], seen: Seen) -> list[Poses]:
    """The people of each image, with what the network has said of it already."""
    if way.people is not None:
        return model.many(list(images.values()), boxes=[way.people[id] for id in images])
    if not isinstance(model, Estimator):
        return model.many(list(images.values()))
    poses = []
    for id, image in images.items():
        shown = (model.looks, id)
        if shown not in seen:
            (seen[shown],) = model.look([image])
        poses.append(model.read(seen[shown]))
    return poses
