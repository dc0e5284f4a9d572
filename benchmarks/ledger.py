"""Times the ledger: appending, reading and compacting 10,000 trials.

The trials have 20 measurements each, and then 100, which makes 1,000,000 measurements.

uv run python benchmarks/ledger.py [TRIALS]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import machine

METRICS = (
    "test/seen_accuracy",
    "test/missing_accuracy",
    "test/overall_accuracy",
    "test/harmonic_mean",
    "test/ausuc",
    "test/loss",
    "validation/seen_accuracy",
    "validation/loss",
    "train/loss",
    "seconds",
    "peak_memory_bytes",
    "epoch",
)
STEPS, MANY_STEPS = 20, 100


def rows(steps: int) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            **{name: random.random() for name in METRICS},
            "test/curve_seen": [random.random()] * 5,
        }
        for step in range(steps)
    ]


def timed(what: str, act: Callable[[], Any], repeats: int = 1) -> Any:
    from htsweep.ledger import tables

    seconds = []
    for _ in range(repeats):
        tables._LATEST.clear()
        begin = time.perf_counter()
        found = act()
        seconds.append(time.perf_counter() - begin)
    print(f"{what}: {sorted(seconds)[len(seconds) // 2]:.2f} s")
    sys.stdout.flush()
    return found


def fill(folder: Path, trials: int, steps: int, first: int = 0) -> Any:
    from htsweep.ledger import Ledger, Record, Store

    ledger = Ledger(Store(folder))
    for index in range(first, first + trials):
        measured = rows(steps)
        ledger.append(
            Record(
                f"t{index:06d}",
                "trial",
                "done",
                "toy",
                '{"x": 0.5}',
                index % 6,
                sweep="s",
                point=f"p{index // 6}",
                steps=len(measured),
            ),
            measured,
        )
    return ledger


def measure(folder: Path, trials: int, steps: int) -> None:
    """Times the operations on a ledger with this many trials and measurements per trial."""
    what = f"append {trials} trials of {steps} measurements"
    ledger = timed(what, lambda: fill(folder, trials, steps))
    timed("read the trials, an object each", lambda: ledger.trials(), 3)
    if steps == STEPS:
        timed("read the measurements, an object each", lambda: ledger.measurements(), 3)
    timed("compact", lambda: ledger.compact())
    timed("read the trials, compacted", lambda: ledger.trials(), 5)
    timed("read the measurements, compacted", lambda: ledger.measurements(), 5)
    timed("read one column", lambda: ledger.measurements(["test/seen_accuracy"]), 5)
    fill(folder, 10, steps, trials)
    timed("compact with 10 more", lambda: ledger.compact())


if __name__ == "__main__":
    print(machine.said())
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    random.seed(0)
    for steps in (STEPS, MANY_STEPS):
        with tempfile.TemporaryDirectory() as temporary:
            measure(Path(temporary), trials, steps)
