"""`zoo schema`"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("schema")
@click.option(
    "--out",
    metavar="FOLDER",
    default="docs/schema",
    show_default=True,
    help="Where the schemas are written.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where the files there are not these.")
def command(out: str, check: bool) -> int:
    """Write the JSON Schemas that editors complete recipes and zoo.yaml with.

    A recipe names its schema in its first line: # yaml-language-server: $schema=../docs/schema/recipe.json, and one
    that is made of others pipeline.json.
    """
    import json

    from zoo.errors import Findings
    from zoo.files import write_text
    from zoo.recipe.composite import PipelineRecipe
    from zoo.recipe.model import Recipe, Workspace
    from zoo.recipe.schema import emit
    from zoo.record import Record

    stale = []
    kinds: tuple[tuple[str, type[Record], str], ...] = (
        ("recipe", Recipe, "A recipe of the zoo"),
        ("pipeline", PipelineRecipe, "A recipe that is made of others"),
        ("workspace", Workspace, "zoo.yaml"),
    )
    for name, kind, title in kinds:
        path = Path(out) / f"{name}.json"
        text = json.dumps(emit(kind, title), indent=1, ensure_ascii=False) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            write_text(path, text)
    for path in stale:
        click.echo(f"{path} {'is stale: run `zoo schema`' if check else 'written'}")
    return Findings.exit_code if stale and check else 0
