"""`python -m zoo.cli.reference` writes docs/cli.md from every command's own help, so that the page cannot say anything else
than the program. With `--check` it writes nothing, and exits with 1 where the page is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zoo.cli import COMMANDS, cli
from zoo.errors import Findings
from zoo.files import write_text

PAGE = Path("docs/cli.md")
WIDTH = 110
HEAD = """\
# The command line

Generated from the commands' own help by `python -m zoo.cli.reference`; do not edit.

A recipe is named by its name or by its path, a target by a glob over the names of zoo.yaml's targets. News of a run goes to
standard error, results to standard output: `--json` can be piped. Exit codes: [README](../README.md#exit-codes).
"""


def page() -> str:
    """The whole page, ending in a newline."""
    group = click.Context(cli, info_name="zoo", **{**cli.context_settings, "terminal_width": WIDTH})
    contents = "\n".join(f"* [`zoo {name}`](#zoo-{name}): {line[0].lower()}{line[1:]}" for name, line in COMMANDS.items())
    parts = [HEAD, contents + "\n", section("zoo", cli.get_help(group))]
    for name in COMMANDS:
        command = cli.get_command(group, name)
        if command is None:
            raise AssertionError(f"no command {name}")
        own = click.Context(command, info_name=name, parent=group)
        parts.append(section(f"zoo {name}", command.get_help(own)))
        for below, inner in command.commands.items() if isinstance(command, click.Group) else ():
            parts.append(section(f"zoo {name} {below}", inner.get_help(click.Context(inner, info_name=below, parent=own))))
    return "\n".join(parts)


def section(heading: str, text: str) -> str:
    """A command under its name."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {heading}\n\n```text\n{lines}\n```\n"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where the page is not what would be written.")
def main(check: bool) -> None:
    """Write docs/cli.md of the current folder."""
    current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    text = page()
    if current == text:
        return
    if check:
        click.echo(f"{PAGE} is stale: run `python -m zoo.cli.reference`")
        sys.exit(Findings.exit_code)
    write_text(PAGE, text)
    click.echo(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
