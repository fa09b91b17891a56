"""Where a network's weights come from: the user's own file, the recipe's sources, or training."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from zoo.engine.action import Action
from zoo.engine.wish import Plan, Wish
from zoo.models import OnnxGraph
from zoo.recipe.model import Recipe
from zoo.steps.fetch import FetchWeights
from zoo.steps.train import TrainNetwork
from zoo.training.train import Train


def weights(story: Plan, recipe: Recipe, wish: Wish) -> str:
    """The action whose artifact holds the weights."""
    if recipe.weights or wish.weights or (wish.rehearse and recipe.name in wish.untrained):
        return fetch(story, recipe, wish)
    return train(story, recipe, wish)


def fetch(story: Plan, recipe: Recipe, wish: Wish) -> str:
    """The weights: the recipe's sources, or the user's own file."""
    sources = (wish.weights,) if wish.weights else recipe.weights
    terms = recipe.licences
    step = FetchWeights(owner=recipe.name, sources=sources, licence=terms.weights, use=terms.use, rehearse=wish.rehearse)
    return story.add(Action(f"{recipe.name}/fetch", step))


def train(story: Plan, recipe: Recipe, wish: Wish) -> str:
    """The weights that `zoo train` makes, after those that they begin with, of a recipe that says how."""
    task = recipe.train
    if task is None or isinstance(recipe.model, OnnxGraph):
        raise AssertionError("a recipe without weights that says nothing of training, which its checks refuse")
    dataset = story.workspace.datasets[wish.learnt or task.dataset]
    reads: dict[str, str] = {} if recipe.name in wish.untrained else story.photos(dataset)
    if task.initial and recipe.name not in wish.untrained:
        reads |= {"initial": initial(story, recipe, task, replace(wish, weights=None))}
    step = TrainNetwork(
        owner=recipe.name,
        model=recipe.model,
        task=bare(task),
        # reworded, it is no other dataset
        dataset=msgspec.structs.replace(dataset, title="", licence=""),
        preprocess=recipe.preprocess,
        licence=recipe.licences.weights,
        use=recipe.licences.use,
        steps=wish.steps,
    )
    return story.add(Action(f"{recipe.name}/train", step, reads))


def initial(story: Plan, recipe: Recipe, task: Train, wish: Wish) -> str:
    """The weights that training begins with: another recipe's, or files."""
    assert task.initial is not None
    if task.initial.recipe:
        return weights(story, story.place.network(task.initial.recipe), wish)
    terms = recipe.licences
    step = FetchWeights(owner=recipe.name, sources=task.initial.sources, licence=terms.weights, use=terms.use, rehearse=wish.rehearse)
    return story.add(Action(f"{recipe.name}/initial", step))


def bare(task: Train) -> Train:
    """Without what changes nothing about the weights: how they are looked at and saved meanwhile, what the dataset is called, and where
    the weights to begin with, which are read as they are, come from."""
    initial = task.initial and msgspec.structs.replace(task.initial, sources=(), recipe="")
    return msgspec.structs.replace(task, dataset="", validation=None, checkpoint=1, initial=initial)
