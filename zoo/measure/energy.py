"""The energy that the machine says it spent.

Of CPUs the counters of Linux's powercap (RAPL: whole packages, so whatever else runs on them counts as well; many systems
let only root read them); of an NVIDIA GPU the power that nvidia-smi states (the whole board), ten times a second. Where neither
tells, nothing is said.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

POWERCAP = Path("/sys/class/powercap")
EVERY_MS = 100


class Meter:
    """What was spent while it was entered, all times together: `with meter: ...`. This one measures nothing."""

    what = ""
    """What spends it: "CPU packages", "GPU board"."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return

    def joules(self) -> float | None:
        """Joules so far; None where the machine does not tell."""
        return None

    def close(self) -> None:
        """Stop whatever watches."""


def meter(gpu: bool) -> Meter:
    """The meter of what runs the model: of the first GPU, or of the CPU's packages; one that measures nothing where there is none."""
    if gpu:
        tool = shutil.which("nvidia-smi")
        return Board(tool) if tool else Meter()
    packages = Packages()
    return packages if packages.readable else Meter()


class Packages(Meter):
    """The CPU packages' counters: microjoules that begin again at `max_energy_range_uj`."""

    what = "CPU packages"

    def __init__(self, root: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package (AMD's stand there too), intel-rapl:0:0 a part of it that would count twice
        self._zones = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1 and _named(path, "package")]
        self._start: list[int] = []
        self._spent = 0
        self.readable = bool(self._zones) and None not in map(_counter, self._zones)

    def __enter__(self) -> Self:
        self._start = [_counter(zone) or 0 for zone in self._zones]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for zone, start in zip(self._zones, self._start, strict=True):
            now = _counter(zone) or 0
            self._spent += now - start if now >= start else now - start + (_number(zone / "max_energy_range_uj") or 0)

    def joules(self) -> float | None:
        """Joules so far."""
        return self._spent / 1e6 if self.readable and self._spent else None


class Board(Meter):
    """The first GPU's power, as nvidia-smi states it, times the seconds."""

    what = "GPU board"

    def __init__(self, tool: str) -> None:
        query = [tool, "--query-gpu=power.draw", "--format=csv,noheader,nounits", "--id=0", f"--loop-ms={EVERY_MS}"]
        self._process = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        self._watts: list[float] = []
        self._seconds, self._start = 0.0, 0.0
        self._inside = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with suppress(ValueError):  # "[N/A]" of boards that do not tell
                watts = float(line)
                if self._inside:
                    self._watts.append(watts)

    def __enter__(self) -> Self:
        self._start, self._inside = time.perf_counter(), True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._inside = False
        self._seconds += time.perf_counter() - self._start

    def joules(self) -> float | None:
        """Joules so far; None where fewer than five samples came."""
        return fmean(self._watts) * self._seconds if len(self._watts) >= 5 else None

    def close(self) -> None:
        """End nvidia-smi."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        if self._process.stdout:
            self._process.stdout.close()


def _named(zone: Path, beginning: str) -> bool:
    try:
        return (zone / "name").read_text().startswith(beginning)
    except OSError:
        return False


def _counter(zone: Path) -> int | None:
    return _number(zone / "energy_uj")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
