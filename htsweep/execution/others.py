"""What other launches do meanwhile: no stage is made twice, and trials may be shared, too."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from htsweep.execution.measured import last_values
from htsweep.ledger import Lease, Ledger, Store
from htsweep.ledger.claims import Claims

LOOK_SECONDS = 1.0
"""How often the ledger is read for what other launches have recorded; less often if it is slow."""


@final
@dataclass(frozen=True)
class Ended:
    """How another launch ended a trial or a stage last, and how often it failed before."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    gpu: float = 0.0
    failures: int = 0
    artifact: Mapping[str, str] | None = None
    values: Mapping[str, float] | None = None


@final
class Others:
    """The other launches: what they hold, and what they have ended since this one began."""

    def __init__(
        self,
        store: Store,
        lease: Lease | None = None,
        *,
        trials: bool = False,
        metrics: Sequence[str] = (),
    ) -> None:
        """Make it before the launch reads the ledger: what comes later may be another launch's.

        Args:
            store: the results.
            lease: of this launch; None: there are no others.
            trials: whether trials are shared, too, and points that a sampler proposes; if not, only
                stages, which other studies may need.
            metrics: what a sampler learns from.
        """
        self.trials = trials
        """Whether trials are shared, so that this launch should hold no more than it can run."""
        self._store, self._metrics = store, tuple(metrics)
        self._claims = None if lease is None else Claims(store, lease)
        if self._claims is not None:
            self._claims.clear()
        ledger = Ledger(store)
        self._seen = ledger.records()
        """Objects and records that this launch reads itself, or has written."""
        if trials:  # records of merged objects may turn up under other names
            self._seen |= set(ledger.read().table.column("record").to_pylist())
        self._met = trials
        """Whether another launch may run what this one needs."""
        self._next_look = 0.0
        self._own: set[str] = set()
        self._done: set[str] = set()
        self._ended: dict[str, Ended] = {}
        self._failures: Counter[str] = Counter()

    def hold(self, trial: str) -> bool:
        """Reserves a trial or a stage for this launch; False while another one runs it."""
        if self._claims is None or trial in self._own:
            return True
        before = self._claims.take(trial)
        if before:  # whoever had it may have ended it
            self._look(at_once=True)
        self._met |= before is None
        if before is None or self.over(trial):
            return False
        self._own.add(trial)
        return True

    def look(self, trial: str) -> Ended | None:
        """How another launch ended the trial or stage since this one began; None if none did."""
        if self._claims is None or trial in self._own:
            return None
        if self._met:
            self._look()
        return self._ended.get(trial)

    def over(self, trial: str) -> bool:
        """Whether another launch has a result of it."""
        ended = self._ended.get(trial)
        return ended is not None and ended.status in ("done", "stopped")

    def failures(self, trial: str) -> int:
        """How often the trial failed in other launches since this one began."""
        return self._failures[trial]

    def recorded(self, trial: str, record: str, over: bool) -> None:
        """Records that this launch has ended a trial, so that nobody needs to look for it."""
        self._seen.add(record)
        if over:
            self._done.add(trial)

    def agreed(self, sweep: str, index: int) -> Mapping[str, Any] | None:
        """The parameters that another launch has proposed for a point; None if none has."""
        if self._claims is None or not self.trials:
            return None
        value = self._claims.agreed(f"{sweep}.{index}")
        return value if isinstance(value, dict) else None

    def agree(self, sweep: str, index: int, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters of a point: those given, unless another launch was first."""
        if self._claims is None or not self.trials:
            return parameters
        value = self._claims.agree(f"{sweep}.{index}", dict(parameters))
        assert isinstance(value, dict)
        return value

    def leave(self) -> None:
        """Frees what this launch has not ended; the last one to leave removes all claims."""
        if self._claims is not None:
            self._claims.release(self._done)
            self._claims.clear()

    def _look(self, *, at_once: bool = False) -> None:
        began = time.monotonic()
        if began < self._next_look and not at_once:
            return
        ledger = Ledger(self._store)
        for row, measured in ledger.fresh(self._seen):
            self._learn(row, measured)
        now = time.monotonic()
        self._next_look = now + max(LOOK_SECONDS, 10 * (now - began))

    def _learn(self, row: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> None:
        trial = row["trial"]
        if trial in self._own or self.over(trial):
            return
        artifact = json.loads(row["artifact"]) if row["artifact"] else {}
        if row["kind"] == "stage" and row["status"] == "done":
            there = {entry.name for entry in self._store.list(f"artifacts/{trial}")}
            if not there.issuperset(artifact.values()):
                return
        self._failures[trial] += row["status"] == "failed"
        last = last_values(measured) if self._metrics else {}
        self._ended[trial] = Ended(
            row["status"],
            row["reason"] or "",
            row["seconds"],
            row["gpu"],
            self._failures[trial],
            artifact,
            {metric: last[metric] for metric in self._metrics if metric in last},
        )
