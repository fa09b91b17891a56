"""`zoo import`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--model", metavar="NAME", help="Which model of an mmpose metafile; without it they are listed.")
@click.option("--save", metavar="FILE", help="Write the recipe there instead of printing it; its name becomes the recipe's.")
@options.workspace
def command(files: Sequence[str], model: str | None, save: str | None, workspace: str | None, verbose: bool) -> int:
    """Make a recipe from another zoo's files.

    \b
      zoo import body.yaml body-vdsp_params.json           a vamc build YAML, with its vdsp JSON or without
      zoo import model.yml accuracy-check.yml              Open Model Zoo's
      zoo import rtmpose_coco.yml --model rtmpose-m_...    one model of an mmpose metafile

    The recipe passes `zoo check` in this workspace. Nothing is dropped: what a recipe has no place for stands in comments at its
    end, with its line; what the files leave open, and what has to be changed before it can be built, stands as CHANGE where it
    belongs. Where a build YAML and its JSON describe different tensors, the JSON is taken and the difference stands as WARNING.
    The architecture is known by the model's name, or has to be written in.
    """
    import re
    from pathlib import Path

    from zoo.cli.session import relative
    from zoo.errors import UsageError
    from zoo.files import write_text
    from zoo.interop.imports import recipe
    from zoo.recipe.workspace import open_place

    path = Path(save) if save else None
    if path and (path.suffix != ".yaml" or not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", path.stem)):
        raise UsageError(f"{path.name!r} is no name for a recipe", "lower-case letters, digits, _ . - and the ending .yaml")
    if path and path.exists():
        raise UsageError(f"{relative(path)} exists", "choose another name")
    text = recipe([Path(file) for file in files], open_place(workspace), name=path.stem if path else "", model=model)
    if path:
        write_text(path, text)
        left = ", and see what says CHANGE in it" if "CHANGE" in text else ""
        click.echo(f"wrote {relative(path)}; next: zoo check {relative(path)}{left}", err=True)
    else:
        click.echo(text, nl=False)
    return 0
