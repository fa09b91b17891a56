"""Throughputs that cannot be true are refused, and those that can are not."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from workspaces import Small, Zoo

from zoo.backends import OnnxRuntime
from zoo.board.tables import of_latency
from zoo.context import Context
from zoo.datasets import Folder
from zoo.errors import StepFailed
from zoo.machine import describe
from zoo.measure import interleaved
from zoo.measure import roof as roofs
from zoo.measure.claim import joined, judge, named
from zoo.measure.count import Cost
from zoo.measure.isolated import Isolated
from zoo.measure.latency import summarise
from zoo.measure.roof import Copy, Peak, Roof, find
from zoo.measure.tally import Asked
from zoo.measure.throughput import Throughput
from zoo.measure.windows import Taken
from zoo.steps import guard, timing
from zoo.steps import latency as steps
from zoo.steps.images import Views
from zoo.steps.reports import Failure, Latency, read
from zoo.steps.timing import Timed

#: 2 GFLOPs an image of which 1 GFLOP is needed, 10 MB of weights, 1 MB of input and output
COST = Cost(
    batch=1, flops={"fp32": 2e9}, fewest={"fp32": 1e9}, elementwise=0, weights=10_000_000, edges=1_000_000, traffic=90_000_000
)  # fmt: skip


def machine(**tera: float) -> Roof:
    peaks = tuple(Peak(way=f"product {name}", precision=name, flops_per_second=value * 1e12) for name, value in tera.items())
    return Roof(measured=False, peaks=peaks)


def verdict(rate: float, *, cost: Cost = COST, batch: int = 1, roof: Roof | None = None, **said: Any) -> Any:
    return judge(cost, rate, batch=batch, roof=roof or machine(fp32=1.0), **{"precision": "fp32", **said})


def test_above_the_roof_is_refused_with_the_reason_and_below_it_is_not() -> None:
    half = verdict(250)
    assert half.share == 0.5 and half.ceiling == 500 and half.bound == "compute" and not half.refused and not half.notes
    # what Winograd's algorithm allows is said, and not refused
    above = verdict(999)
    assert above.share == pytest.approx(2.0, abs=0.01) and not above.refused and "Winograd" in above.notes[0]
    (reason,) = verdict(1001).refused
    assert "1001.0 images/s would be 2.00 TFLOP/s in fp32" in reason and "at most 1000.0" in reason and "product fp32" in reason


def test_a_measured_roof_has_a_margin() -> None:
    measured = Roof(measured=True, peaks=machine(fp32=1.0).peaks)
    assert not verdict(1090, roof=measured).refused and verdict(1110, roof=measured).refused


def test_bytes_that_cannot_be_spared_bound_it_too_and_a_batch_shares_the_weights() -> None:
    slow = Roof(measured=False, peaks=machine(fp32=1000.0).peaks, copies=(Copy(bytes_per_second=1.1e9),))
    assert verdict(100, roof=slow).share == pytest.approx(1.0) and verdict(100, roof=slow).bound == "memory"
    assert "1.21 GB/s of weights, input and output" in verdict(110, roof=slow).refused[0]
    assert verdict(110, roof=slow, batch=10).share == pytest.approx(0.2)


def test_a_batch_that_was_not_bound_is_refused() -> None:
    (reason,) = verdict(10, batch=32, bound={"data": (1, 3, 64, 64)}).refused
    assert reason == "32 images a call are claimed, and the tensors that were bound held 1"
    assert not verdict(10, batch=32, bound={"data": (32, 3, 64, 64)}).refused


def test_fp16_that_was_fp32_is_held_against_the_roof_of_fp32() -> None:
    both, half = machine(fp32=1.0, fp16=8.0), Cost(**{**_plain(COST), "flops": {"fp16": 2e9}, "fewest": {"fp16": 2e9}})
    honest = verdict(2000, cost=half, roof=both, precision="fp16", computed_in="fp16")
    assert not honest.refused and not honest.notes and honest.share == 0.5
    lie = verdict(2000, cost=half, roof=both, precision="fp16", computed_in="fp32 (a float16 file, cast)")
    assert lie.refused and lie.share == 4.0
    assert lie.notes == ("asked for fp16, computed in fp32 (a float16 file, cast): held against the roof of fp32",)
    # and the same of eight bits
    assert verdict(2000, roof=machine(fp32=1.0, int8=8.0), precision="int8", computed_in="fp32").refused


def test_each_layer_is_held_against_the_roof_of_what_it_was_computed_in() -> None:
    mixed = Cost(**{**_plain(COST), "flops": {"int8": 4e9, "fp32": 1e9}, "fewest": {"int8": 4e9, "fp32": 1e9}})
    found = verdict(100, cost=mixed, roof=machine(fp32=1.0, int8=4.0), precision="int8", computed_in="int8 (113 of 121), fp32")
    assert found.ceiling == pytest.approx(500)
    # fp32 in the graph, bf16 by the runtime
    assert verdict(100, roof=machine(fp32=1.0, bf16=2.0), precision="bf16", computed_in="bf16").ceiling == pytest.approx(1000)


def test_a_runtimes_account_is_read() -> None:
    assert named("int8 (113 of 121), fp32") == ("int8", "fp32")
    assert named("fp32 (a float16 file, cast)") == ("fp32",)
    assert named("no convolutions") == named("") == ()


def _plain(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in cost.__struct_fields__}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "SECONDS", 0.0)
    monkeypatch.setattr(roofs, "FEWEST", 3)
    monkeypatch.setattr(roofs, "SIZES", {False: (64, 2)})
    monkeypatch.setattr(roofs, "COPIED", (1 << 12, 1 << 16))


def test_the_roof_says_how_it_was_measured_and_keeps_what_was(quick: None, context: Context) -> None:
    found = roofs.measure_roof(OnnxRuntime(), "int8", context=context)
    assert found.measured and found.threads == 1
    assert [(peak.way, peak.precision) for peak in found.peaks] == [
        ("numpy fp32", "fp32"),
        ("onnxruntime fp32", "fp32"),
        ("onnxruntime int8", "int8"),
    ]
    assert all(len(peak.milliseconds) == 3 and peak.flops_per_second > 1e6 for peak in found.peaks)
    product = found.peaks[1]
    assert product.flops_per_second == pytest.approx(2 * 64**3 * 2 / min(product.milliseconds) * 1e3)
    assert [copy.size for copy in found.copies] == [1 << 12, 1 << 16] and found.bytes_per_second
    assert found.flops_per_second("fp32") == max(peak.flops_per_second for peak in found.peaks[:2])
    assert set(found.versions) == {"numpy", "onnx", "onnxruntime"}


def test_many_threads_multiply_together_and_each_by_itself(quick: None, context: Context) -> None:
    found = roofs.measure_roof(OnnxRuntime(), "fp32", context=replace(context, threads=2))
    assert [peak.way for peak in found.peaks] == ["numpy fp32", "onnxruntime fp32", "onnxruntime fp32, 2 streams"]
    both = found.peaks[2]
    assert both.flops_per_second == pytest.approx(2 * 2 * 64**3 * 2 / min(both.milliseconds) * 1e3)


def test_half_precision_that_the_cpu_casts_is_no_roof_of_fp16(quick: None, context: Context) -> None:
    found = roofs.measure_roof(OnnxRuntime(), "fp16", context=context)
    assert [(peak.way, peak.precision) for peak in found.peaks][-1] == ("onnxruntime fp16", "fp32")


def test_a_precision_that_the_backend_does_not_build_is_left_out(quick: None, context: Context) -> None:
    assert [peak.way for peak in roofs.measure_roof(OnnxRuntime(), "bf16", context=context).peaks] == ["numpy fp32", "onnxruntime fp32"]


def test_a_roof_is_measured_once_and_again_only_raises_it(quick: None, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter((1.0, 3.0, 2.0))

    def measured(function: Any, *arguments: Any, **named: Any) -> Any:
        rate = next(rates)
        return type("Isolated", (), {"value": Roof(measured=True, peaks=(Peak(way="w", precision="fp32", flops_per_second=rate),))})

    monkeypatch.setattr(roofs, "run_isolated", measured)
    found = [find(OnnxRuntime(), "fp32", context, again=again) for again in (False, False, True, True)]
    assert [one.flops_per_second("fp32") for one in found] == [1, 1, 3, 3]
    (file,) = (context.cache / "roofs").iterdir()
    file.write_text("{")  # what cannot be read was never measured
    with pytest.raises(StopIteration):
        find(OnnxRuntime(), "fp32", context)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A workspace in the current folder, with a recipe and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return Small.make(tmp_path)


CLAIM = ("audit", "claim", "--recipe", "tiny", "--batch", "32", "--images-per-second")


def test_somebody_elses_figure_is_judged_without_weights(small: Small, zoo: Zoo) -> None:
    found = zoo(*CLAIM, "21030", "--peak-tflops", "100", "--json")
    cost = json.loads(found.out)["cost"]
    assert found.code == 0 and not (small.root / "tiny.pth").exists()
    peak = cost["fewest"]["fp16"] * 10_000 / 1e12  # it could do 10000 a second
    refused = zoo(*CLAIM, "21030", "--peak-tflops", str(peak))
    assert refused.code == 1 and "cannot be true: 21030.0 images/s would be" in refused.out
    assert "were each call of an engine of batch 1 counted as 32 images, it would be 657.2 images/s" in refused.out
    assert "which can be" in refused.out
    possible = zoo(*CLAIM, "657.2", "--peak-tflops", str(peak))
    assert possible.code == 0 and "657.2 images/s can be true" in possible.out
    hopeless = zoo(*CLAIM, "21030", "--peak-tflops", str(peak / 1000))
    assert hopeless.code == 1 and "counted 2103 times" in hopeless.out
    moving = zoo(*CLAIM, "21030", "--peak-tflops", "1000", "--peak-gbps", "0.001")
    assert moving.code == 1 and "of weights, input and output" in moving.out


def test_a_claim_of_any_size_is_judged_at_once(small: Small, zoo: Zoo) -> None:
    began = time.monotonic()
    assert zoo(*CLAIM, "1", "--peak-tflops", "1", "--shape", "3x80000000x80000000").code == 1
    assert time.monotonic() - began < 20


def test_the_size_of_a_claim_is_that_of_its_input(small: Small, zoo: Zoo) -> None:
    def flops(*words: str) -> float:
        return float(json.loads(zoo(*CLAIM, "1", "--peak-tflops", "1", "--json", *words).out)["cost"]["flops"]["fp16"])

    assert flops("--shape", "3x128x64") == 2 * flops()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shape", "64x64"), "'64x64' is no shape"),
        (("--shape", "3x0x64"), "'3x0x64' is no shape"),
        (("--peak-tflops", "0"), "--peak-tflops"),
        (("--recipe", "tinny"), "did you mean tiny?"),
        (("--precision", "fp12"), "--precision"),
        (("--peak-tflops", "nan"), "'nan' is no number"),
        (("--peak-tflops", "inf"), "'inf' is no number"),
        (("--images-per-second", "nan"), "'nan' is no number"),
        (("--shape", "1x64x64"), "tiny takes 3 channels, not 1"),
    ],
)
def test_a_claim_that_cannot_be_judged_ends_in_2(small: Small, zoo: Zoo, words: tuple[str, str], said: str) -> None:
    found = zoo(*CLAIM, "1", "--peak-tflops", "1", *words)
    assert found.code == 2 and said in found.err


def test_a_path_needs_no_command(tmp_path: Path, zoo: Zoo) -> None:
    (tmp_path / "claim").mkdir()
    for words in ((str(tmp_path),), ("files", str(tmp_path)), ("--json", str(tmp_path))):
        assert zoo("audit", *words).code == 0
    assert zoo("audit").code == 2
    told = zoo("audit", "claim", "--help").out
    assert "21030" in told and "657" in told


def test_a_network_whose_outputs_do_not_change_or_whose_batch_is_another_is_not_timed(context: Context) -> None:
    import numpy as np

    from zoo.backends.runner import TensorSpec
    from zoo.measure.latency import measure

    class Still:
        inputs = {"x": TensorSpec((1, 3), "float32")}

        def __call__(self, feeds: Any, /) -> Any:
            return {"y": np.zeros((1, 3), np.float32)}

    feeds = [{"x": np.full((1, 3), value, np.float32)} for value in (1, 2)]
    with pytest.raises(StepFailed, match="do not change"):
        measure(Still(), feeds, context=context)
    with pytest.raises(StepFailed, match="fixed at 1 images a call and was given 32"):
        measure(Still(), [{"x": np.repeat(feed["x"], 32, 0)} for feed in feeds], context=context)


@pytest.fixture
def timed(tmp_path: Path, network: Any, context: Context) -> tuple[Latency, dict[str, Path]]:
    """10 images a second of a small network, as a report, and what it was made from."""
    import onnx

    model, compiled = tmp_path / "model", tmp_path / "compiled"
    model.mkdir()
    compiled.mkdir()
    onnx.save(network, model / "model.onnx")
    OnnxRuntime().compile(model, compiled, precision="fp32", shapes={}, context=context)
    took = summarise(Taken(times=[100_000_000] * 6, windows=1, yardsticks=[1.0, 1.0]), [0] * 6, batch=1, warmup_runs=3)
    latency = Latency(
        timing=took,
        threads=1,
        shapes={"data": (1, 3, 64, 64)},
        peak_memory_bytes=1,
        size_bytes=1,
        machine=describe(),
        computed_in="fp32",
    )
    return latency, {"model": model, "compiled": compiled}


def test_a_timing_above_the_roof_becomes_no_figure_and_one_below_says_its_share(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency, given = timed
    asked: list[bool] = []
    speed = 1e6

    def planted(backend: Any, precision: str, context: Context, *, again: bool = False) -> Roof:
        asked.append(again)
        return Roof(measured=True, peaks=(Peak(way="planted", precision="fp32", flops_per_second=speed, milliseconds=(1.0,)),))

    monkeypatch.setattr(guard, "find", planted)
    refused = guard.guard(latency, given, OnnxRuntime(), context)
    assert isinstance(refused, Failure) and refused.word == "refused" and refused.batch == 1
    assert "10.0 images/s would be" in refused.message and "(1.00 MFLOP/s, planted)" in refused.message
    assert asked == [False, True]  # a neighbour may have been there the first time

    speed = 1e12
    kept = guard.guard(latency, given, OnnxRuntime(), context)
    assert isinstance(kept, Latency) and kept.claim and asked == [False, True, False]
    assert kept.claim.share == pytest.approx(10 * kept.claim.flops / 1e12) and kept.claim.flops > 1e5
    assert kept.claim.roof.peaks[0].milliseconds == ()  # the single calls stay in the cache
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Latency) == kept


def plant(monkeypatch: pytest.MonkeyPatch, **tera: float) -> None:
    monkeypatch.setattr(guard, "find", lambda *_, **__: Roof(measured=True, peaks=machine(**tera).peaks))


def setting(rate: float, **ways: int) -> Throughput:
    fields = {"instances": 1, "streams": 1, "threads": 2, "batch": 1, "images": 9, **ways}
    return Throughput(**fields, seconds=1.0, images_per_second=rate, median_ms=1.0, p90_ms=1.0, p99_ms=1.0)


def test_a_throughput_above_the_roof_is_taken_out_with_the_reason_and_what_is_true_stays(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency, given = timed
    plant(monkeypatch, fp32=1.0)
    limit = guard.guard(latency, given, OnnxRuntime(), context).claim.limit  # type: ignore[union-attr]
    fine, lie = setting(limit * 0.9, streams=2), setting(limit * 1.1, instances=2, streams=3)
    kept = guard.guard(msgspec.structs.replace(latency, throughput=(lie, fine)), given, OnnxRuntime(), context)
    assert isinstance(kept, Latency) and kept.throughput == (fine,) and kept.best == fine
    (reason,) = kept.refused
    assert reason.startswith(f"2 instances of 3 streams: {limit * 1.1:.1f} images/s would be") and f"at most {limit:.1f} images/s" in reason
    assert f"a throughput was refused, of {reason}" in of_latency(kept)
    assert kept.share(fine) == pytest.approx(0.9 * limit / kept.claim.ceiling)  # type: ignore[union-attr]


def test_a_throughput_that_counts_images_that_were_not_bound_is_taken_out(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency, given = timed
    plant(monkeypatch, fp32=1.0)
    kept = guard.guard(msgspec.structs.replace(latency, throughput=(setting(20, streams=2, batch=32),)), given, OnnxRuntime(), context)
    assert isinstance(kept, Latency) and not kept.throughput
    assert kept.refused == ("2 streams: 32 images a call are claimed, and the tensors that were bound held 1",)


def test_a_report_that_counts_images_that_were_not_bound_is_refused(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency, given = timed
    plant(monkeypatch, fp32=1.0)
    lie = msgspec.structs.replace(latency, timing=msgspec.structs.replace(latency.timing, batch=32, images=32 * latency.timing.runs))
    refused = guard.guard(lie, given, OnnxRuntime(), context)
    assert isinstance(refused, Failure) and "32 images a call are claimed" in refused.message


def test_a_step_that_times_writes_no_figure_above_the_roof(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    latency, given = timed
    out = tmp_path / "out"
    out.mkdir()
    lie = Timed(latency.timing, latency.shapes, "fp32", 0.1)
    monkeypatch.setattr(timing, "interleave", lambda tasks: [interleaved.Taken(Isolated(lie, 1)) for _ in tasks])
    monkeypatch.setattr(steps.MeasureLatency, "batches", lambda *_: [])
    plant(monkeypatch, fp32=1e-6)
    views = Views(dataset=Folder(title="", images="."), boxes=None)
    steps.MeasureLatency(backend=OnnxRuntime(), views=views, batch=1, height=64, width=64).run(given, out, context)
    written = read(out)
    assert isinstance(written, Failure) and written.word == "refused"


def test_a_report_of_fp16_that_was_fp32_is_held_against_the_roof_of_fp32_and_says_so(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, network: Any
) -> None:
    latency, given = timed
    half = tmp_path / "half"
    half.mkdir()
    OnnxRuntime().compile(given["model"], half, precision="fp16", shapes={}, context=context)
    given = {**given, "compiled": half}
    said = "fp32 (a float16 file, cast)"
    plant(monkeypatch, fp32=1e-6, fp16=1.0)  # 1 MFLOP/s and a million times that
    honest = guard.guard(msgspec.structs.replace(latency, computed_in="fp16"), given, OnnxRuntime(), context)
    assert isinstance(honest, Latency) and not honest.claim.notes  # type: ignore[union-attr]
    refused = guard.guard(msgspec.structs.replace(latency, computed_in=said), given, OnnxRuntime(), context)
    assert isinstance(refused, Failure) and "product fp32" in refused.message
    assert f"asked for fp16, computed in {said}: held against the roof of fp32" in refused.message
    # where it can be, the row says what it was computed in
    plant(monkeypatch, fp32=1.0, fp16=8.0)
    kept = guard.guard(msgspec.structs.replace(latency, computed_in=said), given, OnnxRuntime(), context)
    assert isinstance(kept, Latency) and kept.computed_in == said
    assert kept.claim.ceiling == pytest.approx(1e12 / kept.claim.flops)  # type: ignore[union-attr]
    assert any("computed in fp32" in line for line in of_latency(kept))


def test_a_pipeline_is_held_against_the_roof_by_the_calls_of_its_networks() -> None:
    # a detector's image (2 ms at the roof) and three crops of a network (1 ms each, computed in what is twice as fast)
    both = machine(fp32=1.0, bf16=2.0)
    first, second = verdict(0, roof=both), verdict(0, roof=both, precision="bf16", computed_in="bf16")
    found = joined([(1, first), (3, second)], 100)
    assert found.ceiling == pytest.approx(1 / (2e-3 + 3e-3)) and found.share == pytest.approx(0.5) and not found.refused
    assert found.flops == 8e9 and found.limit == pytest.approx(2 * found.ceiling) and found.bound == "compute"
    assert {peak.precision for peak in found.roof.peaks} == {"fp32", "bf16"}
    (reason,) = joined([(1, first), (3, second)], 401).refused
    assert reason == "401.0 images/s leave its networks less time than the roof allows: at most 400.0 images/s can be"


def test_a_pipeline_above_the_roof_becomes_no_figure(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    latency, alone = timed
    compiled = tmp_path / "both"
    compiled.mkdir()
    for role in ("body", "hand"):
        (compiled / role).symlink_to(alone["compiled"])
    given = {"compiled": compiled, "body model": alone["model"], "hand model": alone["model"]}
    asked = [
        Asked(role=role, shape=(n, 3, 64, 64), calls=calls, computed_in="fp32") for role, n, calls in (("body", 1, 1), ("hand", 2, 1.5))
    ]
    whole = msgspec.structs.replace(latency, asked=tuple(asked))
    backends = dict.fromkeys(("body", "hand"), OnnxRuntime())
    plant(monkeypatch, fp32=1.0)
    one = guard.guard(latency, alone, OnnxRuntime(), context)
    kept = guard.guard_whole(whole, given, backends, context)
    assert isinstance(one, Latency) and isinstance(kept, Latency) and one.claim and kept.claim
    assert kept.claim.flops == pytest.approx(4 * one.claim.flops) and kept.claim.share == pytest.approx(4 * one.claim.share)
    plant(monkeypatch, fp32=1e-6)
    refused = guard.guard_whole(whole, given, backends, context)
    assert isinstance(refused, Failure) and "less time than the roof allows" in refused.message
    nobody = msgspec.structs.replace(latency, asked=())
    assert guard.guard_whole(nobody, given, backends, context) == nobody


def test_a_graph_that_nobody_can_count_is_not_judged(
    timed: tuple[Latency, dict[str, Path]], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uncounted(*_: Any) -> Cost:
        raise StepFailed("its sizes are not known")

    monkeypatch.setattr(guard, "count", uncounted)
    assert guard.guard(*timed, OnnxRuntime(), context) == timed[0]
