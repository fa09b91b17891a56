"""What a machine is said to be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import cgroup, machine
from zoo.record import canonical


def group(root: Path, lines: str, files: dict[str, str]) -> Path:
    """A tree with /proc/self/cgroup and the control files."""
    for name, text in {"proc/self/cgroup": lines, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_flags_of_x86_are_sorted_and_only_those_that_change_arithmetic() -> None:
    text = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx2 avx512_vnni amx_int8 hypervisor\n\nprocessor\t: 1\nflags\t\t: amx_bf16\n"
    assert machine.parse_flags(text) == ("amx_int8", "avx2", "avx512_vnni", "avx512f")


def test_flags_of_arm_have_the_names_that_people_use() -> None:
    assert machine.parse_flags("Features\t: fp asimd asimdhp asimddp i8mm bf16\n") == ("bf16", "dotprod", "fp16", "i8mm")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(("avx2", "avx512f"), False), (("avx2", "avx_vnni"), True), (("avx512_vnni",), True), (("dotprod",), True), ((), False)],
)
def test_vnni_is_what_keeps_int8_from_saturating(flags: tuple[str, ...], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "isa", lambda: flags)
    assert machine.vnni() is expected


def test_quota_of_cgroup_v2_is_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
    }
    assert cgroup.cpu_quota(group(tmp_path, "0::/a/b\n", files)) == 1.5


def test_quota_and_limit_of_cgroup_v1_are_read(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1073741824\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    root = group(tmp_path, "5:memory:/x\n1:cpu:/x\n", files)
    assert cgroup.cpu_quota(root) == 2.0
    assert cgroup.memory_limit(root) == 1 << 30


def test_no_limit_is_none(tmp_path: Path) -> None:
    root = group(tmp_path, "1:cpu:/\n0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"})
    assert cgroup.cpu_quota(root) is None
    assert cgroup.memory_limit(root) is None
    assert cgroup.cpu_quota(tmp_path / "nowhere") is None


def test_a_quota_bounds_cores_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "affinity", lambda: tuple(range(1000, 1008)))
    monkeypatch.setattr(machine, "cpu_quota", lambda: 2.5)
    assert machine.cores() == 3
    assert machine.default_threads() == 3
    monkeypatch.setattr(machine, "cpu_quota", lambda: 0.2)
    assert machine.cores() == machine.default_threads() == 1


def test_two_threads_of_one_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, siblings in enumerate(("0-1", "0-1", "2-3", "2-3")):
        path = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(siblings + "\n")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "affinity", lambda: (0, 1, 2, 3))
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    assert machine.default_threads() == 2
    assert machine.cores() == 4


def test_nvidia_smi_lines_become_gpus_and_noise_does_not() -> None:
    text = "NVIDIA H200, 580.65, 9.0, 143771\nTesla, 1.0, 7.5, [N/A]\nNo devices were found\n"
    first, second = machine.parse_gpus(text)
    assert (first.name, first.driver, first.compute_capability, first.memory_bytes) == ("NVIDIA H200", "580.65", "9.0", 143771 << 20)
    assert second.memory_bytes is None


def test_a_failing_nvidia_smi_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'a, b, c, 1'\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == ()


def test_the_description_names_no_host_and_no_user() -> None:
    text = canonical(machine.describe()).decode()
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4  # "vm" may stand in any text
    assert machine.describe().cores >= machine.describe().threads >= 1


def test_the_description_holds_the_limits_of_a_container_and_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "affinity", lambda: (1, 3))
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(machine, "memory_limit", lambda: 1 << 30)
    found = machine.describe.__wrapped__()
    assert (found.affinity, found.cores, found.cpu_quota, found.memory_limit_bytes) == ((1, 3), 2, 1.5, 1 << 30)
    assert found.versions["onnxruntime"] == machine.versions(["onnxruntime"])["onnxruntime"]


def test_versions_are_of_what_is_installed_and_in_order() -> None:
    found = machine.versions(["numpy", "msgspec", "no-such-distribution"])
    assert list(found) == ["msgspec", "numpy"]
    assert found["numpy"][0].isdigit()


def test_peak_memory_grows_and_does_not_shrink() -> None:
    before = machine.peak_memory()
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    peak = machine.peak_memory()
    del block
    assert peak >= before
    assert peak > 64 << 20
    assert machine.peak_memory() > 0.95 * peak  # the kernel counts pages in batches, one for each core


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, zoo.machine; print([m for m in ('numpy', 'torch', 'cv2', 'onnx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
