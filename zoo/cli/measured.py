"""What `eval` and `bench` say and write at their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
import msgspec

from zoo.board.batches import batch_tables
from zoo.board.results import Result, encode
from zoo.board.rows import rows
from zoo.board.tables import Table, tables
from zoo.cli.board import board_rows, write_board
from zoo.cli.results import results_of, write_results
from zoo.cli.session import Session, relative
from zoo.cli.settings import HEADER, lines
from zoo.engine.execute import Outcome
from zoo.engine.plan import Definitions
from zoo.recipe.composite import AnyRecipe

FIGURES = ("AP", "AP50", "AR", "PCK", "AUC", "EPE", "missing")
SHOWN = (
    "model",
    "target",
    "precision",
    "computed_in",
    *FIGURES,
    "difference",
    "ceiling",
    "of_ceiling",
    "network",
    "end_to_end",
    "kept",
    "p50",
    "p99",
    "memory",
    "parity",
)
TIMED = ("model", "target", "batch", "precision", "computed_in", "network", "whole", "share", "p50", "p99", "memory", "parity")


def tell(
    session: Session,
    recipes: Sequence[AnyRecipe],
    targets: Sequence[str],
    outcomes: Mapping[str, Outcome],
    *,
    as_json: bool,
    publish: bool,
    by_batch: bool = False,
) -> None:
    """Print the tables of this run on `targets` (globs, as they were given), or with `by_batch` a line for each timing; with
    `publish`, write results/ and LEADERBOARD.md."""
    definitions = Definitions(session.place, session.context, session.code)
    results = [result for recipe in recipes for result in results_of(session, recipe, targets, outcomes, definitions)]
    if publish:
        paths = write_results(session, results)
        board = write_board(session, board_rows(session, definitions))
        click.echo(f"wrote {len(paths)} results and {relative(board)}", err=True)
    session.code.save()
    if as_json:
        click.echo("[" + ",".join(encode(result).decode() for result in results) + "]")
    elif by_batch:
        show(tables(rows([timed for result in results for timed in timings_of(result)]), TIMED))
        show_settings(results)
        show_ways(results)
    else:
        found = rows(results)
        show([*tables(found, SHOWN), *batch_tables(found)])


def timings_of(result: Result) -> list[Result]:
    """A result for each batch that a target was timed at."""
    return [msgspec.structs.replace(result, latency=latency, batches=()) for latency in (result.latency, *result.batches)]


def show_settings(results: Sequence[Result]) -> None:
    """The settings that networks were timed in, as a table on the terminal."""
    from zoo.cli.console import print_table

    if found := [*lines(results)]:
        left = ("model", "target", "computed in", "noise")
        right = [place for place, name in enumerate(HEADER) if name not in left]
        print_table(HEADER, found, title="single stream and throughput", right=right)


def show_ways(results: Sequence[Result]) -> None:
    """The whole ways from files to poses that were timed, as a table on the terminal."""
    from zoo.cli import ways
    from zoo.cli.console import print_table

    if found := [*ways.lines(results)]:
        click.echo()
        print_table(ways.HEADER, found, title="the whole way from files to poses", right=ways.RIGHT)
        for line in ways.reasons(results):
            click.echo(click.style(line, dim=True))


def show(found: Sequence[Table]) -> None:
    """Tables on the terminal."""
    from zoo.cli.console import print_table

    for built in found:
        right = [index for index, name in enumerate(built.columns) if built.known[name].align == "right"]
        print_table(built.header(), map(built.cells, built.rows), title=built.heading, right=right)
        for line in built.lines:
            click.echo(click.style(line, dim=True))
        click.echo()
