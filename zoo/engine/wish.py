"""What is asked for, and the list of actions that grows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.boxes import Boxes
from zoo.context import Context
from zoo.datasets import Dataset, Photos, StickPeople
from zoo.engine.action import Action
from zoo.recipe.model import Recipe, Workspace
from zoo.recipe.workspace import Place
from zoo.sources import Source
from zoo.steps.fetch import FetchPhotos
from zoo.steps.render import RenderPeople


@dataclass(frozen=True)
class Wish:
    """What the user asked for, beside the recipe itself."""

    targets: Sequence[str] = ("*",)
    """Globs over the names of targets."""
    accuracy: bool = False
    latency: bool = False
    end_to_end: bool = False
    """The whole way from files to poses."""
    batches: Sequence[int] = ()
    """Images a call to time at, instead of the recipe's own."""
    shape: tuple[int, int] | None = None
    """Height and width to time a network at, instead of the recipe's own."""
    instances: tuple[int, ...] = (1,)
    """Copies of a network to measure throughput with."""
    streams: tuple[int, ...] = ()
    """Calls in flight of each copy there; none: swept."""
    weights: Source | None = None
    """A file of the user's own instead of the recipe's sources."""
    rehearse: bool = False
    untrained: frozenset[str] = frozenset()
    """Recipes whose weights `zoo train` would make and has not made: seeded where `rehearse`, refused otherwise before anything that
    training would read is made."""
    learnt: str = ""
    """Another dataset of zoo.yaml's to be trained on than the recipe's."""
    steps: int | None = None
    """Training stops after so many steps."""
    dataset: Dataset | None = None
    """Images and labels of the user's own instead of the recipe's datasets."""
    datasets: Sequence[str] = ("*",)
    """Globs over the names of the recipe's datasets."""
    limit: int | None = None
    skip_bad_images: bool = False
    assume: bool = False
    """Plan with every dataset and every backend, present or not: what the recipe says, wherever it is read."""


@dataclass
class Plan:
    """An ordered list of actions, each after those that it reads; adding one twice leaves one."""

    place: Place
    actions: dict[str, Action] = field(default_factory=dict)
    detectors: dict[str, Recipe] = field(default_factory=dict)
    looked: dict[tuple[int, int], tuple[Dataset, Boxes | None, bool]] = field(default_factory=dict)
    """What was found here, by the identities of a dataset and of the boxes that were wanted on it."""

    @property
    def workspace(self) -> Workspace:
        """What all recipes share."""
        return self.place.declared

    def add(self, action: Action) -> str:
        """Enter `action` and return its id."""
        self.actions.setdefault(action.id, action)
        return action.id

    def detector(self, name: str) -> Recipe:
        """The recipe that finds boxes, as it stands when the plan is made."""
        if name not in self.detectors:
            self.detectors[name] = self.place.network(name)
        return self.detectors[name]

    def here(self, dataset: Dataset, boxes: Boxes | None, context: Context, wish: Wish) -> bool:
        """Whether images are present, and boxes on them where those are asked for; looked for once a plan."""
        if wish.assume:
            return True
        known = self.looked.get((id(dataset), id(boxes)))
        if known is None:
            present = not (dataset.absent(context) or (boxes and boxes.lacking(dataset, context)))
            known = self.looked[id(dataset), id(boxes)] = (dataset, boxes, present)
        return known[2]

    def photos(self, dataset: Dataset) -> dict[str, str]:
        """What an action reads beside its model where another action makes the images: fetches them like weights, or draws them."""
        owner = f"photos/{self.named(dataset)}"
        if isinstance(dataset, Photos):
            return {"photos": self.add(Action(f"{owner}/fetch", FetchPhotos(owner=owner, sources=dataset.sources)))}
        if isinstance(dataset, StickPeople):
            step = RenderPeople(scenes=dataset.scenes, seed=dataset.seed, drawing=dataset.drawing, version=dataset.version)
            return {"photos": self.add(Action(f"{owner}/render", step))}
        return {}

    def named(self, dataset: Dataset) -> str:
        """What zoo.yaml calls a dataset; "own" for one that the user has named."""
        return next((name for name, known in self.workspace.datasets.items() if known == dataset), "own")
