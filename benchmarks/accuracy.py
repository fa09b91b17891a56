"""Accuracy of a recipe's FP32 and INT8 rows on coco_mini in each of its protocols, what INT8 loses, and how much faster it is.

    python benchmarks/accuracy.py [RECIPE] [--targets onnxruntime-int8 openvino-int8] [--naive]

The loss is a paired bootstrap: the same images, drawn with replacement (zoo/metrics/coco.py). Speed is the network alone at
the recipe's benchmark size, all networks side by side. `--naive` adds ONNX Runtime's INT8 with nothing kept, nothing
smoothed, and ranges from the least to the greatest value.
"""

from collections.abc import Mapping

import msgspec
from common import arguments, artifact, carry_out, detections, faster, head, machine, open_recipe, paired, row, side_by_side

from zoo.calibrators import MinMax
from zoo.cli.session import Session
from zoo.engine.execute import Outcome
from zoo.pose.fits import Stretch
from zoo.recipe.model import Recipe, TargetOptions
from zoo.steps import reports
from zoo.steps.bundle import preprocess
from zoo.steps.parity import Gate

REFERENCE = "onnxruntime-fp32"
NAIVE = "naive onnxruntime-int8"
#: protocol -> what FP32 is to reach on coco_mini, and how near: figures of the originals with these weights
AIMS = {
    ("human_pose_estimation_0001", "lightweight_openpose"): (0.4467, 0.002),
    ("human_pose_estimation_0001", "open_model_zoo"): (0.4262, 0.003),
}


def naive(recipe: Recipe) -> Recipe:
    """The recipe as a beginner would quantise it."""
    if recipe.calibration is None:
        raise SystemExit(f"{recipe.name} declares no calibration")
    plain = msgspec.structs.replace(recipe.calibration, method=MinMax(), smooth=None)
    return msgspec.structs.replace(
        recipe, calibration=plain, targets={"onnxruntime-int8": TargetOptions(parity=Gate(snr=0, reason="naive"))}
    )


def speeds(session: Session, recipe: Recipe, found: Mapping[str, tuple[str, Mapping[str, Outcome]]], rounds: int) -> dict[str, str]:
    """label -> times FP32's speed, as text."""
    calibration = recipe.calibration
    dataset = session.place.declared.datasets[calibration.dataset if calibration else "coco_mini"]
    images = dataset.open(session.context, None)
    size = Stretch(width=recipe.benchmark.width, height=recipe.benchmark.height)
    calls = {}
    for label, (target, outcomes) in found.items():
        compiled = artifact(outcomes, f"{recipe.name}/{target}/compile")
        tensor = preprocess(compiled).with_fit(size).prepare(images.read(images.samples[0]))[0]
        backend = session.place.declared.targets[target].backend
        runner = backend.open(compiled, threads=session.context.threads, shape={"": tensor.shape})
        name = next(iter(runner.inputs))
        calls[label] = lambda runner=runner, name=name, tensor=tensor: runner({name: tensor})
    times = side_by_side(calls, rounds)
    return {label: faster(times[REFERENCE], times[label]) for label in found}


def main() -> None:
    parser = arguments(__doc__, rounds=30)
    parser.add_argument("recipe", nargs="?", default="human_pose_estimation_0001")
    parser.add_argument("--targets", nargs="+", default=["onnxruntime-int8", "openvino-int8"])
    parser.add_argument("--dataset", default="coco_mini")
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--samples", type=int, default=1000, help="draws of the bootstrap")
    given = parser.parse_args()
    session, recipe = open_recipe(given.recipe)
    outcomes = carry_out(session, recipe, [REFERENCE, *given.targets], accuracy=True)
    found = {target: (target, outcomes) for target in [REFERENCE, *given.targets]}
    if given.naive:
        found[NAIVE] = ("onnxruntime-int8", carry_out(session, naive(recipe), ["onnxruntime-int8"], accuracy=True))
    quick = speeds(session, recipe, found, given.rounds)
    dataset = session.place.declared.datasets[given.dataset]
    print(machine(session.context.threads) + "\n")
    columns = ("protocol", "row", "AP", "AP50", "AR", "detections", "AP lost", "standard error, 95 %", "times FP32's speed (quartiles)")
    print(head(*columns))
    for evaluation in recipe.evaluate:
        for label, (target, ran) in found.items():
            id = f"{recipe.name}/{target}/accuracy/{given.dataset}/{evaluation.protocol}"
            report = reports.read(artifact(ran, id))
            if not isinstance(report, reports.Accuracy):
                raise SystemExit(f"{id}: {report}")
            aim = AIMS.get((recipe.name, evaluation.protocol)) if label == REFERENCE else None
            lost, spread = "", ""
            if label != REFERENCE:
                first = detections(outcomes, f"{recipe.name}/{REFERENCE}/accuracy/{given.dataset}/{evaluation.protocol}")
                lost, spread = paired(evaluation, dataset, session.context, first, detections(ran, id), given.samples)
            figures = [f"{report.figures[name] or 0:.4f}" for name in ("AP", "AP50", "AR")]
            if aim:
                reached = abs((report.figures["AP"] or 0) - aim[0]) <= aim[1]
                figures[0] += f" (to reach: {aim[0]:.4f} +- {aim[1]:.3f}: {'yes' if reached else 'NO'})"
            print(row(evaluation.protocol, label, *figures, report.detections, lost, spread, quick[label]))


if __name__ == "__main__":
    main()
