"""`zoo gc`"""

from __future__ import annotations

import click

from zoo.cli import options


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--unfinished", is_flag=True, help="Also the checkpoints of trainings that were stopped: they could not go on.")
@options.workspace
def command(dry_run: bool, unfinished: bool, workspace: str | None, verbose: bool) -> int:
    """Remove from the store what no recipe needs.

    Kept is what today's recipes, code and datasets would use, and all weights that were trained to the end; the rest can be
    made again.
    """
    from dataclasses import replace

    from zoo.cli.session import Session
    from zoo.engine.execute import keys_in_use
    from zoo.engine.plan import plan
    from zoo.engine.wish import Wish

    session = Session.open(workspace, verbose=verbose)
    recipes = session.recipes((), everything=True)
    everything = Wish(accuracy=True, latency=True, end_to_end=True)
    wishes = (everything, replace(everything, rehearse=True))
    keep: set[str] = set()
    for recipe in recipes:
        for wish in wishes:
            keep |= keys_in_use(plan(recipe, session.place, session.context, wish), session.store, session.context, session.code)
    for key, done in session.store.records().items():
        if done.step.get("type") == "train" and done.step.get("steps") is None:
            keep.add(key)
    session.store.sweep()
    count, size = session.store.collect(keep, dry=dry_run, guarded=unfinished)
    click.echo(f"{'would remove' if dry_run else 'removed'} {count} actions and artifacts, {size / 1e6:.1f} MB; kept {len(keep)} actions")
    return 0
