"""The leaderboard: results become rows, tables and text."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.board.batches import batch_tables
from zoo.board.columns import COLUMNS, FIGURES, number, pick, published_text
from zoo.board.markdown import markdown
from zoo.board.results import Result, Weights, decode, encode, load, path_of
from zoo.board.rows import rows
from zoo.board.tables import Table, tables, to_json, words
from zoo.cli.settings import HEADER, lines
from zoo.errors import UsageError, ZooError
from zoo.machine import Gpu, Machine
from zoo.measure.claim import Verdict
from zoo.measure.latency import Timing
from zoo.measure.roof import Peak, Roof
from zoo.measure.throughput import Throughput
from zoo.metrics import Metric
from zoo.steps.reports import (
    Accuracy,
    Ceiling,
    Comparison,
    Data,
    Difference,
    EndToEnd,
    Failure,
    Latency,
    Parity,
    Published,
    Shortfall,
    Stage,
)

MACHINE = Machine(cpu="A CPU", architecture="x86_64", isa=("avx2", "avx512_vnni"), cores=2, threads=2, memory_bytes=8 << 30, os="Linux 6")
ORIGINAL = {"name": "original", "fit": {"type": "height", "height": 368}, "flip": False, "scales": [1.0]}
MINI = Data(name="mini", title="COCO mini", digest="0123456789abcdef")


def accuracy(ap: float | None = 0.4467, protocol: dict[str, Any] | None = None, **changes: Any) -> Accuracy:
    fields: dict[str, Any] = {
        "figures": {"AP": ap, "AP50": 0.6768, "APM": None},
        "title": "original evaluation",
        "protocol": protocol or ORIGINAL,
        "dataset": MINI,
        "images": 97,
        "detections": 213,
        "machine": MACHINE,
        "computed_in": "fp32",
    }
    return Accuracy(**(fields | changes))


def latency(*stages: Stage, **timing: Any) -> Latency:
    fields: dict[str, Any] = {
        "runs": 50,
        "batch": 1,
        "images": 50,
        "seconds": 2.0,
        "median_ms": 39.5,
        "p90_ms": 41.0,
        "p99_ms": 45.25,
        "mean_ms": 40.0,
        "images_per_second": 25.0,
        "warmup_runs": 10,
        "yardstick_before_ms": 1.0,
        "yardstick_after_ms": 1.0,
        "spread": 1.04,
        "others_cores": 0.0,
    }
    return Latency(
        timing=Timing(**(fields | timing)),
        stages=stages,
        threads=2,
        shapes={"data": (1, 3, 256, 456)},
        peak_memory_bytes=123_400_000,
        size_bytes=16_000_000,
        machine=MACHINE,
        computed_in="fp32",
    )


def whole_way(**changes: Any) -> EndToEnd:
    fields: dict[str, Any] = {
        "protocols": ("original",),
        "dataset": "mini",
        "images_per_second": 3.5,
        "network_images_per_second": 4.0,
        "share": 0.875,
        "layout": "2 calls of the network at once, 2 workers",
        "network_layout": "1 call of the network at once, 2 workers",
        "rounds": (3.5, 3.4, 3.6),
        "network_rounds": (4.0, 4.0, 4.0),
        "images": 4,
        "seconds": 6.0,
        "threads": 2,
        "yardsticks_ms": (1.0, 1.0, 1.0, 1.0),
        "others_cores": 0.0,
        "machine": MACHINE,
        "computed_in": "fp32",
    }
    return EndToEnd(**(fields | changes))


def parity(largest: float = 1e-6, reason: str = "") -> Parity:
    found = Comparison(
        reference="edited ONNX",
        candidate="target",
        output="pafs",
        largest=largest,
        scale=1.0,
        snr_db=100.0,
        image="a.jpg",
        where=(0, 1),
        expected=0.5,
        found=0.25,
        measure="relative",
        limit=1e-3,
        reason=reason,
    )
    return Parity(comparisons=(found,), images=3, machine=MACHINE, computed_in="fp32")


def result(recipe: str = "alpha", target: str = "onnxruntime-fp32", **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "machine": "bench",
        "description": MACHINE,
        "recipe": recipe,
        "title": recipe.title(),
        "task": "body_pose",
        "weights": Weights(title="official", licence="Apache-2.0"),
        "target": target,
        "backend": "onnxruntime",
        "device": "cpu",
        "precision": "fp32",
        "computed_in": "fp32",
        "parity": parity(),
        "accuracy": (accuracy(),),
        "latency": latency(),
        "size_bytes": 16_000_000,
        "key": "k",
        "definition": "d",
    }
    return Result(**(fields | changes))


def only(*results: Result, columns: tuple[str, ...] = (), definitions: dict[str, str] | None = None) -> Table:
    """The one table that these results make."""
    (table,) = tables(rows(results, definitions), columns)
    return table


def cells(table: Table, name: str) -> list[str]:
    """A column, top to bottom."""
    return [COLUMNS[name].text(row) for row in table.rows]


def test_a_small_board_looks_like_this() -> None:
    better = result("beta", weights=Weights(title="official", licence="CC", substitute="dequantised | by us"), accuracy=(accuracy(0.5),))
    text = markdown(
        tables(
            rows([result(), better], {"alpha/onnxruntime-fp32": "d", "beta/onnxruntime-fp32": "new"}),
            ("rank", "model", "weights", "AP", "network", "parity"),
        )
    )
    assert text.startswith("# Leaderboard\n")
    assert (
        """\
