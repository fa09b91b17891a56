"""What is said at the end of a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from zoo.cli.session import Session, relative
from zoo.engine.execute import Outcome
from zoo.engine.plan import parities
from zoo.recipe.composite import AnyRecipe
from zoo.steps import reports


def build_summary(session: Session, outcomes: Mapping[str, Outcome], recipes: Sequence[AnyRecipe], as_json: bool) -> None:
    """A line for each target: what became of it, its parity, where its files are."""
    rows = []
    for recipe in recipes:
        for target in recipe.targets:
            compiled = outcomes.get(f"{recipe.name}/{target}/compile")
            if compiled is None:
                continue
            chain = [(role, outcomes[id]) for id, role in list(parities(recipe, target).items())[1::2] if id in outcomes]
            rows.append(
                {
                    "recipe": recipe.name,
                    "target": target,
                    "state": compiled.state,
                    "parity": "; ".join(_parity(role, outcome) for role, outcome in chain) or _without(session, target, compiled),
                    "folder": relative(compiled.artifact.path) if compiled.artifact else "",
                    "error": compiled.error.message if compiled.error else "",
                }
            )
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(rows).decode())
        return
    from zoo.cli.console import print_table

    where = [row["folder"] or row["error"].split("\n")[0].rstrip(":") for row in rows]
    lines = [(row["recipe"], row["target"], row["state"], row["parity"], place) for row, place in zip(rows, where, strict=True)]
    print_table(("recipe", "target", "state", "parity", "where"), lines)


def _parity(role: str, outcome: Outcome) -> str:
    """How far a target is from the original, in a few words; of a pipeline's part, with its role."""
    said = f"{role}: " if role else ""
    found = reports.read(outcome.artifact.path) if outcome.artifact else None
    if not isinstance(found, reports.Parity):
        return said + outcome.state
    return f"{said}{'ok' if found.passed else 'FAILED'}, {found.worst.figure}"


def _without(session: Session, target: str, compiled: Outcome) -> str:
    """Why a target was not held against the original."""
    if compiled.artifact is None:
        return ""
    return "no images here to compare on" if session.place.declared.targets[target].backend.runs else "built, not run"


def copy_models(outcomes: Mapping[str, Outcome], folder: str) -> None:
    """Copy every compiled model to folder/RECIPE/TARGET, and TorchScript to folder/RECIPE."""
    for id, outcome in outcomes.items():
        if id.endswith("/torchscript") and outcome.artifact:
            for path in sorted(outcome.artifact.path.glob("*.pt")):
                target = Path(folder) / Path(id).parent / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                click.echo(f"copied {id.removesuffix('/torchscript')}'s TorchScript to {target}", err=True)
        if id.endswith("/compile") and outcome.artifact:
            target = Path(folder) / Path(id).parent
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(outcome.artifact.path, target, copy_function=shutil.copyfile)
            click.echo(f"copied {id.removesuffix('/compile')} to {target}", err=True)
