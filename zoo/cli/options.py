"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def complete_recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of recipes that begin like this, for the shell."""
    from zoo.errors import ZooError
    from zoo.recipe.workspace import open_place

    try:
        return [path.stem for path in open_place(ctx.params.get("workspace")).files() if path.stem.startswith(incomplete)]
    except ZooError:
        return []


workspace = _together(
    click.option("--workspace", metavar="FOLDER", help="The folder of zoo.yaml (default: upward from here, or $ZOO_WORKSPACE)."),
    click.option("--verbose", "-v", is_flag=True, help="Say more: every action as it starts, and tracebacks."),
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of text.")

recipes = _together(
    click.argument("names", metavar="[RECIPE]...", nargs=-1, shell_complete=complete_recipes),
    click.option("--all", "everything", is_flag=True, help="Every recipe of the workspace."),
)

targets = click.option(
    "--target",
    "-t",
    "targets",
    multiple=True,
    metavar="GLOB",
    help="Only these targets, as in onnxruntime-* (repeatable; default: all that this machine can run).",
)

weights = _together(
    click.option(
        "--weights",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Use this file instead of the recipe's sources; the figures never enter results/.",
    ),
    click.option(
        "--rehearse",
        is_flag=True,
        help="Seed the weights of recipes whose files cannot be had: built, checked and timed, but never scored.",
    ),
    click.option("--offline", is_flag=True, help="Use only mirrors and what is in the store."),
)

model = _together(
    click.option("--target", "-t", metavar="TARGET", help="Run it on this target (default: the recipe's first that this machine can run)."),
    click.option(
        "--protocol", metavar="NAME", help="Prepare and decode as this protocol of the recipe does (default: as the recipe does)."
    ),
    click.option(
        "--weights",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Use this file of one network's weights instead of its sources.",
    ),
    click.option("--rehearse", is_flag=True, help="Seed weights that cannot be had; what is found then means nothing."),
    click.option("--offline", is_flag=True, help="Use only mirrors and what is in the store."),
)

licence = click.option(
    "--licence",
    type=click.Choice(["any", "commercial"]),
    help="commercial: refuse weights whose terms forbid it, and all that is made from them (default: zoo.yaml's licence).",
)

running = _together(
    click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Steps at once; those that measure time always run alone.",
    ),
    click.option("--fail-fast", is_flag=True, help="Stop at the first failure (default: go on with the rest)."),
    click.option("--again", is_flag=True, help="Do it again, whatever the store knows."),
    click.option("--rehash", is_flag=True, help="Read every file of the datasets anew instead of trusting size and time."),
)