## Body pose: COCO mini (original evaluation)

|   # | model           | weights              |    AP | images/s, network alone, one call after another | parity               |
| --: | --------------- | -------------------- | ----: | ----------------------------------------------: | -------------------- |
|   1 | Beta (outdated) | dequantised \\| by us | .5000 |                                            25.0 | ok, 1.0e-06 of scale |
|   2 | Alpha           | official             | .4467 |                                            25.0 | ok, 1.0e-06 of scale |

* Dataset: COCO mini, 97 images (subset: all; digest 0123456789ab).
* Protocol: original evaluation; fit height (height 368); flip no; name original; scales [1]. Fingerprint """
        in text
    )
    assert "\n* Machine bench: A CPU, 2 cores, 8 GiB, avx2 avx512_vnni, Linux 6.\n* Timed with 2 threads.\n" in text
    assert "\n* The network alone was timed on inputs of 3x256x456.\n" in text
    assert "* Beta on onnxruntime-fp32: outdated: recipe, weights or code have changed" in text
    assert 'What others head "IOU@0.5" is OKS AP50.' in text


def test_rows_are_ranked_by_ap_and_equal_ones_share_a_rank() -> None:
    found = rows([result(name, accuracy=(accuracy(ap),)) for name, ap in (("a", 0.3), ("b", 0.5), ("c", 0.5), ("d", 0.4))])
    assert [(row.result.recipe, row.rank) for row in found] == [("b", 1), ("c", 1), ("d", 3), ("a", 4)]


def test_another_protocol_is_another_table() -> None:
    built = tables(rows([result("a"), result("b", accuracy=(accuracy(0.9, {"flip": True}),))]))
    assert len(built) == 2
    assert {row.rank for table in built for row in table.rows} == {1}


def test_the_same_name_for_other_images_is_another_table() -> None:
    other = msgspec.structs.replace(MINI, digest="ffff")
    assert len(tables(rows([result("a"), result("b", accuracy=(accuracy(dataset=other),))]))) == 2


def test_one_result_stands_in_the_table_of_each_of_its_protocols() -> None:
    both = result(accuracy=(accuracy(), accuracy(0.42, {"protocol": "Open Model Zoo"}, title="Open Model Zoo")))
    assert len(tables(rows([both]))) == 2


def test_a_rehearsal_says_so_and_never_a_number() -> None:
    weights = Weights(title="official", licence="Apache-2.0", rehearsal=True)
    ways = {"end_to_end": (whole_way(),)}
    table = only(result("a", weights=weights, accuracy=(accuracy(0.9999),), **ways), result("b", **ways))
    assert cells(table, "AP") == [".4467", "rehearsal"]
    assert cells(table, "end_to_end") == ["3.50", "rehearsal"]
    assert cells(table, "network") == ["25.0", "25.0"]
    assert cells(table, "weights")[1] == "rehearsal: seeded, not trained"
    assert table.rows[1].rank is None
    assert "9999" not in markdown([table]) + str(to_json([table]))


def test_a_row_is_outdated_when_its_definition_changed_or_went() -> None:
    one, two, three = result("a"), result("b"), result("c")
    found = rows([one, two, three], {"a/onnxruntime-fp32": "d", "b/onnxruntime-fp32": "other"})
    assert {row.result.recipe: row.outdated for row in found} == {"a": False, "b": True, "c": True}
    assert not any(row.outdated for row in rows([one, two, three]))


def test_an_outdated_row_is_marked_whatever_columns_are_shown() -> None:
    table = only(result(), columns=("AP", "size"), definitions={})
    assert table.cells(table.rows[0]) == [".4467", "16.0 MB (outdated)"]


def test_a_failed_cell_says_why_in_a_word_and_below_in_a_sentence() -> None:
    broken = result(
        "b",
        accuracy=(Failure(word="bad image", message="7.jpg cannot be read", dataset="mini"),),
        latency=Failure(word="no GPU", message="there is no GPU here"),
        parity=Failure(word="no torch", message="torch is not installed."),
    )
    table = only(broken, result("b", "openvino-fp32"))
    assert cells(table, "AP") == [".4467", "bad image"]
    assert cells(table, "network") == ["25.0", "no GPU"]
    assert cells(table, "parity")[1] == "no torch"
    assert "B on onnxruntime-fp32: no GPU: there is no GPU here." in table.lines
    assert "B on onnxruntime-fp32: no torch: torch is not installed." in table.lines


def test_a_failed_parity_is_a_failed_cell_with_output_place_and_figures() -> None:
    table = only(result(parity=parity(0.25)))
    assert cells(table, "parity") == ["FAILED, 2.5e-01 of scale"]
    assert any("farthest apart at pafs[0, 1] of a.jpg: 0.25 for 0.5" in line for line in table.lines)


def test_a_looser_gate_repeats_its_reason() -> None:
    assert (
        "Alpha on onnxruntime-fp32: a looser parity gate, because INT8 was trained."
        in only(result(parity=parity(reason="INT8 was trained"))).lines
    )


def test_a_target_that_was_built_and_not_run_stands_beside_its_siblings() -> None:
    built = result(target="tensorrt-fp16", accuracy=(), latency=None, parity=None, note="built with TensorRT-RTX, not run")
    table = only(result(), built)
    assert [row.result.target for row in table.rows] == ["onnxruntime-fp32", "tensorrt-fp16"]
    assert cells(table, "AP")[1] == "not measured"
    assert cells(table, "note")[1] == "built with TensorRT-RTX, not run"
    assert "Alpha on tensorrt-fp16: built with TensorRT-RTX, not run." in table.lines


def test_a_recipe_without_any_accuracy_has_a_table_of_its_own() -> None:
    built = tables(rows([result("a", accuracy=()), result("b")]))
    assert [table.heading for table in built] == ["Body pose: COCO mini (original evaluation)", "Body pose, without an accuracy"]


def test_a_demonstration_is_headed_as_one_and_comes_after_real_data() -> None:
    photos = Data(name="photos", title="Three photos", digest="00", demonstration=True)
    built = tables(
        rows([result(accuracy=(accuracy(0.8, dataset=photos, images=3), accuracy(dataset=msgspec.structs.replace(MINI, name="zz"))))])
    )
    assert built[1].heading == "Body pose: Three photos, demonstration on 3 images (original evaluation)"


def test_drawn_figures_are_headed_as_such_and_come_last() -> None:
    drawn = Data(name="aa", title="Stick people", digest="00", drawn=True)
    photos = Data(name="photos", title="Three photos", digest="00", demonstration=True)
    several = tuple(accuracy(0.8, dataset=data) for data in (drawn, photos, MINI))
    headings = [table.heading for table in tables(rows([result(accuracy=several)]))]
    assert headings[0] == "Body pose: COCO mini (original evaluation)" and "demonstration" in headings[1]
    assert headings[2] == "Body pose: Stick people, drawn figures and not photographs (original evaluation)"


def test_published_figures_always_name_their_protocol() -> None:
    figures = (
        Published(metric="AP", value=0.428, protocol="full val2017, Open Model Zoo protocol", source="OMZ"),
        Published(metric="images/s", value=21030.833, protocol="executions of a batch-1 engine counted as 32", source="MR-V100"),
    )
    assert published_text(figures) == (
        "AP .428 (full val2017, Open Model Zoo protocol); images/s 21030.8 (executions of a batch-1 engine counted as 32)"
    )


def test_the_same_figure_in_two_protocols_is_told_apart_in_words_and_never_ranked_together() -> None:
    truth, found = ("ground-truth boxes, no flip", 0.773), ("boxes of a detector, AP 56.4, no flip", 0.758)
    said = tuple(Published(metric="AP", value=value, protocol=protocol, source="mmpose") for protocol, value in (truth, found))
    assert published_text(said) == "AP .773 (ground-truth boxes, no flip); AP .758 (boxes of a detector, AP 56.4, no flip)"
    reports = [accuracy(value, {"boxes": protocol, "flip": False}, title=f"COCO with {protocol}") for protocol, value in (truth, found)]
    built = tables(rows([result("a", accuracy=tuple(reports), published=said)]))
    assert {table.heading for table in built} == {f"Body pose: COCO mini (COCO with {protocol})" for protocol, _ in (truth, found)}
    for table in built:
        (own,) = [protocol for protocol, _ in (truth, found) if protocol in table.heading]
        assert any(line.startswith("Protocol: ") and f"boxes {own}; flip no" in line for line in table.lines)
        assert cells(table, "published") == [published_text(said)], "beside each stands what it was measured in"


HAND = {"PCK": 0.95, "AUC": 0.62, "EPE": 12.5}


def hand(name: str, pck: float | None, **changes: Any) -> Result:
    report = accuracy(figures={**HAND, "PCK": pck}, ranked_by="PCK", protocol={"threshold": 0.2}, **changes)
    return result(name, task="hand_pose", accuracy=(report,))


def test_rows_are_ranked_by_the_figure_of_their_metric_and_the_table_says_which() -> None:
    table = only(hand("a", 0.7), hand("b", None), hand("c", 0.9))
    assert [(row.result.recipe, row.rank) for row in table.rows] == [("c", 1), ("a", 2), ("b", None)]
    assert "Ranked by PCK." in table.lines
    assert not any(line.startswith("Ranked by") for line in only(result()).lines), "AP is what the introduction names"


def test_a_table_shows_only_the_figures_that_its_rows_hold() -> None:
    hands = only(hand("a", 0.9))
    assert [name for name in hands.columns if name in FIGURES] == ["PCK", "AUC", "EPE"]
    assert (cells(hands, "PCK"), cells(hands, "EPE"), COLUMNS["EPE"].heading) == ([".9000"], ["12.5"], "EPE, px")
    body = only(result())
    assert [name for name in body.columns if name in FIGURES] == ["AP", "AP50", "APM"], "APM has no value, and has been asked for"
    assert "accuracy" not in body.columns


def test_a_table_without_figures_has_one_column_that_says_why() -> None:
    table = only(result(accuracy=(Failure(word="no images", message=""),)), columns=("model", "AP", "PCK", "network"))
    assert table.columns == ("model", "accuracy", "network")
    assert cells(table, "accuracy") == ["no images"]
    (row,) = to_json([table])[0]["rows"]
    assert (row["cells"]["accuracy"], row["missing"]["accuracy"]) == (None, "no images")


def test_every_figure_of_every_metric_has_its_column() -> None:
    metrics = get_args(Metric) or (Metric,)
    assert {name for metric in metrics for name in metric.figures} <= FIGURES.keys()


def test_a_pipelines_images_a_second_are_of_the_whole_way_and_never_headed_network_alone() -> None:
    table = only(result(latency=latency(Stage(name="body network", median_ms=3.0))), result("b"))
    assert (cells(table, "whole"), cells(table, "network")) == (["25.0", "–"], ["–", "25.0"])
    assert "whole" not in only(result()).columns


BATCHED: dict[str, Any] = {
    "latency": latency(),
    "batches": (latency(batch=8, images_per_second=40.0, median_ms=200.0), Failure(word="failed", message="out of memory", batch=32)),
}


def test_what_batching_brings_stands_in_a_table_of_its_own() -> None:
    noisy = latency(batch=32, images_per_second=20.0, median_ms=1600.0, noise=("p90 is 2.00 times p50",))
    both = [result("a", **BATCHED), result("b", latency=latency(), batches=(latency(batch=8), noisy)), result("c")]
    text = markdown(batch_tables(rows(both, {"a/onnxruntime-fp32": "d", "b/onnxruntime-fp32": "new"})))
    header, _, one, two = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert "## Body pose: network alone by batch" in text
    speeds, calls = [f"images/s at {n}" for n in (1, 8, 32)], [f"p50 of a call at {n}, ms" for n in (1, 8, 32)]
    assert header == ["model", "target", "computed in", *speeds, "8 against 1", "32 against 1", *calls, "peak memory, largest batch"]
    row = ["25.0", "40.0", "failed", "1.60x", "–", "39.5", "200.0", "failed", "123.4 MB"]
    assert one == ["A", "onnxruntime-fp32", "fp32", *row]
    row = ["25.0", "25.0", "20.0 (noisy)", "1.00x", "0.80x", "39.5", "39.5", "1600.0 (noisy)", "123.4 MB"]
    assert two == ["B (outdated)", "onnxruntime-fp32", "fp32", *row]
    assert "* A on onnxruntime-fp32: at batch 32: failed: out of memory." in text
    assert "* B on onnxruntime-fp32: the machine was noisy while it was timed at batch 32: p90 is 2.00 times p50." in text
    assert "* Every figure is of at least 50 calls." in text


def test_a_row_that_was_timed_at_one_batch_stands_in_no_table_of_batches() -> None:
    failed = tuple(Failure(word="failed", message="no", batch=batch) for batch in (1, 8))
    assert batch_tables(rows([result("a"), result("b", latency=failed[0], batches=failed[1:])])) == []


def test_a_result_of_several_protocols_stands_once_among_the_batches_and_pipelines_apart() -> None:
    stages = (Stage(name="body network", median_ms=3.0),)
    twice = result(accuracy=(accuracy(), accuracy(0.42, {"protocol": "other"})), **BATCHED)
    pipeline = result("p", latency=latency(*stages), batches=(latency(*stages, batch=8),))
    built = batch_tables(rows([twice, pipeline, result("h", task="hand_pose", **BATCHED)]))
    assert [table.heading for table in built] == [
        "Body pose: network alone by batch",
        "Body pose: pipeline from decoded images to poses by batch",
        "Hand pose: network alone by batch",
    ]
    assert [len(table.rows) for table in built] == [1, 1, 1]
    assert any("the way from 8 decoded images to poses; milliseconds by stage" in line for line in built[1].lines)
    plain = to_json(built)[0]["rows"][0]
    assert (plain["cells"]["images_per_second@8"], plain["missing"]["images_per_second@32"]) == (40.0, "failed")


def test_the_throughputs_cannot_be_mistaken() -> None:
    assert [COLUMNS[name].heading for name in ("network", "throughput", "whole", "end_to_end", "kept")] == [
        "images/s, network alone, one call after another",
        "images/s, network alone, best of several streams",
        "images/s, pipeline from decoded images to poses, one call after another",
        "images/s, whole way from files to poses",
        "whole way / network alone on the same tensors",
    ]


def several(rate: float, **ways: int) -> Throughput:
    fields = {"instances": 1, "streams": 1, "threads": 2, "batch": 1, "images": 9, **ways}
    return Throughput(**fields, seconds=1.0, images_per_second=rate, median_ms=1.0, p90_ms=1.0, p99_ms=1.0)


def test_a_table_says_who_was_timed_in_turns_with_others() -> None:
    turned = msgspec.structs.replace(latency(), beside=("openvino-fp32",))
    found = only(result("a", latency=turned), result("a", target="openvino-fp32", latency=turned), result("b"))
    assert "Timed in turns with other targets of the recipe: A on onnxruntime-fp32, openvino-fp32." in found.lines
    assert not any("in turns" in line for line in only(result("b")).lines)


def streamed(*throughput: Throughput) -> Latency:
    return msgspec.structs.replace(latency(), throughput=throughput)


def test_the_best_of_several_streams_has_a_column_and_its_setting_a_line() -> None:
    two, copies = several(31.5, streams=2), several(28.0, instances=2)
    found = only(result("a", latency=streamed(copies, two)), result("b", latency=streamed(several(20.0, streams=2))), result("c"))
    assert cells(found, "throughput") == ["31.5", "25.0", "–"]
    assert cells(found, "network") == ["25.0"] * 3, "the single stream's column stays the single stream's"
    assert "Best of several streams: 2 streams: A on onnxruntime-fp32; one call after another: B on onnxruntime-fp32." in found.lines
    assert (
        "Best of several streams: everywhere 2 instances of 3 streams."
        in only(result("a", latency=streamed(several(31.5, instances=2, streams=3)))).lines
    )
    silent = only(result("a"))
    assert "throughput" not in silent.columns and not any("several" in line for line in silent.lines)


LAZY = {**ORIGINAL, "name": "lazy"}


def difference(**changes: Any) -> Difference:
    """Of a row in LAZY from one in ORIGINAL."""
    fields: dict[str, Any] = {
        "protocol": "lazy",
        "fingerprint": accuracy(protocol=LAZY).fingerprint,
        "against": "original",
        "against_title": "original evaluation",
        "dataset": MINI,
        "difference": 0.00279,
        "standard_error": 0.004,
        "low": -0.0055,
        "high": 0.0096,
        "samples": 1000,
        "seed": 0,
        "images": 97,
    }
    return Difference(**(fields | changes))


def test_a_difference_stands_with_its_interval_in_the_table_of_its_protocol_and_in_no_other() -> None:
    both = (accuracy(), accuracy(0.4495, LAZY, title="lazy"))
    compared, alone = result(accuracy=both, differences=(difference(),)), result("beta", accuracy=both[1:])
    original, lazy = sorted(tables(rows([compared, alone])), key=lambda table: "difference" in table.columns)
    assert "difference" not in original.columns and not any("against" in line for line in original.lines)
    place = lazy.columns.index("difference")
    assert lazy.header()[place] == "AP against original"
    assert [lazy.cells(row)[place] for row in lazy.rows] == ["+.0028 (-.0055 .. +.0096)", "–"]
    assert lazy.lines[2] == (
        "AP against original: AP here less AP there (original evaluation), of the same recipe and target on the same 97 images;"
        " in brackets the 95 % interval, by a paired bootstrap over the images (1000 samples, seed 0)."
    )
    cells = to_json([lazy])[0]["rows"]
    assert [row["cells"]["difference"] for row in cells] == [0.00279, None]


def test_images_that_only_one_protocol_was_judged_on_are_told() -> None:
    table = only(result(accuracy=(accuracy(protocol=LAZY),), differences=(difference(apart=2, images=95),)))
    assert any("on the same 95 images" in line for line in table.lines)
    assert "Alpha on onnxruntime-fp32: left out of AP against original: 2 images that only one of the two was judged on." in table.lines


def test_rows_that_are_held_against_several_protocols_have_a_heading_for_all() -> None:
    first = result(accuracy=(accuracy(protocol=LAZY),), differences=(difference(),))
    other = result("beta", accuracy=first.accuracy, differences=(difference(against="mean", against_title="the mean"),))
    table = only(first, other)
    assert "AP against another protocol" in table.header()
    assert [line.split(":")[0] for line in table.lines if line.startswith("AP")] == ["AP against original", "AP against mean"]


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": Weights(title="", licence="", rehearsal=True)},
        {"accuracy": (Failure(word="failed", message=""),)},
        {"accuracy": (accuracy(protocol=LAZY, dataset=msgspec.structs.replace(MINI, digest="of other images")),)},
    ],
)
def test_a_difference_of_what_the_row_does_not_hold_is_not_shown(changes: dict[str, Any]) -> None:
    (row,) = rows([result(**{"accuracy": (accuracy(protocol=LAZY),), "differences": (difference(),), **changes})])
    assert row.difference is None


def ceiling(**changes: Any) -> Ceiling:
    fields: dict[str, Any] = {
        "figures": {"AP": 0.5712, "AP50": 0.6, "APM": None},
        "protocol": "original",
        "dataset": MINI,
        "targets": {"stride": 8, "sigma": 7.0},
        "detections": 300,
    }
    return Ceiling(**(fields | changes))


def test_a_ceiling_stands_in_the_table_of_its_protocol_and_images_with_what_was_reached_of_it() -> None:
    both = (accuracy(), accuracy(0.9, LAZY, title="lazy"))
    trained, given = result(accuracy=both, ceilings=(ceiling(),)), result("beta", accuracy=(accuracy(0.5),))
    lazy, original = sorted(tables(rows([trained, given])), key=lambda table: "ceiling" in table.columns)
    assert not {"ceiling", "of_ceiling"} & set(lazy.columns) and not any("Ceiling" in line for line in lazy.lines)
    place = original.columns.index("ceiling")
    assert original.columns[place + 1] == "of_ceiling"
    assert original.header()[place : place + 2] == ["ceiling: AP of perfect targets", "AP / ceiling"]
    assert [original.cells(row)[place : place + 2] for row in original.rows] == [["–", "–"], [".5712", "78 %"]]
    assert "Ceiling: what the decoder makes of perfect targets of all annotated people (sigma 7; stride 8)." in original.lines
    assert to_json([original])[0]["rows"][1]["cells"]["of_ceiling"] == pytest.approx(0.4467 / 0.5712)


@pytest.mark.parametrize(
    "changes",
    [
        {"ceilings": ()},
        {"ceilings": (ceiling(protocol="another"),)},
        {"ceilings": (ceiling(dataset=msgspec.structs.replace(MINI, digest="of other images")),)},
        {"weights": Weights(title="", licence="", rehearsal=True)},
        {"accuracy": (Failure(word="failed", message=""),)},
    ],
)
def test_without_a_ceiling_of_just_this_the_columns_are_left_away(changes: dict[str, Any]) -> None:
    table = only(result(**{"ceilings": (ceiling(),), **changes}))
    assert not {"ceiling", "of_ceiling"} & set(table.columns)


def test_of_a_ceiling_of_nothing_nothing_is_reached() -> None:
    table = only(result(accuracy=(accuracy(0.0),), ceilings=(ceiling(figures={"AP": 0.0}),)))
    assert cells(table, "ceiling") == [".0000"] and "of_ceiling" not in table.columns


def test_every_table_shows_the_whole_way_of_its_own_protocol() -> None:
    protocols = [{"name": name} for name in ("one", "two", "three")]
    ways = (
        whole_way(protocols=("one", "two")),
        whole_way(protocols=("four",), images_per_second=9.0),
        Failure(word="failed", message="it fell over", protocols=("three",)),
    )
    built = tables(rows([result(accuracy=tuple(accuracy(0.5, one) for one in protocols), end_to_end=ways)]))
    found = {table.rows[0].accuracy.protocol["name"]: cells(table, "end_to_end") + cells(table, "kept") for table in built}  # type: ignore[union-attr]
    assert found == {"one": ["3.50", "88 %"], "two": ["3.50", "88 %"], "three": ["failed", "failed"]}
    said = {table.rows[0].accuracy.protocol["name"]: "it fell over" in "\n".join(table.lines) for table in built}  # type: ignore[union-attr]
    assert said == {"one": False, "two": False, "three": True}


def test_a_noisy_whole_way_is_said_with_its_layout() -> None:
    lines = "\n".join(only(result(end_to_end=(whole_way(noise=("others used 1.50 of 2 cores",)),))).lines)
    assert "while the whole way was timed (2 calls of the network at once, 2 workers): others used 1.50 of 2 cores" in lines
    quiet = "\n".join(only(result(end_to_end=(whole_way(),))).lines)
    assert "while the whole way was timed" not in quiet and "3x256x456; the whole way on the protocol's own images and sizes." in quiet


def test_a_result_from_before_there_were_whole_ways_is_read_and_has_an_empty_cell() -> None:
    old = msgspec.json.decode(encode(result()))
    assert old.pop("end_to_end", []) == []
    table = only(decode(msgspec.json.encode(old), "old.json"))
    assert cells(table, "end_to_end") == ["–"] and "kept" not in table.columns


def test_a_benchmark_tells_every_setting_with_its_share_of_the_roof() -> None:
    roof = Roof(measured=False, peaks=(Peak(way="product", precision="fp32", flops_per_second=1e12),))
    claim = Verdict(flops=1e10, bytes=1e6, roof=roof, share=0.25, ceiling=100.0, limit=400.0, bound="compute")
    timed = msgspec.structs.replace(streamed(several(31.5, streams=2)), claim=claim)
    place = {name: HEADER.index(name) for name in ("streams", "images/s", "share of the roof")}
    told = [{name: line[index] for name, index in place.items()} for line in lines([result("a", latency=timed)])]
    assert told == [
        {"streams": "1", "images/s": "25.0", "share of the roof": "25 %"},
        {"streams": "2", "images/s": "31.5 (best)", "share of the roof": "32 %"},
    ]
    (unjudged,) = lines([result("a", latency=latency())])
    assert unjudged[place["share of the roof"]] == "–"


def test_a_noisy_machine_and_bad_images_and_shortfalls_are_said() -> None:
    report = accuracy(skipped=("7.jpg",), images=96, shortfalls=(Shortfall(metric="AP", value=0.4467, least=0.45),))
    lines = "\n".join(only(result(accuracy=(report,), latency=latency(noise=("p90 is 2.00 times p50",)))).lines)
    assert "the machine was noisy while it was timed: p90 is 2.00 times p50" in lines
    assert "1 bad image skipped (7.jpg)" in lines
    assert "AP 0.4467 is under the promised 0.45" in lines


def test_the_machine_is_shown_where_rows_come_from_more_than_one() -> None:
    other = result(machine="laptop", description=msgspec.structs.replace(MACHINE, cpu="Another"))
    assert only(result(), columns=("model", "AP")).columns == ("model", "AP")
    table = only(result(), other, columns=("model", "AP"))
    assert table.columns == ("model", "machine", "AP")
    assert sum(line.startswith("Machine ") for line in table.lines) == 2


def test_a_gpu_is_named_only_where_a_row_ran_on_it() -> None:
    machine = msgspec.structs.replace(MACHINE, gpus=(Gpu(name="NVIDIA H200", driver="580", compute_capability="9.0"),))
    assert not any("H200" in line for line in only(result(description=machine)).lines)
    assert any("H200 (driver 580, compute capability 9.0)" in line for line in only(result(description=machine, device="cuda:0")).lines)


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="no column 'netwrk'") as caught:
        pick(["AP", "netwrk"])
    assert caught.value.hint == "did you mean network?"


def test_every_column_writes_every_kind_of_row() -> None:
    bare = result(accuracy=(), latency=None, parity=None, size_bytes=None, computed_in="")
    for row in rows([bare, result("b")]):
        for name, column in COLUMNS.items():
            assert column.text(row), name


def test_a_protocol_reads_as_words() -> None:
    assert words({"decode": {"type": "paf", "peak": 0.1}, "flip": False, "boxes": None}) == "boxes none; decode paf (peak 0.1); flip no"


def test_numbers_keep_about_three_digits() -> None:
    assert [number(value) for value in (0.5321, 8.137, 97.34, 21030.833)] == ["0.532", "8.14", "97.3", "21030.8"]


def test_no_results_make_a_board_that_says_so() -> None:
    assert "Nothing has been measured yet." in markdown(tables(rows([])))


protocols = st.sampled_from([ORIGINAL, {"flip": True}, {"name": "omz"}])
reports = st.builds(
    accuracy,
    st.none() | st.floats(0, 1),
    protocols,
) | st.builds(Failure, word=st.just("broken"), message=st.just("it broke"), dataset=st.sampled_from(["", "mini", "else"]))
results = st.lists(
    st.builds(
        result,
        st.sampled_from("abc"),
        st.sampled_from(["onnxruntime-int8", "tensorrt-fp16"]),
        machine=st.sampled_from(["bench", "laptop"]),
        accuracy=st.lists(reports, max_size=2).map(tuple),
        latency=st.none() | st.builds(latency) | st.just(Failure(word="no GPU", message="there is no such thing")),
        parity=st.none() | st.builds(parity, st.floats(0, 10)),
        weights=st.builds(Weights, title=st.just("w"), licence=st.just("l"), rehearsal=st.booleans()),
        batches=st.sampled_from([(), BATCHED["batches"]]),
        end_to_end=st.sampled_from([(), (whole_way(),), (Failure(word="failed", message="no", protocols=("original",)),)]),
        task=st.sampled_from(["body_pose", "hand_pose"]),
    ),
    max_size=6,
    unique_by=path_of,
)


@settings(deadline=None)
@given(results, st.randoms())
def test_the_same_results_give_the_same_bytes_in_any_order(found: list[Result], random: Any) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    one, two = ([*tables(found), *batch_tables(found)] for found in (rows(found), rows(shuffled)))
    assert markdown(one) == markdown(two)
    assert msgspec.json.encode(to_json(one)) == msgspec.json.encode(to_json(two))


@settings(deadline=None)
@given(results)
def test_rows_are_never_ranked_across_protocols_and_nothing_is_nan(found: list[Result]) -> None:
    built = tables(rows(found))
    assert not re.search(r"\b(nan|inf|None)\b", markdown(batch_tables(rows(found))), re.IGNORECASE)
    for table in built:
        assert {row.key for row in table.rows} == {table.key}
        measured = [row for row in table.rows if row.rank]
        for row in measured:
            assert isinstance(row.accuracy, Accuracy)
            assert row.accuracy.fingerprint == table.key.fingerprint
            assert row.result.task == table.key.task
        aps = [row.figure("AP") or 0.0 for row in measured]
        assert aps == sorted(aps, reverse=True)
    assert not re.search(r"\b(nan|inf|None)\b", markdown(built), re.IGNORECASE)
    assert not any(
        isinstance(value, float) and not math.isfinite(value)
        for table in to_json(built)
        for row in table["rows"]
        for value in row["cells"].values()
    )
    shown = {path_of(row.result) for table in built for row in table.rows}
    assert shown == {path_of(one) for one in found}, "a result was lost"


def write(folder: Path, one: Result, place: Path | None = None) -> Path:
    path = folder / (place or path_of(one))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(one))
    return path


def test_a_folder_of_results_is_read_back(tmp_path: Path) -> None:
    some = [result("b"), result("a"), result("a", machine="laptop", accuracy=(Failure(word="w", message="m"),))]
    for one in some:
        write(tmp_path, one)
    assert load(tmp_path) == [some[1], some[0], some[2]]
    assert load(tmp_path / "none") == []


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, result("a")).write_text("{")
    write(tmp_path, result("b")).write_text('{"format": 2}')
    path = write(tmp_path, result("c"))
    path.write_text(path.read_text().replace('"precision"', '"precison"'))
    write(tmp_path, result("d"), Path("bench/d/openvino-fp32.json"))
    with pytest.raises(ZooError) as caught:
        load(tmp_path)
    lines = caught.value.message.splitlines()
    assert lines[0].startswith("bench/a/onnxruntime-fp32.json: ")
    assert lines[1].startswith("bench/b/onnxruntime-fp32.json: this is no result of format 1 (it says 2)")
    assert "precison" in lines[2]
    assert lines[3] == "bench/d/openvino-fp32.json: its content belongs in bench/d/onnxruntime-fp32.json"


def test_a_result_from_before_there_were_differences_is_read_without_any() -> None:
    plain = msgspec.json.decode(encode(result()))
    del plain["differences"]
    assert decode(msgspec.json.encode(plain), "old") == result()


def test_a_result_is_the_same_bytes_after_a_round_trip() -> None:
    one = result(accuracy=(accuracy(), Failure(word="w", message="m")))
    assert encode(decode(encode(one), "x")) == encode(one)
