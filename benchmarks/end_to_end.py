"""What is left of the network's speed from files to poses, by precision, height and layout.

    python benchmarks/end_to_end.py [--rounds 5] [--images 97] [--target onnxruntime-fp32 --target onnxruntime-int8]

human_pose_estimation_0001 on coco_mini, resized as 8-bit images, decoded with `resolution: lazy`. `network alone` is the network on the
same tensors in the same order, prepared before, called from as many threads at once as the layout has streams; `end to end` reads and
decodes the JPEG files, prepares, runs and decodes poses. Both take turns in every round. The layouts: one worker, which does one thing
after the other; several beside calls of the network on all cores; a call on each core, with a worker each, and with more. The last line of
each case holds the best of the one against the best of the other.
"""

import statistics
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from common import arguments, artifact, carry_out, faster, head, machine, open_recipe, row
from stages import network_alone, rate

from zoo.context import Context
from zoo.datasets.images import Images
from zoo.engine.use import part
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import PafDecoder
from zoo.pose.fits import Height
from zoo.recipe.model import Evaluation
from zoo.stream import Layout, layouts

#: (height, kind of target) -> the share that is aimed at, and the stretch
AIMS = {(368, "fp32"): (0.95, 0.98), (256, "fp32"): (0.93, 0.96), (256, "int8"): (0.85, 0.92)}


def tried(threads: int) -> list[Layout]:
    """One worker, the stream's own layouts, and each of these with a worker more."""
    found = [Layout(streams=1, workers=1), *layouts(threads)]
    more = [Layout(streams=one.streams, workers=one.workers + 1) for one in layouts(threads)]
    return sorted(dict.fromkeys([*found, *more]), key=lambda one: (one.streams, one.workers))


def end_to_end(model: Estimator, images: Images, layout: Layout, context: Context) -> float:
    """Images a second from files to poses."""
    return rate(images.samples, lambda sample: model.many([images.read(sample)]), layout.workers, context)


def case(name: str, used: Any, folder: Any, images: Images, context: Context, rounds: int, aims: Sequence[float]) -> None:
    """The lines of a network at a height."""
    best = {"alone": 0.0, "whole": 0.0}
    for layout in tried(context.threads):
        with used.open(folder, context, streams=layout.streams) as opened:
            model = cast(Estimator, opened)
            tensors = [model.preprocess.prepare(images.read(sample))[0] for sample in images.samples]
            # the first of each is warm-up
            both = [(network_alone(model, tensors, layout, context), end_to_end(model, images, layout, context)) for _ in range(rounds + 1)]
        alone, whole = zip(*both[1:], strict=True)
        rates = {"alone": statistics.median(alone), "whole": statistics.median(whole)}
        print(row(name, layout, f"{rates['alone']:.1f}", f"{rates['whole']:.1f}", faster(whole, alone, 3), ""), flush=True)
        best = {way: max(best[way], rates[way]) for way in best}
    share, (aim, stretch) = f"{best['whole'] / best['alone']:.3f}", aims
    print(row(name, "best of each", f"{best['alone']:.1f}", f"{best['whole']:.1f}", share, f"{aim} ({stretch})"), flush=True)


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=97)
    parser.add_argument("--target", action="append", help="default: onnxruntime-fp32 and onnxruntime-int8")
    given = parser.parse_args()
    targets = given.target or ["onnxruntime-fp32", "onnxruntime-int8"]
    session, recipe = open_recipe("human_pose_estimation_0001")
    outcomes = carry_out(session, recipe, targets)
    images = session.place.declared.datasets["coco_mini"].open(session.context).subset(given.images)
    if not isinstance(recipe.decode, PafDecoder) or not isinstance(recipe.preprocess.fit, Height):
        raise SystemExit("the recipe is another than the one that this was written for")
    decode = msgspec.structs.replace(recipe.decode, resolution="lazy")
    print(machine(session.context.threads), "\n")
    print(head("target, height", "layout", "network alone, images/s", "end to end, images/s", "share (quartiles)", "aim"))
    for (height, kind), aims in AIMS.items():
        fit = msgspec.structs.replace(recipe.preprocess.fit, height=height, min_width=0)
        protocol = Evaluation(protocol="lazy", title="", datasets=("coco_mini",), fit=fit, order="resize_then_normalize", decode=decode)
        for name in (one for one in targets if kind in one):
            used = part(recipe, session.place.declared.targets[name], protocol)
            folder = artifact(outcomes, f"{recipe.name}/{name}/compile")
            case(f"{name}, {height}", used, folder, images, session.context, given.rounds, aims)


if __name__ == "__main__":
    main()
