"""Reports: figures that hold what they depend on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zoo.machine import Machine
from zoo.record import fingerprint
from zoo.steps.reports import Accuracy, Comparison, Data, Difference, EndToEnd, Failure, Parity, chain, pretty, read, write

MACHINE = Machine(cpu="A CPU", architecture="x86_64", isa=("avx2",), cores=2, threads=2, memory_bytes=8 << 30)


def accuracy(**changes: Any) -> Accuracy:
    fields: dict[str, Any] = {
        "figures": {"AP": 0.4467, "APM": None},
        "title": "original",
        "protocol": {"flip": False, "scales": (1.0,), "fit": {"type": "height", "height": 368}},
        "dataset": Data(name="mini", title="Mini", digest="d"),
        "images": 97,
        "detections": 213,
        "machine": MACHINE,
        "computed_in": "fp32",
    }
    return Accuracy(**(fields | changes))


def comparison(**changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "reference": "PyTorch",
        "candidate": "exported ONNX",
        "output": "pafs",
        "largest": 1e-5,
        "scale": 0.5,
        "snr_db": 90.0,
        "image": "a.jpg",
        "where": (0, 3, 1, 2),
        "expected": 0.25,
        "found": 0.26,
        "measure": "relative",
        "limit": 1e-4,
    }
    return Comparison(**(fields | changes))


def parity(*comparisons: Comparison) -> Parity:
    return Parity(comparisons=comparisons, images=3, machine=MACHINE, computed_in="fp32")


DIFFERENCE: dict[str, Any] = {
    **{
        "protocol": "lazy",
        "fingerprint": "f",
        "against": "full",
        "against_title": "Full",
        "dataset": Data(name="d", title="D", digest="d"),
    },
    **{"difference": 0.01, "standard_error": 0.002, "low": -0.01, "high": 0.03, "samples": 1000, "seed": 0, "images": 97},
}


@pytest.mark.parametrize(
    "report", [accuracy(), parity(comparison()), Difference(**DIFFERENCE), Failure(word="no GPU", message="there is none")]
)
def test_a_report_comes_back_as_it_was_written(report: Any, tmp_path: Path) -> None:
    write(report, tmp_path)
    assert read(tmp_path) == report
    assert (tmp_path / "report.json").read_bytes() == pretty(report)


def test_the_fingerprint_is_that_of_the_protocol() -> None:
    report = accuracy()
    assert report.fingerprint == fingerprint(report.protocol)
    assert accuracy(protocol={"flip": True}).fingerprint != report.fingerprint


def test_the_order_of_keys_does_not_change_the_fingerprint() -> None:
    assert accuracy(protocol={"a": 1, "b": 2}).fingerprint == accuracy(protocol={"b": 2, "a": 1}).fingerprint


def test_a_report_whose_protocol_was_edited_by_hand_is_refused(tmp_path: Path) -> None:
    write(accuracy(), tmp_path)
    path = tmp_path / "report.json"
    path.write_text(path.read_text().replace("368", "256"))
    with pytest.raises(msgspec.ValidationError, match="fingerprint"):
        read(tmp_path)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_no_figure(bad: float) -> None:
    with pytest.raises(ValueError, match="AP is"):
        accuracy(figures={"AP": bad})
    with pytest.raises(ValueError, match="end to end: share is"):
        EndToEnd(
            protocols=("original",), dataset="mini", images_per_second=1.0, share=bad, layout="", rounds=(1.0,), images=1, seconds=1.0,
            threads=1, yardsticks_ms=(1.0, 1.0), others_cores=None, machine=MACHINE, computed_in="fp32",
        )  # fmt: skip
    with pytest.raises(ValueError, match="snr_db"):
        comparison(snr_db=bad)


def test_a_gate_of_scale_is_passed_at_its_limit_and_failed_above() -> None:
    assert comparison(largest=0.5e-4).passed
    assert not comparison(largest=0.51e-4).passed


def test_a_gate_of_noise_is_passed_at_its_limit_and_failed_below() -> None:
    assert comparison(measure="snr", limit=40.0, snr_db=40.0).passed
    assert not comparison(measure="snr", limit=40.0, snr_db=39.9).passed
    assert comparison(measure="snr", limit=40.0, snr_db=None, largest=0.0).passed


def test_equal_outputs_pass_even_when_they_are_all_zero() -> None:
    assert comparison(largest=0.0, scale=0.0, snr_db=None).passed
    assert not comparison(largest=0.1, scale=0.0).passed


def test_the_worst_is_what_failed_wherever_it_stands() -> None:
    early = comparison(largest=1.0, output="heatmaps")
    late = comparison(candidate="target", measure="snr", limit=40.0, snr_db=41.0)
    report = parity(early, late)
    assert not report.passed
    assert report.worst is early
    assert str(report.worst).startswith("FAILED: PyTorch -> exported ONNX: 2.0e+00 of scale (at most 1e-04 of scale)")
    assert "heatmaps[0, 3, 1, 2] of a.jpg: 0.26 for 0.25" in str(report.worst)


def test_without_a_failure_the_worst_is_of_the_last_stage() -> None:
    tight = comparison(largest=0.49e-4)
    easy = comparison(candidate="target", measure="snr", limit=40.0, snr_db=60.0)
    worse = comparison(candidate="target", output="heatmaps", measure="snr", limit=40.0, snr_db=45.0)
    assert parity(tight, easy, worse).worst is worse
    assert worse.figure == "45.0 dB"


def test_a_chain_of_parities_speaks_for_all_and_ends_at_the_target() -> None:
    first, second = parity(comparison(largest=1.0)), parity(comparison(candidate="target"))
    whole = chain([first, second])
    assert [found.candidate for found in whole.comparisons] == ["exported ONNX", "target"]
    assert not whole.passed
