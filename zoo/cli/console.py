"""Tables on standard output, for people and for `grep` alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import click

from zoo.board.markdown import screen_width

GAP = "  "


def counted(number: int, one: str, several: str = "") -> str:
    """`1 person`, `2 people`; `several` is `one` with an s where nothing is said."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", right: Collection[int] = (), bold: Collection[int] = ()
) -> None:
    """Print a table with every row on one line: a terminal that is too narrow wraps it, a file keeps it whole.

    header: one heading a column, or nothing; right: the columns whose cells are set flush right; bold: those whose cells are
    bold on a terminal, as every heading is. Cells are text as it stands, a line's end in them a space."""
    cells = [[" ".join(cell.splitlines()) for cell in row] for row in rows]
    heading = [" ".join(cell.splitlines()) for cell in header]
    widths = [max(map(screen_width, column)) for column in zip(*([heading] if heading else []), *cells, strict=True)]

    def line(row: Sequence[str], styled: Collection[int]) -> str:
        texts = []
        for index, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            space = " " * (wide - screen_width(cell))
            # nothing behind the last column: it would make a narrow terminal wrap rows that fit
            padded = space + cell if index in right else cell if index == len(row) - 1 else cell + space
            texts.append(click.style(padded, bold=True) if index in styled else padded)
        return GAP.join(texts).rstrip()

    lines = [click.style(title, italic=True)] if title else []
    lines += [line(heading, range(len(heading)))] if heading else []
    click.echo("\n".join([*lines, *(line(row, bold) for row in cells)]))
