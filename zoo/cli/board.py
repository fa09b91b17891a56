"""`zoo board`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.board.rows import Row
    from zoo.board.tables import Table
    from zoo.cli.session import Session
    from zoo.engine.plan import Definitions


@click.command("board")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where LEADERBOARD.md is not what the results give.")
@click.option(
    "--current", "current", multiple=True, metavar="RECIPE", help="Exit 1 where a figure of this recipe is outdated (repeatable)."
)
@options.as_json
@options.workspace
def command(check: bool, current: tuple[str, ...], as_json: bool, workspace: str | None, verbose: bool) -> int:
    """Write LEADERBOARD.md from results/.

    A row is marked "outdated" where recipe, lock or code have changed since it was measured: `zoo eval` measures it
    again. Nothing is run for this, so it works on any machine.
    """
    import msgspec

    from zoo.board.tables import to_json
    from zoo.cli.session import Session, relative
    from zoo.engine.plan import Definitions
    from zoo.errors import Findings

    session = Session.open(workspace, verbose=verbose)
    definitions = Definitions(session.place, session.context, session.code)
    found = board_rows(session, definitions)
    session.code.save()
    if as_json:
        click.echo(msgspec.json.encode(to_json(all_tables(session, found))).decode())
        return 0
    outdated = sorted({row.result.name for row in found if row.outdated and row.result.recipe in current})
    for name in outdated:
        click.echo(f"{name} is outdated: `zoo eval {name.partition('/')[0]}` measures it again")
    stale = False
    if check:
        path = session.place.board
        stale = not path.is_file() or path.read_text(encoding="utf-8") != text(session, found)
        if stale:
            click.echo(f"{relative(path)} is stale: run `zoo board`")
    else:
        click.echo(f"wrote {relative(write_board(session, found))}: {len(found)} rows")
    return Findings.exit_code if stale or outdated else 0


def board_rows(session: Session, definitions: Definitions) -> list[Row]:
    """The rows of all results, each knowing whether it is outdated."""
    from zoo.board.results import load
    from zoo.board.rows import rows

    declared: dict[str, str] = {}
    for recipe in session.recipes((), everything=True):
        declared |= definitions.of(recipe)
    return rows(load(session.place.results), declared)


def all_tables(session: Session, rows: Sequence[Row]) -> list[Table]:
    """The tables of figures, then those of batches."""
    from zoo.board.batches import batch_tables
    from zoo.board.tables import tables

    return [*tables(rows, session.place.declared.columns), *batch_tables(rows)]


def text(session: Session, rows: Sequence[Row]) -> str:
    """LEADERBOARD.md as the rows of all results give it."""
    from zoo.board.markdown import markdown

    return markdown(all_tables(session, rows))


def write_board(session: Session, rows: Sequence[Row]) -> Path:
    """Write LEADERBOARD.md, whole or not at all."""
    from zoo.cli.session import write_changed

    path = session.place.board
    write_changed(path, text(session, rows).encode())
    return path
