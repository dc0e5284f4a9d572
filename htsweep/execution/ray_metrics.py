"""Counts of a launch for Prometheus, through Ray's own metrics, which each node of Ray exports.

No histogram: of what is observed, Ray 2.60 keeps only the bucket, so that its sum is not the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, final

from ray.util import metrics

PREFIX = "htsweep_"
"""Ray puts `ray_` before a name, and `_total` after that of a counter."""
ENDED = {
    "trials": "Trials that ended in this launch, by status: done, stopped, failed.",
    "stages": "Stages that ended in this launch, by status.",
}
RUNNING = {
    "trials_running": "Trials that run now.",
    "stages_running": "Stages that run now.",
}
SUMS = {
    "trial_seconds": "Seconds that the trials which ended in this launch have run.",
    "stage_seconds": "Seconds that the stages which ended in this launch have run.",
    "ledger_rows": "Rows that they added to the ledger: one each, and one for each measured step.",
}
EXPORTED = (
    *(f"ray_{PREFIX}{name}_total" for name in (*ENDED, *SUMS)),
    *(f"ray_{PREFIX}{name}" for name in RUNNING),
)
"""The names as Prometheus gets them."""


@final
class Metrics:
    """Counts the events that the launch is sent; each count takes some microseconds.

    A failed attempt counts as failed, also where the launch tries the trial again.
    """

    def __init__(self) -> None:
        self._study = ""
        self._kinds: dict[str, str] = {}
        """Trial -> `trial` or `stage`, of all that Tune has."""
        self._running: Counter[str] = Counter()
        self._started: set[str] = set()
        keys = ("study",)
        self._ended = {
            name: metrics.Counter(f"{PREFIX}{name}", text, (*keys, "status"))
            for name, text in ENDED.items()
        }
        self._sums = {
            name: metrics.Counter(f"{PREFIX}{name}", text, keys) for name, text in SUMS.items()
        }
        self._gauges = {
            name: metrics.Gauge(f"{PREFIX}{name}", text, keys) for name, text in RUNNING.items()
        }

    def know(self, job: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
        """Keeps what events do not say of a trial: its kind, and the study."""
        self._study = conditions["study"]
        self._kinds[job["trial"]] = job["kind"]

    def take(self, event: str, content: Mapping[str, Any]) -> None:
        """Counts an event of htsweep/execution/ray.py; others than of trials change nothing."""
        trial = content.get("trial", "")
        kind = self._kinds.get(trial, "")
        if not kind:
            return
        if event == "started":
            self._started.add(trial)
            self._run(kind, 1)
            return
        if event not in ("ended", "died", "returned"):
            return
        del self._kinds[trial]
        if trial in self._started:
            self._started.discard(trial)
            self._run(kind, -1)
        if event == "returned":
            return
        outcome = content.get("outcome", {"status": "failed", "rows": 1})
        tags = {"study": self._study}
        self._ended[f"{kind}s"].inc(1, {**tags, "status": outcome["status"]})
        # Ray's counters take no 0.
        if outcome.get("seconds", 0) > 0:
            self._sums[f"{kind}_seconds"].inc(outcome["seconds"], tags)
        if outcome.get("rows", 0) > 0:
            self._sums["ledger_rows"].inc(outcome["rows"], tags)

    def _run(self, kind: str, change: int) -> None:
        self._running[kind] += change
        self._gauges[f"{kind}s_running"].set(self._running[kind], {"study": self._study})
