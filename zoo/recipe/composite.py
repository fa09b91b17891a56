"""Recipes that are made of recipes: the record, the parts that it names, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from zoo.document import Document
from zoo.errors import Problem
from zoo.licence import joined, strictest, words
from zoo.pipelines import Pipeline
from zoo.pose.fits.box import Box
from zoo.recipe.faults import Fault, misnamed, protocols, unknown, unpaired
from zoo.recipe.model import Licences, Name, Protocol, Recipe, Workspace
from zoo.record import Record
from zoo.steps.reports import Published


class PipelineTarget(Record, frozen=True, kw_only=True):
    """What a pipeline changes about a target of zoo.yaml."""

    parts: Annotated[dict[str, str], Meta(description="role -> another target of that part, as in {hand: onnxruntime-fp32}")] = {}


class PipelineBenchmark(Record, frozen=True, kw_only=True):
    """On which images the whole way is timed."""

    dataset: Annotated[str, Meta(description="one of zoo.yaml's")]
    images: Annotated[int, Meta(description="how many of its images", ge=1)] = 4
    batches: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(description="other numbers of images a call than one to be timed at as well: what neighbouring images bring"),
    ] = ()


class PipelineRecipe(Record, frozen=True, kw_only=True):
    """Several recipes at work on one image, built, judged and timed as one."""

    format: Annotated[Literal[1], Meta(description="the version of this format")]
    name: Annotated[Name, Meta(description="the recipe's name: that of its file, without the ending")]
    title: Annotated[str, Meta(description="its name as people know it", min_length=1)]
    task: Annotated[Literal["body_pose", "body_hand_pose"], Meta(description="what is found; each task has its own tables")]
    paper: Annotated[str, Meta(description="where it is described")] = ""
    pipeline: Annotated[Pipeline, Meta(description="the recipes of its parts, and what lies between them")]
    targets: Annotated[dict[str, PipelineTarget | None], Meta(description="which of zoo.yaml's targets; every part has them", min_length=1)]
    evaluate: Annotated[tuple[Protocol, ...], Meta(description="the protocols in which its poses are judged")] = ()
    benchmark: Annotated[PipelineBenchmark, Meta(description="what the whole way is timed on")]
    published: Annotated[tuple[Published, ...], Meta(description="figures that others state, each with its protocol")] = ()


@dataclass(frozen=True)
class Composite:
    """A pipeline's recipe with the recipes of its parts."""

    declared: PipelineRecipe
    parts: Mapping[str, Recipe]
    """Role -> recipe, in the order in which they run."""

    @property
    def name(self) -> str:
        """Its own name."""
        return self.declared.name

    @property
    def title(self) -> str:
        """Its name as people know it."""
        return self.declared.title

    @property
    def task(self) -> str:
        """What is found."""
        return self.declared.task

    @property
    def paper(self) -> str:
        """Where it is described."""
        return self.declared.paper

    @property
    def published(self) -> tuple[Published, ...]:
        """Figures that others state."""
        return self.declared.published

    @property
    def evaluate(self) -> tuple[Protocol, ...]:
        """The protocols that its poses are judged in."""
        return self.declared.evaluate

    @property
    def licences(self) -> Licences:
        """Those of its parts, by role where they differ."""
        said = {role: part.licences for role, part in self.parts.items()}
        return Licences(
            weights=joined({role: words(one.weights, one.use) for role, one in said.items()}),
            code=joined({role: one.code for role, one in said.items()}),
            data=joined({role: one.data for role, one in said.items()}),
            use=strictest(one.use for one in said.values()),
        )

    @property
    def targets(self) -> Mapping[str, PipelineTarget | None]:
        """Its targets by name."""
        return self.declared.targets

    def target_of(self, target: str, role: str) -> str:
        """On which target a part runs when the whole runs on `target`."""
        options = self.declared.targets[target]
        return (options.parts if options else {}).get(role, target)


AnyRecipe = Recipe | Composite


def parts_of(recipe: AnyRecipe) -> Mapping[str, Recipe]:
    """Role -> recipe of one network; one that stands alone has the role ""."""
    return recipe.parts if isinstance(recipe, Composite) else {"": recipe}


def problems(document: Document, declared: PipelineRecipe, parts: Mapping[str, Recipe], workspace: Workspace) -> list[Problem]:
    """Every fault in how the parts fit each other and the workspace, each at its line."""
    found = [
        document.problem(path, message, key=len(path) > 1 and path[-2] in ("targets", "gates"))
        for path, message in _faults(declared, parts, workspace)
    ]
    return found + misnamed(document, declared.name)


def _faults(declared: PipelineRecipe, parts: Mapping[str, Recipe], workspace: Workspace) -> Iterator[Fault]:
    for role, recipe in parts.items():
        wanted = declared.pipeline.wants[role]
        if recipe.decode.skeleton != wanted:
            yield ("pipeline", role), f"{recipe.name} gives poses of {recipe.decode.skeleton}, this part is to give {wanted}"
        if (role in declared.pipeline.boxed) != isinstance(recipe.preprocess.fit, Box):
            given = "is given boxes" if role in declared.pipeline.boxed else "is given whole images"
            fit = type(recipe.preprocess.fit).__struct_config__.tag
            yield ("pipeline", role), f"this part {given}, and the fit of {recipe.name} is {fit}"
    for name, options in declared.targets.items():
        if name not in workspace.targets:
            yield ("targets", name), unknown("target", name, workspace.targets)
            continue
        others = options.parts if options else {}
        for role in others:
            # not `parts`: a recipe that has faults of its own is missing there
            if role not in declared.pipeline.parts:
                yield ("targets", name, "parts", role), unknown("part", role, declared.pipeline.parts)
        for role, recipe in parts.items():
            if (chosen := others.get(role, name)) not in recipe.targets:
                path = ("targets", name, "parts", role) if role in others else ("targets", name)
                yield path, f"{recipe.name}, the {role}: " + unknown("target", chosen, recipe.targets)
    if declared.benchmark.dataset not in workspace.datasets:
        yield ("benchmark", "dataset"), unknown("dataset", declared.benchmark.dataset, workspace.datasets)
    for role, recipe in parts.items():
        most = recipe.greatest_batch
        if any(batch > most for batch in declared.benchmark.batches):
            message = (
                f"{recipe.name}, the {role}, is built for at most {most} inputs a call: its own `benchmark: {{batches: ...}}` says more"
            )
            yield ("benchmark", "batches"), message
    yield from protocols(enumerate(declared.evaluate), workspace)
    yield from unpaired(declared.evaluate)
