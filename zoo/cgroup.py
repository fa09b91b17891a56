"""What a container may use: the limits of the control groups (version 1 and 2) that this process is in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores' worth of time that the cgroup (v2 or v1) allows; None without a limit."""
    limits = []
    for folder in _cgroups(root, "cpu"):
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        if not quota:
            quota, period = _text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal() and int(period):  # "max" and -1 mean none
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """The cgroup's memory limit in bytes; None without one."""
    limits = []
    for folder in _cgroups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(folder / name).strip()
            if text.isdecimal() and int(text) < 1 << 60:  # v1 writes "no limit" as a huge number
                limits.append(int(text))
    return min(limits, default=None)


def _cgroups(root: Path, controller: str) -> list[Path]:
    """The folders, from this process's group up, whose limits for `controller` apply."""
    folders: list[Path] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if names else "")
        group = top / path.lstrip("/")
        folders += [group, *(parent for parent in group.parents if parent == top or top in parent.parents)]
    return folders


def _text(path: Path) -> str:
    """A control file; "" where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
