"""Shared by the benchmarks: the machine, medians, and the memory of a process."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path


def said() -> str:
    """One line with the machine and the versions."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("ray", "torch", "mlflow", "pyarrow")
    )
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) / 2**20
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, no GPU, {system}, {packages}"


def median_seconds(what: Callable[[], object], times: int = 3) -> float:
    """The median time of several runs."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def resident(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Growth:
    """The growth of a process's memory since creation, sampled twice a second."""

    def __init__(self, pid: int) -> None:
        self.first = self.most = resident(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        while not self._over.wait(0.5):
            self.most = max(self.most, resident(pid))

    def end(self) -> float:
        """Stops sampling; returns the peak growth in MiB."""
        self._over.set()
        self._thread.join()
        return self.most - self.first


def size_of(folder: Path) -> int:
    """Bytes on disk below a folder, in allocated blocks."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def size_of_file(path: Path) -> int:
    """Bytes on disk of one file, or 0 if it does not exist."""
    return path.stat().st_blocks * 512 if path.exists() else 0
