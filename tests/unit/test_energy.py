"""Energy is what the machine's own counters say, and nothing where it has none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zoo.measure.energy import Meter, Packages, meter


def zone(root: Path, name: str, kind: str, joules: float, most: float = 1000.0) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "max_energy_range_uj").write_text(f"{round(most * 1e6)}\n")
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    return folder


def test_packages_are_added_up_and_their_parts_do_not_count_twice(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 10)
    zone(tmp_path, "intel-rapl:1", "package-1", 20)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    packages = Packages(tmp_path)
    with packages:
        for name, kind, joules in (("0", "package-0", 13.5), ("1", "package-1", 21), ("0:0", "core", 500), ("2", "psys", 500)):
            zone(tmp_path, f"intel-rapl:{name}", kind, joules)
    zone(tmp_path, "intel-rapl:0", "package-0", 100)  # between two windows: not ours
    with packages:
        zone(tmp_path, "intel-rapl:0", "package-0", 101)
    assert packages.joules() == pytest.approx(4.5 + 1)


def test_a_counter_that_began_again_is_no_negative_energy(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 999)
    packages = Packages(tmp_path)
    with packages:
        zone(tmp_path, "intel-rapl:0", "package-0", 2)
    assert packages.joules() == pytest.approx(3)


def test_a_counter_that_only_root_may_read_says_nothing(tmp_path: Path) -> None:
    (zone(tmp_path, "intel-rapl:0", "package-0", 1) / "energy_uj").unlink()
    packages = Packages(tmp_path)
    with packages:
        pass
    assert not packages.readable and packages.joules() is None


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """An nvidia-smi that prints `lines` again and again."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nwhile true; do printf '{lines}'; sleep 0.01; done\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_boards_energy_is_its_power_times_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch, "100.5\\n299.5\\n")
    watching = meter(gpu=True)
    with watching:
        start = time.perf_counter()
        time.sleep(0.3)
        spent = time.perf_counter() - start
    found = watching.joules()
    watching.close()
    assert watching.what == "GPU board"
    assert found == pytest.approx(200 * spent, rel=0.2)


def test_a_board_that_does_not_tell_its_power_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch, "[N/A]\\n")
    watching = meter(gpu=True)
    with watching:
        time.sleep(0.1)
    assert watching.joules() is None
    watching.close()


def test_without_nvidia_smi_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    watching = meter(gpu=True)
    assert type(watching) is Meter and watching.joules() is None
