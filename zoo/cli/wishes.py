"""From a command line to a plan."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from zoo.cli.session import Session
from zoo.datasets import Coco
from zoo.engine.action import Action
from zoo.engine.execute import stored
from zoo.engine.joint import parts_on
from zoo.engine.plan import matching, plan
from zoo.engine.weights import train
from zoo.engine.wish import Plan, Wish
from zoo.errors import UsageError
from zoo.models import OnnxGraph
from zoo.recipe.composite import AnyRecipe, Composite
from zoo.recipe.model import Recipe
from zoo.recipe.origin import of_file
from zoo.recipe.overlaps import shared
from zoo.sources import LocalFile, Source
from zoo.sources.local import LocalFileEntry
from zoo.weights import MindSporeReader, OnnxReader, OpenVinoReader, PthReader, Reader


def actions_for(
    session: Session,
    recipes: Sequence[AnyRecipe],
    targets: Sequence[str],
    *,
    weights: str | None = None,
    rehearse: bool = False,
    accuracy: bool = False,
    latency: bool = False,
    end_to_end: bool = False,
    batches: Sequence[int] = (),
    shape: tuple[int, int] | None = None,
    instances: tuple[int, ...] = (1,),
    streams: tuple[int, ...] = (),
    images: str | None = None,
    labels: str | None = None,
    datasets: Sequence[str] = ("*",),
    limit: int | None = None,
    skip_bad_images: bool = False,
) -> list[Action]:
    """One plan for all `recipes`. Without `targets`: those whose backend is installed here.

    Raises UsageError where options contradict each other or name nothing."""
    if weights and len(recipes) != 1:
        raise UsageError("--weights is one model's file", "name one recipe")
    if weights and isinstance(recipes[0], Composite):
        several = "--weights is one network's file, and a pipeline has several"
        raise UsageError(several, f"name {' or '.join(part.name for part in recipes[0].parts.values())}")
    names = {name for recipe in recipes for evaluation in recipe.evaluate for name in evaluation.datasets}
    for glob in datasets:
        if glob != "*" and not images and not any(fnmatch.fnmatchcase(name, glob) for name in names):
            raise UsageError(f"no dataset is called {glob}", f"these recipes are judged on {', '.join(sorted(names)) or 'none'}")
    if bool(images) != bool(labels):
        raise UsageError("--images and --labels belong together", "name the folder of images and the COCO annotation file")
    dataset = Coco(images=str(Path(images).resolve()), annotations=str(Path(labels).resolve())) if images and labels else None
    together: dict[str, Action] = {}
    untrained = frozenset(name for recipe in recipes for name in untrained_of(session, recipe))
    for recipe in recipes:
        wish = Wish(
            targets=targets or usable(session, recipe),
            accuracy=accuracy,
            latency=latency,
            end_to_end=end_to_end,
            batches=batches,
            shape=shape,
            instances=instances,
            streams=streams,
            weights=own_file(recipe, weights) if weights and isinstance(recipe, Recipe) else None,
            rehearse=rehearse,
            untrained=untrained,
            dataset=dataset,
            datasets=datasets,
            limit=limit,
            skip_bad_images=skip_bad_images,
        )
        if accuracy:
            judged = {"the images of --images": dataset} if dataset else {n: session.place.declared.datasets[n] for n in sorted(names)}
            own = judged if dataset else {n: d for n, d in judged.items() if any(n in e.datasets for e in recipe.evaluate)}
            if common := shared(recipe, session.place.declared, own, session.context):
                raise UsageError(
                    f"{recipe.name}: " + "; ".join(common), "figures of a model that has seen the evaluation's images say nothing"
                )
        if batches:
            refuse_fixed(recipe, matching(recipe, wish.targets), batches)
        together.update((action.id, action) for action in plan(recipe, session.place, session.context, wish))
    return list(together.values())


def untrained_of(session: Session, recipe: AnyRecipe) -> Iterator[str]:
    """The networks of a recipe, and those that their training begins with, whose weights `zoo train` would make and has not made."""
    for network in session.place.networks(recipe):
        if network.train and network.train.initial and network.train.initial.recipe:
            yield from untrained_of(session, session.place.network(network.train.initial.recipe))
        if not network.weights:
            story = Plan(session.place)
            id = train(story, network, Wish())
            if id not in stored(list(story.actions.values()), session.store, session.context, session.code):
                yield network.name


def refuse_fixed(recipe: AnyRecipe, targets: Sequence[str], batches: Sequence[int]) -> None:
    """Raise UsageError where one of a network's targets is built for another batch than is asked for."""
    if isinstance(recipe, Composite):
        return  # it hands a network of a fixed batch whole batches, however many images it is given
    built = {name: recipe.fixed_batch(name) for name in targets}
    other = {name: fixed for name, fixed in built.items() if fixed and any(batch != fixed for batch in batches)}
    if not other:
        return
    free = [name for name, fixed in built.items() if not fixed]
    raise UsageError(
        f"asked for batch {', '.join(map(str, batches))}: "
        + "; ".join(f"{recipe.name}/{name} is built for batch {fixed} and takes no other" for name, fixed in other.items()),
        f"name the targets whose batch is free: {' '.join(f'--target {name}' for name in free)}"
        if free
        else "ask for that batch, or leave it free in the recipe: `batch` of the target, `dynamic` of the export",
    )


def usable(session: Session, recipe: AnyRecipe) -> list[str]:
    """The recipe's targets whose backends are installed; with none at all the plan says what is missing."""
    parts = {name: parts_on(recipe, name, session.place.declared).values() for name in recipe.targets}
    return [name for name in recipe.targets if not any(session.lacking(part.backend) for part in parts[name])] or list(recipe.targets)


def _own(recipe: Recipe) -> str:
    """Where a network's weights come from, in words."""
    return f"its own: {recipe.weights[0].describe()}" if recipe.weights else f"its own: those that `zoo train {recipe.name}` makes"


def own_file(recipe: Recipe, weights: str) -> Source:
    """The user's own checkpoint as a source, read as its ending says."""
    path = Path(weights).resolve()
    entries: tuple[LocalFileEntry, ...] = (LocalFileEntry(name=path.name, path=str(path)),)
    if path.suffix == ".xml":
        binary = path.with_suffix(".bin")
        entries += (LocalFileEntry(name=binary.name, path=str(binary)),)
    if (path.suffix == ".onnx") != isinstance(recipe.model, OnnxGraph):
        takes = (
            "is an ONNX file, and takes no other" if path.suffix != ".onnx" else "has weights of its own network, and takes no ONNX file"
        )
        raise UsageError(f"{path.name} is not for {recipe.name}: that {takes}", _own(recipe))
    declared = [source.reader for source in recipe.weights if source.reader]
    (terms,) = of_file(path).made_of
    readers: dict[str, type[OnnxReader | MindSporeReader]] = {".onnx": OnnxReader, ".ckpt": MindSporeReader}
    reader: Reader = readers.get(path.suffix, PthReader)(file=path.name)
    if path.suffix in {".xml", ".pb"}:
        known = next((r for r in declared if isinstance(r, OpenVinoReader)), None)
        if known is None:
            raise UsageError(f"{recipe.name} reads no {path.suffix} files", "its sources name none")
        reader = msgspec.structs.replace(known, file=path.name)
    return LocalFile(files=entries, reader=reader, substitute=f"own file {path.name}", licence=terms.licence, use=terms.use)
