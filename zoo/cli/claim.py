"""`zoo audit claim`"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import options

if TYPE_CHECKING:
    import onnx

    from zoo.cli.session import Session
    from zoo.measure.claim import Verdict
    from zoo.measure.count import Cost
    from zoo.recipe.model import Recipe


class Positive(click.FloatRange):
    """A number above 0 that is one: `nan` is above every roof and below it, and at `inf` there is none."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


POSITIVE = Positive()


def sizes(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, int, int] | None:
    """The numbers of `3x256x456`."""
    if given is None:
        return None
    words = given.lower().split("x")
    if len(words) != 3 or not all(word.isdecimal() and int(word) for word in words):
        raise click.BadParameter(f"{given!r} is no shape: channels, height and width, as in 3x256x456")
    channels, height, width = map(int, words)
    return channels, height, width


@click.command("claim")
@click.option("--recipe", "name", metavar="RECIPE", required=True, help="The network; its weights are not needed.")
@click.option("--images-per-second", "rate", metavar="X", type=POSITIVE, required=True, help="What is claimed.")
@click.option("--batch", metavar="B", type=click.IntRange(1), required=True, help="Images a call that it is claimed for.")
@click.option("--peak-tflops", metavar="T", type=POSITIVE, required=True, help="What the device computes at most in that precision.")
@click.option("--peak-gbps", metavar="G", type=POSITIVE, help="What its memory moves at most, in GB/s (default: not judged).")
@click.option("--shape", metavar="CxHxW", callback=sizes, help="The input, as in 3x256x456 (default: what the recipe is timed at).")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "tf32", "bf16", "fp16", "int8", "fp8"]),
    default="fp16",
    show_default=True,
    help="What it is said to compute in: that of the peak.",
)
@options.as_json
@options.workspace
def claim(
    name: str,
    rate: float,
    batch: int,
    peak_tflops: float,
    peak_gbps: float | None,
    shape: tuple[int, int, int] | None,
    precision: str,
    as_json: bool,
    workspace: str | None,
    verbose: bool,
) -> int:
    """Judge a throughput that somebody states: can a device of that peak be so fast?

    The operations of the network are counted from its ONNX file (a multiplication with its addition is 2; a 3x3 convolution
    may be Winograd's, a quarter), and so are the bytes that cannot be spared: weights once a call, input, output. A figure that
    needs more of them than the device's peak is refused: exit code 1, and why. 0 says that it can be true, and not that it is.

    A figure once published for Lightweight OpenPose: 21030 images/s in FP16, from an engine of a fixed batch of 1, each of whose
    calls was counted as 32 images. It would need 322 TFLOPS; counted right it is 657, which can be:

    \b
      zoo audit claim --recipe lightweight_openpose --images-per-second 21030 --batch 32 --peak-tflops 100
      zoo audit claim --recipe lightweight_openpose --images-per-second 657 --batch 1 --peak-tflops 100

    The network is exported where the store does not have it: with weights from a mirror, or else with seeded ones.
    """
    import msgspec

    from zoo.cli.session import Session
    from zoo.errors import Findings, UsageError
    from zoo.measure.claim import judge
    from zoo.measure.count import count
    from zoo.measure.roof import stated

    session = Session.open(workspace, offline=True, verbose=verbose)
    recipe = _network(session, name)
    channels, height, width = shape or (recipe.export.shape[1], recipe.benchmark.height, recipe.benchmark.width)
    if channels != recipe.export.shape[1]:
        own = recipe.export.shape[1]
        raise UsageError(f"{recipe.name} takes {own} channels, not {channels}", f"say --shape {own}x{height}x{width}")
    cost = count(_graph(session, recipe), {"": (1, channels, height, width)}).in_precision(precision)
    roof = stated(precision, peak_tflops, peak_gbps)
    verdict = judge(cost, rate, batch=batch, roof=roof, precision=precision)
    once = judge(cost, rate / batch, batch=1, roof=roof, precision=precision)
    if as_json:
        said = {"recipe": recipe.name, "shape": [batch, channels, height, width], "precision": precision}
        click.echo(msgspec.json.encode({**said, "cost": cost, "verdict": verdict, "counted_once": once}).decode())
    else:
        click.echo(f"{recipe.title} at {channels}x{height}x{width} in {precision}: {_told(cost)}")
        _tell(verdict, once, rate, batch)
    return Findings.exit_code if verdict.refused else 0


def _network(session: Session, name: str) -> Recipe:
    """The recipe of one network. Raises UsageError for a pipeline."""
    from zoo.errors import UsageError
    from zoo.recipe.model import Recipe

    (recipe,) = session.permitted([name], everything=False)
    if not isinstance(recipe, Recipe):
        names = " or ".join(part.name for part in recipe.parts.values())
        raise UsageError(f"{recipe.name} is made of several networks, and what they cost depends on who is seen", f"name {names}")
    return recipe


def _graph(session: Session, recipe: Recipe) -> onnx.ModelProto:
    """The network's ONNX graph from the store, made now where it is not there. Raises what kept it from being made."""
    from zoo.backends.folder import read_model
    from zoo.cli.wishes import actions_for
    from zoo.errors import StepFailed

    wanted = [f"{recipe.name}/{step}" for step in ("fetch", "export", "edit")]
    error = None
    for rehearse in (False, True):  # a network is as large with seeded weights
        plan = actions_for(session, [recipe], ["*"], rehearse=rehearse)
        actions = [action for action in plan if action.id in wanted]
        outcomes = session.carry_out(actions, jobs=1, again=lambda _: False, fail_fast=False, quiet=True)
        made = outcomes[wanted[-1]].artifact
        if made:
            return read_model(made.path)
        error = next((outcome.error for outcome in outcomes.values() if outcome.error), None)
    raise error or StepFailed(f"{recipe.name} cannot be exported", f"zoo build {recipe.name}")


def _told(cost: Cost) -> str:
    fewest = sum(cost.fewest.values()) / cost.batch / 1e9
    spared = f" ({fewest:.2f} as Winograd counts)" if fewest < 0.99 * cost.gflops else ""
    return f"{cost.gflops:.2f} GFLOPs an image{spared}, {cost.weights / 1e6:.1f} MB of weights"


def _tell(verdict: Verdict, once: Verdict, rate: float, batch: int) -> None:
    for note in verdict.notes:
        click.echo(note)
    if not verdict.refused:
        click.echo(f"{rate:.1f} images/s can be true: {verdict.share:.1%} of the roof, which is {verdict.ceiling:.1f} images/s")
        return
    for reason in verdict.refused:
        click.echo(f"cannot be true: {reason}")
    if batch > 1 and not once.refused:
        click.echo(
            f"were each call of an engine of batch 1 counted as {batch} images, it would be {rate / batch:.1f} images/s: "
            f"{once.share:.1%} of the roof, which can be"
        )
    else:
        click.echo(f"to be possible, every image would have to have been counted {math.ceil(rate / verdict.limit)} times")
