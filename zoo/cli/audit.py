"""`zoo audit`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from zoo.cli import options
from zoo.cli.claim import claim


class Audit(click.Group):
    """What is no command of its own is a path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group("audit", cls=Audit, subcommand_metavar="PATH... | claim --recipe RECIPE ...")
def command() -> None:
    """Say what is wrong with what others publish: files of their zoos, and throughputs.

    \b
      zoo audit foreign/                         the files of a tree; the same as `zoo audit files foreign/`
      zoo audit claim --recipe lightweight_openpose --images-per-second 21030 --batch 32 --peak-tflops 100

    Exit code 1 where something was found.
    """


command.add_command(claim)


@command.command("files")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@options.as_json
def files(paths: Sequence[str], as_json: bool) -> int:
    """Say what is wrong with files of other zoos: named ones, or all in a folder. `files` may be left out.

    Read are Vastai's vdsp JSON and vamc build YAML, Open Model Zoo's model.yml and accuracy-check.yml, mmpose's metafiles, and
    recipes of ours. Exit code 1 where something was found, each at its file:line:column with what to do about it:

    \b
      malformed, key, value     what cannot be read; unknown and misspelt keys and words
      colour, normalisation, size, resize, padding, interpolation
                                a build YAML and a vdsp JSON describe different input tensors
      range, unused             mean and deviation of 0..1 for pixels of 0..255; some that nothing uses
      shape                     what goes in is not what is compiled, or what was measured
      calibration               on the images that models are judged on
      hash, path                weights without a digest; placeholders, relative paths, what does not exist

    Files that belong together are found by folder and name: vamc/pytorch_openpose_body.yaml and
    vdsp/pytorch-body-vdsp_params.json lie in folders beside each other, and every word of one name but those that only say what a
    file is (vdsp_params, int8) stands in the other. What was judged together is said. To judge any two: name both, and no others.

    \b
      zoo audit foreign/                         a tree
      zoo audit body.yaml body-vdsp_params.json  two files, against each other
    """
    from pathlib import Path

    import msgspec

    from zoo.cli.console import counted
    from zoo.errors import Findings
    from zoo.interop.audit import audit
    from zoo.interop.foreign import TITLES

    report = audit([Path(path) for path in paths])
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        for finding in report.findings:
            click.echo(str(finding))
        for pair in report.pairs:
            click.echo(f"judged together: {pair.one} and {pair.other} ({pair.why})")
        titles = {TITLES.get(kind, kind): count for kind, count in report.files.items()}
        plain = ("JSON", "YAML", ".yml")  # these have no plural
        told = [f"{count} {title}" if title.endswith(plain) else counted(count, title) for title, count in titles.items()]
        kinds = ", ".join(told) or "nothing that is judged here"
        over = f"; {counted(report.passed_over, 'file')} of no known kind" if report.passed_over else ""
        click.echo(f"{kinds}{over}: {counted(len(report.findings), 'finding')}" if report.findings else f"{kinds}{over}: nothing found")
    return Findings.exit_code if report.findings else 0
