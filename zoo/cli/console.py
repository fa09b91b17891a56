"""Tables on standard output, for people and for `grep` alike."""

from __future__ import annotations

import re

import click
from rich.console import Console
from rich.table import Table

WIDEST = 10_000


def counted(number: int, one: str, several: str = "") -> str:
    """`1 person`, `2 people`; `several` is `one` with an s where nothing is said."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def print_table(table: Table) -> None:
    """Print `table` with every row on one line: a terminal that is too narrow wraps it, a file keeps it whole.

    Its cells are text as it stands: what looks like rich's markup (`pose-zoo[tensorrt]`) or a name of an emoji is none."""
    widest = Console(width=WIDEST, markup=False, emoji=False).measure(table).maximum
    console = Console(width=widest, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    # the padding of the last column would make a narrow terminal wrap rows that fit
    click.echo(re.sub(r" +((?:\x1b\[[0-9;]*m)*)$", r"\1", captured.get(), flags=re.MULTILINE), nl=False)
