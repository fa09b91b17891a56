"""What several scales gain on coco_mini over one, paired, and what they take: a recipe's network in two protocols.

    OMP_NUM_THREADS=1 python benchmarks/scales.py [RECIPE] [--threads 1]

Lightweight OpenPose's evaluation and pytorch-openpose's demo, each at one scale and at four. The gain is a paired bootstrap:
the same images, drawn with replacement (zoo/metrics/coco.py). Seconds are those of preparing, network and decoding of an image in
memory, the median of a few images, the protocols in turns.
"""

import statistics
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from common import arguments, artifact, carry_out, detections, head, machine, open_recipe, paired, row, side_by_side

from zoo.cli.session import Session
from zoo.engine.use import part
from zoo.pose.decoders import PafDecoder
from zoo.pose.fits import Height
from zoo.recipe.model import Evaluation, Recipe
from zoo.steps import reports

TARGET = "onnxruntime-fp32"
DATASET = "coco_mini"
SCALES = (0.5, 1.0, 1.5, 2.0)
#: val.py of Lightweight OpenPose pads what is smaller than its base height to it, in height too
LIGHTWEIGHT = Height(height=368, min_width=368, min_height=368)


def evaluations(recipe: Recipe, demo: Recipe) -> list[Evaluation]:
    """Each protocol at one scale, then at four; `demo` is the recipe that declares pytorch-openpose's."""
    if not isinstance(recipe.decode, PafDecoder):
        raise SystemExit(f"{recipe.name} is not decoded from part affinity fields")
    outputs = {"heatmaps": recipe.decode.heatmaps, "pafs": recipe.decode.pafs}
    lightweight = Evaluation(
        protocol="lightweight_openpose",
        title="Lightweight OpenPose's evaluation",
        datasets=(DATASET,),
        fit=LIGHTWEIGHT,
        order="normalize_then_resize",
        decode=PafDecoder(**outputs),
    )
    pytorch = Evaluation(
        protocol="pytorch_openpose",
        title="pytorch-openpose's demo",
        datasets=(DATASET,),
        fit=next(evaluation.fit for evaluation in demo.evaluate if evaluation.scales),
        order="resize_then_normalize",
        decode=msgspec.structs.replace(demo.decode, **outputs),
    )
    return [
        msgspec.structs.replace(evaluation, protocol=f"{evaluation.protocol}_{len(scales)}", scales=scales)
        for evaluation, one in ((lightweight, (1.0,)), (pytorch, (0.5,)))
        for scales in (one, SCALES)
    ]


def seconds(session: Session, recipe: Recipe, folder: Path, images: int = 5) -> dict[str, float]:
    """protocol -> seconds of an image."""
    opened = session.place.declared.datasets[DATASET].open(session.context).subset(images)
    read = [opened.read(sample) for sample in opened.samples]
    with ExitStack() as stack:
        models = {
            one.protocol: stack.enter_context(part(recipe, session.place.declared.targets[TARGET], one).open(folder, session.context))
            for one in recipe.evaluate
        }
        calls = {(name, place): partial(model, image) for name, model in models.items() for place, image in enumerate(read)}
        times = side_by_side(calls, 2, block=1)
    return {name: statistics.median(min(times[name, place]) for place in range(len(read))) for name in models}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000, help="draws of the bootstrap")
    given = parser.parse_args()
    session, recipe = open_recipe(given.recipe)
    session = replace(session, context=replace(session.context, threads=given.threads))
    recipe = msgspec.structs.replace(recipe, evaluate=tuple(evaluations(recipe, open_recipe("openpose_body")[1])))
    ran = carry_out(session, recipe, [TARGET], accuracy=True)
    dataset = session.place.declared.datasets[DATASET]
    each = seconds(session, recipe, artifact(ran, f"{recipe.name}/{TARGET}/compile"))
    print(machine(given.threads) + "\n")
    columns = ("protocol", "scales", "AP", "AP50", "AR", "detections", "AP gained", "standard error, 95 %", "seconds an image")
    print(head(*columns))
    for one, several in zip(recipe.evaluate[::2], recipe.evaluate[1::2], strict=True):
        before = detections(ran, f"{recipe.name}/{TARGET}/accuracy/{DATASET}/{one.protocol}")
        for evaluation in (one, several):
            id = f"{recipe.name}/{TARGET}/accuracy/{DATASET}/{evaluation.protocol}"
            report = reports.read(artifact(ran, id))
            if not isinstance(report, reports.Accuracy):
                raise SystemExit(f"{id}: {report}")
            gained, spread = "", ""
            if evaluation is several:
                gained, spread = paired(evaluation, dataset, session.context, detections(ran, id), before, given.samples)
            figures = [f"{report.figures[name] or 0:.4f}" for name in ("AP", "AP50", "AR")]
            scales = ", ".join(f"{scale:g}" for scale in evaluation.scales or (1,))
            name = evaluation.protocol.rpartition("_")[0]
            print(row(name, scales, *figures, report.detections, gained, spread, f"{each[evaluation.protocol]:.2f}"), flush=True)


if __name__ == "__main__":
    main()
