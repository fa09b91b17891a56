"""The command line: one file a command. Only here is anything printed, and only here does a process exit."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import traceback
from contextlib import suppress
from keyword import iskeyword

import click

from zoo import __version__
from zoo.errors import Bug, ZooError

#: command -> what it does; the module of the same name in this package holds it (`import_` where the name is Python's own)
COMMANDS = {
    "new": "Write a commented recipe to start from.",
    "check": "Say everything that is wrong with recipes.",
    "list": "The recipes of this workspace.",
    "show": "One recipe in full: licences, weights, targets, protocols, published figures.",
    "plan": "What would be done, and what is already known.",
    "fetch": "Get the weights; --pin writes their digests into the lock.",
    "build": "Compile models for targets and prove them equal to the original.",
    "eval": "Build, then measure accuracy and speed; --all writes the leaderboard.",
    "train": "Make the weights of a recipe that says how they are learnt.",
    "predict": "Find the people in images: keypoints as text, JSON, COCO or OpenPose files, and pictures.",
    "demo": "Show what a model finds, in videos, in photographs, or live.",
    "bench": "Build, then measure speed only.",
    "masks": "Write what is not scored in training, as masks beside the images of a COCO tree.",
    "emit": "Say a recipe in the words of other tools: vdsp JSON, vamc YAML.",
    "board": "Write LEADERBOARD.md from the results.",
    "audit": "Say what is wrong with files of other zoos.",
    "import": "Make a recipe from files of another zoo.",
    "doctor": "What this machine can run, and what is missing.",
    "gc": "Remove from the store what no recipe needs.",
    "fsck": "Check everything in the store against its digest.",
    "schema": "Write the JSON Schemas that editors complete recipes with.",
}


class Commands(click.Group):
    """Loads a command's module only when it is called, so that `zoo --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # not list(): the command of that name becomes an attribute of this package when it is loaded

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"zoo.cli.{cmd_name}{'_' * iskeyword(cmd_name)}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="zoo")
def cli() -> None:
    """A declarative model zoo for human pose estimation.

    One YAML recipe a model; from it come a verified ONNX file, a compiled model for each target, a parity
    report, accuracy, speed, and a row of the leaderboard.

    \b
    Start here:
      zoo list                               what there is
      zoo build recipes/openpose_mobilenet.yaml
      zoo eval openpose_mobilenet            accuracy and speed of every target
      zoo new my_model                       a recipe of your own

    Exit codes: 0 done, 1 findings, 2 a recipe or the usage is wrong, 3 a tool is missing, 4 a step failed,
    5 parity or a gate failed, 70 a bug, 130 stopped by ^C.

    Completion: eval "$(_ZOO_COMPLETE=bash_source zoo)" in ~/.bashrc (zsh_source, fish_source likewise).
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the code that `zoo.errors` gives."""
    code = run(args)
    if any(thread.daemon for thread in threading.enumerate()):
        # a run that was stopped has left a thread in the middle of an image: Python, tidying up, would wait for it or trip over it
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        result = cli.main(args, prog_name="zoo", standalone_mode=False)
        return int(result) if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return 130
    except BrokenPipeError:
        return 0
    except Bug as error:
        click.echo(error.message, err=True)
        return Bug.exit_code
    except ZooError as error:
        click.echo(f"{error}", err=True)
        return error.exit_code
    except OSError as error:
        where = error.filename2 or error.filename
        click.echo(f"{error.strerror or error}" + (f": {where}" if where else "") + "\n  is the disk full, or a file gone?", err=True)
        return ZooError.exit_code
    except Exception:  # the last boundary: what is not foreseen is a bug, and says so with its traceback
        traceback.print_exc()
        return Bug.exit_code
