"""Stages that several launches need: each is made by one of them, and the others wait for it."""

from __future__ import annotations

import json
import time
from typing import final

from htsweep.execution.agenda import EarlierRun
from htsweep.ledger import Lease, Ledger, Store


@final
class SharedStages:
    """The stages that this launch shares with others: only one launch makes each."""

    def __init__(self, store: Store) -> None:
        """Make it before the launch reads the ledger: what came later may be another launch's."""
        self._store = store
        self._before = Ledger(store).records()
        """The objects of ended trials that this launch reads itself."""
        self._leases: dict[str, Lease] = {}
        self._next_try: dict[str, float] = {}

    def hold(self, stage: str) -> bool:
        """Reserves the stage for this launch; False while another one makes it."""
        if stage in self._leases:
            return True
        if time.monotonic() < self._next_try.get(stage, 0):
            return False
        lease = Lease(self._store, f"stage-{stage}")
        if lease.take() is not None:
            self._next_try[stage] = time.monotonic() + 1
            return False
        self._leases[stage] = lease
        return True

    def look(self, stage: str) -> EarlierRun | None:
        """What the ledger has of the stage, if another launch may have made it meanwhile."""
        if stage in self._leases or time.monotonic() < self._next_try.get(stage, 0):
            return None
        ledger = Ledger(self._store)
        since = ledger.records() - self._before
        if not any(name.startswith(("all-", stage)) for name in since):
            return None
        for row in ledger.trials(["trial", "status", "artifact"]).to_pylist():
            if row["trial"] == stage and row["status"] == "done":
                artifact = json.loads(row["artifact"]) if row["artifact"] else {}
                there = {entry.name for entry in self._store.list(f"artifacts/{stage}")}
                return EarlierRun(
                    "done" if there >= set(artifact.values()) else "gone", artifact=artifact
                )
        return None

    def release(self) -> None:
        """Releases all stages."""
        for lease in self._leases.values():
            lease.release()
