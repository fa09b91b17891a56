"""What this machine is: what changes a result's arithmetic (`isa`), and what changes its speed (`describe`).

Standard library only, and quick: `isa()` enters the cache key of every plan. What a platform does not
tell is left out (an absent flag, an empty text, `None`), never guessed.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from zoo.cgroup import cpu_quota, memory_limit
from zoo.record import Record

ROOT = Path("/")

#: The operating system's name of a flag -> ours. Only what makes a runtime compute with other numbers:
#: wider accumulation (vnni, dotprod, i8mm) and shorter floats (bf16, fp16).
FLAGS = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx_vnni": "avx_vnni",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "amx_fp16": "amx_fp16",
    "asimddp": "dotprod",
    "asimdhp": "fp16",
    "i8mm": "i8mm",
    "bf16": "bf16",
}
#: macOS: `sysctl` keys. Intel Macs list flags in machdep.cpu.leaf7_features instead.
DARWIN = {
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_FP16": "fp16",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
}
DARWIN_LEAF7 = {"AVX2": "avx2", "AVX512F": "avx512f", "AVX512VNNI": "avx512_vnni"}
#: Windows: IsProcessorFeaturePresent (winnt.h). It has no number for VNNI, so INT8 there is built for machines without it.
WINDOWS = {40: "avx2", 41: "avx512f", 43: "dotprod", 66: "i8mm", 67: "fp16", 68: "bf16"}

#: Distributions that compute, or prepare what is computed.
RUNTIMES = ("numpy", "onnx", "onnxruntime", "opencv-python-headless", "openvino", "tensorrt", "tensorrt-rtx-cu13", "torch")


class Gpu(Record, frozen=True, kw_only=True):
    """One NVIDIA GPU as nvidia-smi states it."""

    name: str
    driver: str
    compute_capability: str
    memory_bytes: int | None = None


class Machine(Record, frozen=True, kw_only=True):
    """Everything about a machine that a measured time depends on; no host name, no user."""

    cpu: str
    architecture: str
    isa: tuple[str, ...]
    cores: int
    """Logical cores that this process may use (affinity and cgroup quota)."""
    threads: int
    """What `default_threads` gives: those of them that are physical."""
    memory_bytes: int | None
    """The smaller of physical memory and the cgroup's limit."""
    governor: str = ""
    os: str = ""
    python: str = ""
    gpus: tuple[Gpu, ...] = ()
    affinity: tuple[int, ...] = ()
    """The numbers of the logical cores that this process may run on."""
    cpu_quota: float | None = None
    """Cores' worth of time that a container allows; None without a limit."""
    memory_limit_bytes: int | None = None
    """The container's; None without one."""
    versions: dict[str, str] = {}
    """Of the runtimes that are installed here, used or not."""


def parse_flags(cpuinfo: str) -> tuple[str, ...]:
    """The flags of /proc/cpuinfo (x86: `flags`, Arm: `Features`) that change arithmetic, sorted."""
    found: set[str] = set()
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            found.update(FLAGS[word] for word in value.split() if word in FLAGS)
            break
    return tuple(sorted(found))


@cache
def isa() -> tuple[str, ...]:
    """The instruction sets of this CPU that change arithmetic, sorted: a fact of every compiled model."""
    if sys.platform == "darwin":
        leaf7 = _sysctl("machdep.cpu.leaf7_features").split()
        found = [ours for key, ours in DARWIN.items() if _sysctl(key) == "1"]
        return tuple(sorted([*found, *(DARWIN_LEAF7[flag] for flag in leaf7 if flag in DARWIN_LEAF7)]))
    if sys.platform == "win32":
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return tuple(sorted(ours for number, ours in WINDOWS.items() if present(number)))
    return parse_flags(_text(ROOT / "proc/cpuinfo"))


