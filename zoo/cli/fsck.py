"""`zoo fsck`"""

from __future__ import annotations

import click

from zoo.cli import options


@click.command("fsck")
@click.option("--repair", is_flag=True, help="Take faulty ones out; they are made again when they are needed.")
@options.workspace
def command(repair: bool, workspace: str | None, verbose: bool) -> int:
    """Check everything in the store against its digest; exit 1 where something differs."""
    from zoo.cli.session import Session, relative
    from zoo.errors import Findings

    session = Session.open(workspace, verbose=verbose)
    faults = list(session.store.verify())
    for path, fault in faults:
        click.echo(f"{relative(path)}: {fault}" + (" - taken out" if repair else ""))
        if repair:
            session.store.discard(path)
    click.echo(f"{len(faults)} faults" if faults else "the store is sound")
    return Findings.exit_code if faults and not repair else 0
