"""Shared by the benchmarks: the processor time that the parts of a launch on Ray take."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import NamedTuple

import psutil

LAUNCH, LOOP, RAY, ACTORS, WORKERS, MIRROR, SERVERS = (
    "launch",
    "Tune's loop",
    "Ray's own",
    "actors",
    "trials' processes",
    "copy to MLflow",
    "servers",
)
BY_WORDS = {
    "htsweep.mirror.process": MIRROR,
    "moto.server": SERVERS,
    "mlflow": SERVERS,
    "postgres": SERVERS,
    "htsweep.execution.driver": LOOP,
    "htsweep.execution.worker": WORKERS,
    "htsweep launch": LAUNCH,
    "import json, sys, time": LOOP,
}
"""Words on a command line -> what its process is; the first that is there counts.

The last are the bare script's.
"""
KINDS = (LAUNCH, LOOP, RAY, ACTORS, WORKERS, MIRROR, SERVERS)


class _Look(NamedTuple):
    when: float
    seconds: dict[str, float]
    mebibytes: dict[str, float]


class Spent:
    """Looks at all processes that descend from this one, from its creation on.

    What a process takes between the last look and its end is lost.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        """Begins to look, every `seconds`."""
        self._seconds = seconds
        self._taken: dict[tuple[int, float], tuple[str, float]] = {}
        self._looks = [_Look(time.time(), {}, {})]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops looking."""
        self._over.set()
        self._thread.join()

    def between(self, begins: float, ends: float) -> dict[str, float]:
        """Processor seconds by kind between two moments, given in unix seconds."""
        first, last = self._at(begins), self._at(ends)
        return {kind: last[kind] - first[kind] for kind in KINDS if last[kind]}

    def growth(self, kind: str, begins: float, ends: float) -> float:
        """MiB by which the memory of a kind grew from a moment to its most before another."""
        sizes = [
            look.mebibytes.get(kind, 0.0) for look in self._looks if begins <= look.when <= ends
        ]
        return max(sizes) - sizes[0] if sizes else 0.0

    def _at(self, when: float) -> dict[str, float]:
        """What each kind had taken by then, between the two nearest looks."""
        after = next((look for look in self._looks if look.when >= when), self._looks[-1])
        before = max((look for look in self._looks if look.when < after.when), default=after)
        span = after.when - before.when
        share = min(1.0, max(0.0, (when - before.when) / span)) if span else 1.0
        return {
            kind: (1 - share) * before.seconds.get(kind, 0.0) + share * after.seconds.get(kind, 0.0)
            for kind in KINDS
        }

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._over.wait(self._seconds):
            sums, sizes = Counter[str](), Counter[str]()
            for one in own.children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    name, times = kind(one), one.cpu_times()
                    self._taken[one.pid, one.create_time()] = name, times.user + times.system
                    sizes[name] += one.memory_info().rss / 2**20
            for name, seconds in self._taken.values():
                sums[name] += seconds
            self._looks.append(_Look(time.time(), dict(sums), dict(sizes)))


def kind(one: psutil.Process) -> str:
    """What a process is to a launch."""
    line = " ".join(one.cmdline())
    for words, name in BY_WORDS.items():
        if words in line:
            return name
    return ACTORS if line.startswith("ray::") else RAY


def said(seconds: dict[str, float], trials: float) -> str:
    """Milliseconds of processor time a trial, by kind."""
    each = {name: 1e3 * value / trials for name, value in seconds.items()}
    parts = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    return f"{sum(each.values()):.1f} ms of processor time a trial: {parts}"
