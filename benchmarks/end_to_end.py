"""What is left of the network's speed from files to poses, by precision, height and layout.

    python benchmarks/end_to_end.py [--rounds 5] [--images 97] [--target onnxruntime-fp32 --target onnxruntime-int8]

human_pose_estimation_0001 on coco_mini, resized as 8-bit images, decoded with `resolution: lazy`. `alone` is the network on the same
tensors in the same order, prepared before, called from as many threads at once as the layout has streams; `end to end` reads and
decodes the JPEG files, prepares, runs and decodes poses. Both take turns in every round. The last line of each case holds the best of
the one against the best of the other.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
from common import artifact, carry_out, head, machine, open_recipe, ratio, row

from zoo.context import Context
from zoo.datasets.images import Images
from zoo.engine.network import part
from zoo.pipelines.estimator import Estimator
from zoo.pose.decoders import PafDecoder
from zoo.pose.fits import Height
from zoo.recipe.model import Evaluation
from zoo.stream import Layout, flow, layouts

#: (height, kind of target) -> the share that is aimed at, and the stretch
AIMS = {(368, "fp32"): (0.95, 0.98), (256, "fp32"): (0.93, 0.96), (256, "int8"): (0.85, 0.92)}


class Case:
    """The ways that are compared, in one layout."""

    def __init__(self, model: Estimator, images: Images, layout: Layout, context: Context) -> None:
        self.model, self.images, self.layout, self.context = model, images, layout, context
        self.tensors = [model.preprocess.prepare(images.read(sample))[0] for sample in images.samples]
        (self.bound,) = model.runner.inputs

    def alone(self) -> float:
        """Images a second of the network."""
        return self.rate(self.tensors, lambda tensor: self.model.runner({self.bound: tensor}), self.layout.streams)

    def whole(self) -> float:
        """Images a second from files to poses."""
        return self.rate(self.images.samples, lambda sample: self.model.many([self.images.read(sample)]), self.layout.workers)

    def rate(self, items: Sequence[Any], work: Callable[[Any], Any], workers: int) -> float:
        started = time.perf_counter()
        for _ in flow(items, work, workers=workers, context=self.context):
            pass
        return len(items) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
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
    print(head("height", "target", "layout", "network alone, images/s", "end to end, images/s", "share (quartiles)", "aim"))
    for (height, kind), (aim, stretch) in AIMS.items():
        for name in (one for one in targets if kind in one):
            fit = msgspec.structs.replace(recipe.preprocess.fit, height=height, min_width=0)
            protocol = Evaluation(protocol="lazy", title="", datasets=("coco_mini",), fit=fit, order="resize_then_normalize", decode=decode)
            used = part(recipe, session.place.declared.targets[name], protocol)
            best = {"alone": 0.0, "whole": 0.0}
            for layout in layouts(session.context.threads):
                folder = artifact(outcomes, f"{recipe.name}/{name}/compile")
                with used.open(folder, session.context, streams=layout.streams) as model:
                    case = Case(cast(Estimator, model), images, layout, session.context)
                    # the first of each is warm-up
                    network, poses = zip(*[(case.alone(), case.whole()) for _ in range(given.rounds + 1)], strict=True)
                middle, low, high = ratio(poses[1:], network[1:])
                rates = {"alone": statistics.median(network[1:]), "whole": statistics.median(poses[1:])}
                share = f"{middle:.3f} ({low:.3f}-{high:.3f})"
                print(row(height, name, layout, f"{rates['alone']:.1f}", f"{rates['whole']:.1f}", share, ""), flush=True)
                best = {way: max(best[way], rates[way]) for way in best}
            share = f"{best['whole'] / best['alone']:.3f}"
            print(
                row(height, name, "best of each", f"{best['alone']:.1f}", f"{best['whole']:.1f}", share, f"{aim} ({stretch})"), flush=True
            )


if __name__ == "__main__":
    main()
