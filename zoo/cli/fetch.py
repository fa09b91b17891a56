"""`zoo fetch`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.licence import Purpose, words


@click.command("fetch")
@options.recipes
@click.option("--offline", is_flag=True, help="Use only mirrors and what is in the store.")
@options.licence
@click.option("--pin", is_flag=True, help="Write the sha256 of every file that came into recipes/weights.lock.")
@click.option("--again", is_flag=True, help="Fetch again, whatever the store knows.")
@options.as_json
@options.workspace
def command(
    names: Sequence[str],
    everything: bool,
    offline: bool,
    licence: Purpose | None,
    pin: bool,
    again: bool,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Get the weights of recipes and say where they came from: their own, those of a pipeline's parts, and those of the
    detectors on whose boxes they are judged.

    Mirrors of zoo.yaml are searched by digest before any network. A file without a published digest is pinned here
    once, and from then on only that file is accepted.
    """
    import msgspec

    from zoo.cli.session import Session, exit_code, relative
    from zoo.engine.weights import fetch as planned
    from zoo.engine.wish import Plan, Wish
    from zoo.sources.lock import pin as write_lock
    from zoo.steps.provenance import Provenance

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    recipes = session.permitted(names, everything)
    story = Plan(session.place)
    ids = {network.name: planned(story, network, Wish()) for recipe in recipes for network in session.place.networks(recipe)}
    outcomes = session.carry_out(list(story.actions.values()), jobs=1, again=lambda _: again, fail_fast=False, quiet=as_json)
    rows = []
    for name, action in ids.items():
        artifact = outcomes[action].artifact
        if artifact is None:
            continue
        provenance = Provenance.read(artifact.path)
        rows.append({"recipe": name, "folder": relative(artifact.path), **msgspec.to_builtins(provenance)})
        if not as_json:
            click.echo(f"{name}: {provenance.source}" + (f" ({provenance.substitute})" if provenance.substitute else ""))
            click.echo(f"  licence: {words(provenance.licence, provenance.use)}")
            for file, digest in sorted(provenance.files.items()):
                click.echo(f"  {digest}  {file}")
        if pin:
            for file, (before, after) in write_lock(session.place.lock, name, provenance.files).items():
                click.echo(f"pinned {file}: {f'{before} -> ' if before else ''}{after}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
    return exit_code(list(outcomes.values()))
