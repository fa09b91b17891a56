"""`zoo show`"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.cli.session import Session
    from zoo.recipe.composite import AnyRecipe
    from zoo.recipe.model import Protocol, Recipe
    from zoo.record import Record

Lines = Iterator[tuple[str, str]]


@click.command("show")
@click.argument("name", metavar="RECIPE")
@options.as_json
@options.workspace
def command(name: str, as_json: bool, workspace: str | None, verbose: bool) -> int:
    """One recipe in full: licences, weights, targets, protocols, published figures."""
    from zoo.cli.session import Session
    from zoo.recipe.composite import Composite, parts_of
    from zoo.record import canonical

    session = Session.open(workspace, verbose=verbose)
    (recipe,) = session.recipes([name], everything=False)
    if as_json:
        click.echo(canonical(recipe.declared if isinstance(recipe, Composite) else recipe).decode())
        return 0
    from zoo.cli.console import print_table

    rows = [(recipe.name, recipe.title), *_head(session, recipe)]
    for role, network in parts_of(recipe).items():
        rows += [(f"{role}: {label}" if role else label, text) for label, text in _network(role, network)]
    rows += _targets(session, recipe)
    for protocol in recipe.evaluate:
        rows += _protocol(session, recipe, protocol)
    rows += [("published", f"{figure.metric} {figure.value:g} ({figure.protocol}; {figure.source})") for figure in recipe.published]
    print_table((), rows, bold=(0,))
    return 0


def _head(session: Session, recipe: AnyRecipe) -> Lines:
    """What is found, and under which terms."""
    from zoo.recipe.composite import Composite
    from zoo.recipe.origin import of_recipe

    yield "task", recipe.task
    if isinstance(recipe, Composite):
        yield "pipeline", said(recipe.declared.pipeline)
    if recipe.paper:
        yield "paper", recipe.paper
    for part in ("weights", "code", "data"):
        yield f"licence: {part}", getattr(recipe.licences, part)
    chains = of_recipe(recipe, session.place).chains()
    yield "commercial use", f"not allowed: {'; '.join(chains)}" if chains else "the recipe states nothing against it"


def _network(role: str, network: Recipe) -> Lines:
    """One network: its weights, what it is, what it is shown."""
    from zoo.cli.console import counted

    if role:
        yield "recipe", f"{network.name}, {network.title}"
    for source in network.weights:
        what = f"substitute: {source.substitute}" if source.substitute else "official"
        yield "weights", f"{source.describe()} ({what})"
    count = network.model.keypoints
    finds = counted(count, "keypoint") if count else "people as boxes"
    yield "model", f"{said(network.model, 'keypoints', 'stride')}, {finds}, stride {network.model.stride}"
    shape = " x ".join(map(str, network.export.shape))
    yield "input", f"{shape}; {said(network.preprocess.fit)}, {network.preprocess.colour}, {network.preprocess.order}"
    if calibration := network.calibration:
        boxes = f", boxes {said(calibration.boxes)}" if calibration.boxes else ""
        yield "calibration", f"{counted(calibration.images, 'image')} of {calibration.dataset}{boxes}, {said(calibration.method)}"


def _targets(session: Session, recipe: AnyRecipe) -> Lines:
    from zoo.engine.joint import options_on, parts_on

    workspace = session.place.declared
    for target in recipe.targets:
        kept = [name for options in options_on(recipe, target) if options for name in options.keep]
        missing = next(filter(None, (part.backend.available() for part in parts_on(recipe, target, workspace).values())), "")
        in_float = f", in float: {' '.join(kept)}" if kept else ""
        words = f"{target} ({workspace.targets[target].precision}{in_float})"
        yield "target", words + (f" - not here: {missing}" if missing else "")


def _protocol(session: Session, recipe: AnyRecipe, protocol: Protocol) -> Lines:
    """A protocol: what it is called, how people are looked at in it, and the datasets that are here."""
    from zoo.pose.fits.box import Box
    from zoo.recipe.model import Evaluation, Recipe

    yield "protocol", f"{protocol.protocol}: {protocol.title}"
    boxes = protocol.boxes if isinstance(protocol, Evaluation) else None
    if isinstance(recipe, Recipe) and isinstance(protocol, Evaluation):
        fit, flip = protocol.fit or recipe.preprocess.fit, recipe.flip if protocol.flip is None else protocol.flip
        own = [said(one) for one in (protocol.fit, protocol.decode) if one]
        own += [f"{name} {list(value)}" for name in ("scales", "turns") if (value := getattr(protocol, name))]
        if own:
            yield "", "; ".join(own)
        if boxes and isinstance(fit, Box):
            people = protocol.people or recipe.people
            doubles = {"none": "doubles stay", "oks": f"doubles dropped over OKS {people.threshold:g}"}.get(people.nms, people.nms)
            yield "", f"boxes {said(boxes)}; {'flip test' if flip else 'no flip'}; people scored by {people.score}, {doubles}"
    yield "", f"judged by {said(protocol.metric)}" + (f", held against {protocol.against}" if protocol.against else "")
    for name in protocol.datasets:
        dataset = session.place.declared.datasets[name]
        absent = dataset.absent(session.context) or (boxes.lacking(dataset, session.context) if boxes else "")
        gates = ", ".join(f"{figure} at least {least:g}" for figure, least in protocol.gates.get(name, {}).items())
        yield "", f"on {name}" + (f", {gates}" if gates else "") + (f" - not here: {absent}" if absent else "")


def said(choice: Record, *without: str) -> str:
    """A choice (or a record) in a recipe's own words: its type, and in brackets what differs from the defaults, but for `without`."""
    import msgspec

    values = ((field, getattr(choice, field.name)) for field in msgspec.structs.fields(choice) if field.name not in without)
    fields = [f"{field.name} {_value(value)}" for field, value in values if field.required or value != field.default]
    words = [str(tag)] if (tag := choice.__struct_config__.tag) else []
    return " ".join([*words, *([f"({', '.join(fields)})"] if fields else [])])


def _value(value: Any) -> str:
    from zoo.record import Record

    if isinstance(value, Record):
        return said(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(one)}" for key, one in value.items())
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
