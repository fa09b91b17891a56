"""`zoo emit`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.cli.session import Session
    from zoo.recipe.model import Recipe


@click.command("emit")
@click.argument("form", metavar="FORMAT", type=click.Choice(["vamc", "vdsp"]))
@click.argument("name", metavar="RECIPE")
@click.option("--target", "-t", metavar="TARGET", help="What this target is fed: its own edits, shape and batch (vamc needs one).")
@click.option("--save", metavar="FILE", help="Write it there, whole or not at all, instead of printing it.")
@options.workspace
def command(form: Literal["vamc", "vdsp"], name: str, target: str | None, save: str | None, workspace: str | None, verbose: bool) -> None:
    """Say a recipe in the words of other tools.

    \b
    vdsp   the JSON by which Vastai's runtime prepares images: what `preprocess:` does, and what `vdsp_params.json`
           beside a built model holds
    vamc   the YAML by which Vastai's compiler builds a target: input, precision, calibration, and `process_ops` that
           prepare the images of the calibration as the vdsp JSON does. Where the target was built with `zoo build`,
           the path of its ONNX file stands in it

    Both describe the very tensor that the target is fed: normalisation that the target folds into its graph is not in them.
    What a format cannot say (another resize than linear, a size that follows the image, normalising before
    resizing ...) is an error that names the nearest that it can; nothing is rounded in silence.

    \b
    zoo emit vdsp my_model
    zoo emit vamc my_model --target onnxruntime-int8 --save build.yaml
    """
    from zoo.cli.session import Session, relative
    from zoo.engine.plan import named
    from zoo.errors import UsageError
    from zoo.files import write_text
    from zoo.interop import emit
    from zoo.recipe.model import Recipe

    session = Session.open(workspace, verbose=verbose)
    (recipe,) = session.recipes([name], everything=False)
    if not isinstance(recipe, Recipe):
        names = ", ".join(part.name for part in recipe.parts.values())
        raise UsageError(f"{recipe.name} is made of recipes, and each has an input of its own", f"name one of them: {names}")
    if target is not None:
        named(recipe, target)
    if form == "vdsp":
        text = emit.vdsp_json(recipe, target)
    elif target is None:
        raise UsageError("vamc builds one target", f"name it: --target {' | '.join(recipe.targets)}")
    else:
        model, photos = _built(session, recipe, target)
        text = emit.vamc_yaml(recipe, target, session.place.declared, session.context, model=model, photos=photos)
    if save:
        write_text(Path(save), text)
        click.echo(f"wrote {relative(Path(save))}", err=True)
    else:
        click.echo(text, nl=False)


def _built(session: Session, recipe: Recipe, target: str) -> tuple[Path | None, Path | None]:
    """The target's ONNX file before any precision, and the images of its calibration that an action makes, where the store has them."""
    from zoo.engine.execute import stored
    from zoo.engine.plan import plan
    from zoo.engine.wish import Plan, Wish

    found = stored(plan(recipe, session.place, session.context, Wish(targets=(target,))), session.store, session.context, session.code)
    session.code.save()
    options = recipe.targets[target]
    edited = found.get(f"{recipe.name}/{target}/edit" if options and options.edits else f"{recipe.name}/edit")
    made = Plan(session.place).photos(session.place.declared.datasets[recipe.calibration.dataset]) if recipe.calibration else {}
    images = found.get(made["photos"]) if made else None
    return edited[1].path / "model.onnx" if edited else None, images[1].path if images else None
