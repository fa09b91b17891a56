"""Which nodes to keep in float when a recipe's network is quantised for ONNX Runtime, and how to choose its ranges.

    python benchmarks/int8_keep.py RECIPE [--speed 2.2] [--width 4] [--methods minmax ...]

Nothing that the recipe is judged on is looked at. Every way to quantise is run on the recipe's own calibration images
and held, through the decoder, against the poses of the FP32 network there: `agreement` (zoo/metrics/drift.py) is 1 where
the same people stand at the same places, and falls with every shift, loss and invention. The search:

1. the methods (and smoothing), with nothing kept;
2. with the best of them, every run of `--width` convolutions with what follows each, in the graph's order: a tensor stays
   quantised if either neighbour is, so single nodes show nothing;
3. the best run, longer and shorter by a convolution at either end for as long as that helps, and joined with the second;
4. speed against FP32, networks side by side, for the best of all these;
5. the choice: of those at least `--speed` times as fast as FP32, the fewest nodes within `--slack` of the best agreement.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from common import arguments, artifact, carry_out, head, machine, open_recipe, ratio, row, side_by_side

from zoo.backends import OnnxRuntime
from zoo.calibrators import Calibrator
from zoo.calibrators.quantize import observe, quantize
from zoo.calibrators.smooth import smooth
from zoo.context import Context
from zoo.machine import vnni
from zoo.metrics.drift import drift
from zoo.pose.fits import Stretch
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import to_coco
from zoo.recipe.model import Calibration, Recipe
from zoo.steps.bundle import MODEL, preprocess

METHODS = {
    "minmax": {"type": "minmax"},
    "entropy": {"type": "entropy"},
    "percentile 99.99": {"type": "percentile", "percentile": 99.99},
    "percentile 99.999": {"type": "percentile", "percentile": 99.999},
}
SMOOTH = 0.5  # a strength that is tried beside none and the recipe's own
FINALISTS = 12


@dataclass(frozen=True)
class Way:
    """A way to quantise: convolutions `first` to `last` (not included) of each run stay in float."""

    method: str
    smooth: float | None = None
    runs: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        runs = ", ".join(f"{first}..{last - 1}" for first, last in self.runs) or "nothing"
        return f"{self.method}{f', smooth {self.smooth:g}' if self.smooth else ''}, keep {runs}"


@dataclass
class Laboratory:
    """One recipe's network, its calibration images, and what FP32 sees on them."""

    recipe: Recipe
    model: Path
    given: list[tuple[Any, Any]]
    """(tensor (1, 3, h, w), affine) of every calibration image."""
    bench: np.ndarray[Any, Any]
    scratch: Path
    context: Context
    found: dict[Way, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import onnx

        nodes = onnx.load(self.model / MODEL).graph.node
        self.units: list[list[str]] = []
        for node in nodes:
            if node.op_type == "Conv":
                self.units.append([])
            if self.units:
                self.units[-1].append(node.name)
        self.input = onnx.load(self.model / MODEL).graph.input[0].name
        self.reference = self.poses(self.model)
        self._seen: dict[float | None, tuple[Path, Any]] = {}

    def keep(self, way: Way) -> tuple[str, ...]:
        """The names of the nodes that `way` keeps in float."""
        return tuple(name for first, last in way.runs for unit in self.units[first:last] for name in unit)

    def poses(self, folder: Path) -> list[Poses]:
        """The poses on every calibration image, keypoints in COCO's order. Two images at a time, a thread each."""
        with OnnxRuntime().open(folder, threads=1) as runner, ThreadPoolExecutor(self.context.threads) as pool:

            def one(pair: tuple[Any, Any]) -> Poses:
                return to_coco(self.recipe.decode.decode(runner({self.input: pair[0]}), pair[1]), self.recipe.decode.skeleton)

            return list(pool.map(one, self.given))

    def quantised(self, way: Way) -> Path:
        """The folder of the model quantised in that way; the images are looked at once for all ways."""
        source, seen = self._observed(way.smooth)
        out = self.scratch / f"{abs(hash(way)):x}"
        out.mkdir(exist_ok=True)
        calibration = self.recipe.calibration or Calibration(dataset="")
        calibrator = msgspec.convert(METHODS[way.method], Calibrator)
        quantize(
            source,
            out / MODEL,
            (),
            calibrator=calibrator,
            scheme="u8s8",
            keep=self.keep(way),
            per_channel=calibration.per_channel,
            reduce_range=not vnni(),
            seen=seen,
            context=self.context,
        )
        return out

    def score(self, way: Way) -> float:
        """The agreement of `way` with FP32; told once."""
        if way not in self.found:
            self.found[way] = drift(self.reference, self.poses(self.quantised(way)))
            told = self.found[way]
            print(
                row(way, len(self.keep(way)), f"{told['agreement']:.4f}", f"{told['found']:.3f}", f"{told['oks']:.4f}", told["extra"]),
                flush=True,
            )
        return self.found[way]["agreement"]

    def speeds(self, ways: Sequence[Way], rounds: int) -> dict[Way, tuple[float, float, float]]:
        """Times FP32's speed at the recipe's benchmark size: median and quartiles of rounds, all networks side by side."""
        shape = {"": self.bench.shape}
        backend, threads = OnnxRuntime(), self.context.threads
        runners = {"fp32": backend.open(self.model, threads=threads, shape=shape)}
        runners |= {str(way): backend.open(self.quantised(way), threads=threads, shape=shape) for way in ways}
        calls = {name: (lambda runner=runner: runner({self.input: self.bench})) for name, runner in runners.items()}
        times = side_by_side(calls, rounds)
        return {way: ratio(times["fp32"], times[str(way)]) for way in ways}

    def _observed(self, strength: float | None) -> tuple[Path, Any]:
        if strength not in self._seen:
            import onnx

            source = self.model / MODEL
            feeds = [{self.input: tensor} for tensor, _ in self.given]
            if strength is not None:
                source = self.scratch / f"smooth-{strength:g}.onnx"
                onnx.save(smooth(onnx.load(self.model / MODEL), feeds, strength, self.context), source)
            self._seen[strength] = source, observe(source, feeds, bins=4096, context=self.context)
        return self._seen[strength]


def climb(lab: Laboratory, way: Way) -> Way:
    """The run of `way`, an end moved by one convolution for as long as that raises the agreement."""
    while True:
        (first, last), *rest = way.runs
        moved = [(first - 1, last), (first, last + 1), (first + 1, last), (first, last - 1)]
        near = [
            Way(way.method, way.smooth, (run, *rest)) for run in moved if run[0] >= 0 and run[1] <= len(lab.units) and run[1] - run[0] >= 2
        ]
        best = max(near, key=lab.score)
        if lab.score(best) <= lab.score(way):
            return way
        way = best


def search(lab: Laboratory, methods: Sequence[str], width: int) -> None:
    """Steps 1 to 3: fills `lab.found`."""
    own = lab.recipe.calibration.smooth if lab.recipe.calibration else None
    strengths = dict.fromkeys((None, SMOOTH, own))
    plain = max((Way(method, strength) for method in methods for strength in strengths), key=lab.score)
    starts = range(0, len(lab.units) - 1, width // 2)
    runs = [Way(plain.method, plain.smooth, ((start, min(start + width, len(lab.units))),)) for start in starts]
    first, *others = sorted(runs, key=lab.score, reverse=True)
    first = climb(lab, first)
    inside = range(*first.runs[0])
    apart = next(way for way in others if not set(inside) & set(range(*way.runs[0])))
    lab.score(Way(plain.method, plain.smooth, (*first.runs, *apart.runs)))


def laboratory(name: str, scratch: Path, images: int | None) -> Laboratory:
    """Build the FP32 network and read the calibration images."""
    session, recipe = open_recipe(name)
    outcomes = carry_out(session, recipe, ["onnxruntime-fp32"])
    if recipe.calibration is None:
        raise SystemExit(f"{name} declares no calibration")
    model = artifact(outcomes, f"{name}/edit")
    ready = preprocess(model)
    dataset = session.place.declared.datasets[recipe.calibration.dataset]
    photos = next((artifact(outcomes, id) for id in outcomes if id == f"photos/{recipe.calibration.dataset}/fetch"), None)
    opened = dataset.open(session.context, photos).subset(images or recipe.calibration.images)
    read = [opened.read(sample) for sample in opened.samples]
    bench = ready.with_fit(Stretch(width=recipe.benchmark.width, height=recipe.benchmark.height)).prepare(read[0])[0]
    return Laboratory(recipe, model, [ready.prepare(image) for image in read], bench, scratch, session.context)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--speed", type=float, default=2.2, help="the least speed, in times FP32's")
    parser.add_argument("--slack", type=float, default=0.003, help="agreement that fewer nodes may cost")
    parser.add_argument("--width", type=int, default=4, help="convolutions in a run")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    parser.add_argument("--images", type=int, help="only the first N calibration images (for a quick look)")
    parser.add_argument("--rounds", type=int, default=15, help="calls of each network when speeds are measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lab = laboratory(given.recipe, Path(folder), given.images)
        print(f"{machine(lab.context.threads)}\n{len(lab.given)} images, {sum(map(len, lab.reference))} people found by FP32\n")
        print(head("way", "nodes in float", "agreement", "found", "OKS of the found", "extra people"))
        search(lab, given.methods, given.width)
        best = sorted(lab.found, key=lab.score, reverse=True)[:FINALISTS]
        speeds = lab.speeds(best, given.rounds)
        print("\n" + head("way", "nodes in float", "agreement", "times FP32's speed (quartiles)"))
        for way in best:
            middle, low, high = speeds[way]
            print(row(way, len(lab.keep(way)), f"{lab.score(way):.4f}", f"{middle:.2f} ({low:.2f}-{high:.2f})"))
        quick = [way for way in best if speeds[way][0] >= given.speed]
        if not quick:
            print(f"\nnone of them is {given.speed} times as fast as FP32")
            return
        top = max(map(lab.score, quick))
        chosen = min((way for way in quick if lab.score(way) >= top - given.slack), key=lambda way: len(lab.keep(way)))
        print(f"\nchosen: {chosen}, agreement {lab.score(chosen):.4f} at {speeds[chosen][0]:.2f} times FP32's speed\nkeep:")
        for name in lab.keep(chosen):
            print(f"  - {name}")


if __name__ == "__main__":
    main()