def vnni() -> bool:
    """Whether the CPU adds four 8-bit products into 32 bits at once.

    An x86 without it adds pairs in 16 bits, which saturate: INT8 models are then built with `reduce_range`.
    Arm's dot products do not saturate either and count as well."""
    return not {"avx512_vnni", "avx_vnni", "amx_int8", "dotprod", "i8mm"}.isdisjoint(isa())


def cores() -> int:
    """Logical cores that this process may use: affinity, then the cgroup's quota (rounded up), at least 1."""
    quota = cpu_quota()
    allowed = len(affinity())
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def affinity() -> tuple[int, ...]:
    """The numbers of the logical cores that this process may run on."""
    if sys.platform == "linux":
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def default_threads() -> int:
    """Threads for a runtime: one for each physical core that this process may use.

    A second thread on the same core shares its vector units and only adds noise to a timing."""
    siblings: set[str] = set()
    for number in affinity():
        shared = _text(ROOT / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").strip()
        siblings.add(shared or f"cpu{number}")
    return max(1, min(len(siblings), cores()))


def memory() -> int | None:
    """Bytes of memory that this process may use: the physical memory or the cgroup's limit, whichever is less."""
    sizes = [size for size in (_physical_memory(), memory_limit()) if size]
    return min(sizes, default=None)


def peak_memory() -> int:
    """The most resident memory that this process has held, in bytes; 0 where the platform does not tell.

    On Linux this is VmHWM and not getrusage's ru_maxrss: the latter survives exec, so that a child of a
    big process would answer with its parent's size."""
    for line in _text(ROOT / "proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return _windows_peak_memory()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def describe() -> Machine:
    """This machine. Asks nvidia-smi where there is one, so it may take a second the first time."""
    return Machine(
        cpu=_cpu_name(),
        architecture=platform.machine(),
        isa=isa(),
        cores=cores(),
        threads=default_threads(),
        memory_bytes=memory(),
        governor=_text(ROOT / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip(),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        gpus=gpus(),
        affinity=affinity(),
        cpu_quota=cpu_quota(),
        memory_limit_bytes=memory_limit(),
        versions=dict(versions(RUNTIMES)),
    )


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that nvidia-smi lists; empty without it or when it fails."""
    text = _output("nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader,nounits")
    return parse_gpus(text)


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """nvidia-smi's lines `name, driver, compute capability, MiB`."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4:
            size = int(cells[3]) << 20 if cells[3].isdecimal() else None
            found.append(Gpu(name=cells[0], driver=cells[1], compute_capability=cells[2], memory_bytes=size))
    return tuple(found)


def versions(names: Iterable[str]) -> Mapping[str, str]:
    """distribution -> version, for those of `names` that are installed; in the order of the names, sorted."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in sorted(set(names)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _physical_memory() -> int | None:
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _cpu_name() -> str:
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string")
    for line in _text(ROOT / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return os.environ.get("PROCESSOR_IDENTIFIER", "") or platform.processor() or platform.machine()


def _text(path: Path) -> str:
    """A small file of the system; "" where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _sysctl(key: str) -> str:
    return _output("sysctl", "-n", key).strip()


def _output(tool: str, *arguments: str) -> str:
    """What a tool of the system prints; "" where there is none, or it fails, or it hangs."""
    found = shutil.which(tool)
    if found is None:
        return ""
    try:
        return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _windows_memory() -> int | None:
    """GlobalMemoryStatusEx: dwLength, dwMemoryLoad, then ullTotalPhys and six more 64-bit fields."""
    status = (ctypes.c_ulonglong * 8)()
    ctypes.cast(status, ctypes.POINTER(ctypes.c_uint))[0] = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - exists on Windows alone
    return int(status[1]) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _windows_peak_memory() -> int:
    """K32GetProcessMemoryInfo: PROCESS_MEMORY_COUNTERS is two 32-bit fields, then PeakWorkingSetSize."""
    counters = (ctypes.c_size_t * 9)()
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    found = kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), ctypes.sizeof(counters))
    return int(counters[1]) if found else 0
