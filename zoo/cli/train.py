"""`zoo train`"""

from __future__ import annotations

import click

from zoo.cli import options
from zoo.context import Accelerator
from zoo.licence import Purpose


@click.command("train")
@click.argument("name", metavar="RECIPE", shell_complete=options.complete_recipes)
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Devices of this machine that share each batch.")
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="auto: a GPU where there is one. Several devices of a CPU are processes that share its cores.",
)
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines, where torchrun has started this on each.")
@click.option("--dataset", metavar="NAME", help="Learn from another dataset of zoo.yaml: a try, which `zoo build` does not take.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps: a try, which `zoo build` does not take.")
@click.option("--rehearse", is_flag=True, help="Begin at random where the weights to begin with cannot be had: a try, likewise.")
@click.option("--no-validation", is_flag=True, help="Do not look how well it does meanwhile.")
@click.option("--copy", "copy_to", metavar="FILE", type=click.Path(dir_okay=False), help="Also write the weights to FILE.")
@click.option("--again", is_flag=True, help="Train anew, whatever the store knows.")
@click.option("--offline", is_flag=True, help="Use only mirrors and what is in the store.")
@options.licence
@options.as_json
@options.workspace
def command(
    name: str,
    devices: int,
    accelerator: Accelerator,
    nodes: int,
    dataset: str | None,
    steps: int | None,
    rehearse: bool,
    no_validation: bool,
    copy_to: str | None,
    again: bool,
    offline: bool,
    licence: Purpose | None,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Make the weights of a recipe that has `train:`.

    A run that is stopped or killed goes on from its last checkpoint when the same command is given again. The weights lie in
    the store, where `zoo build` and `zoo eval` take them from. Beside each accuracy meanwhile stands the ceiling: what the
    decoder makes of perfect maps of the same images.

    \b
      zoo train stick_openpose                                   drawn figures, some minutes on a CPU
      zoo train openpose_vgg19 --dataset coco_mini --steps 5     first steps, to see whether all is well
      zoo train openpose_vgg19_8 --devices 8
      torchrun --nnodes 2 --nproc-per-node 8 ... --no-python zoo train openpose_vgg19_8 --devices 8 --nodes 2
    """
    from zoo.cli.session import Session, exit_code
    from zoo.cli.trained import carried_out, summary
    from zoo.cli.wishes import untrained_of
    from zoo.engine.wish import Wish
    from zoo.errors import UsageError
    from zoo.recipe.model import Recipe

    session = Session.open(workspace, offline=offline, verbose=verbose, licence=licence)
    (recipe,) = session.permitted([name], everything=False)
    if not isinstance(recipe, Recipe) or recipe.train is None:
        trained = [one.name for one in session.recipes((), everything=True) if isinstance(one, Recipe) and one.train]
        raise UsageError(f"{recipe.name} does not say how it is trained", f"recipes that do: {', '.join(trained) or 'none'}")
    known = session.place.declared.datasets
    if dataset and dataset not in known:
        raise UsageError(f"zoo.yaml has no dataset {dataset}", f"it has {', '.join(known)}")
    others = frozenset(untrained_of(session, recipe)) - {recipe.name}
    outcomes = carried_out(
        session,
        recipe,
        Wish(learnt=dataset or "", steps=steps, rehearse=rehearse, untrained=others),
        devices=devices,
        nodes=nodes,
        accelerator=accelerator,
        validated=not no_validation,
        again=again,
        quiet=as_json,
    )
    summary(recipe, outcomes, copy_to=copy_to, as_json=as_json, own=not (dataset or steps or rehearse))
    return exit_code(list(outcomes.values()))
