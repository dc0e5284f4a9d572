"""Where a study stands, from the ledger and its lease alone: any process may ask, on any machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from htsweep import screening
from htsweep.estimate import estimate
from htsweep.ledger import Lease, Ledger, Store
from htsweep.planning import Plan, plan
from htsweep.roster import COLUMNS, Roster, rows
from htsweep.spared import Screened
from htsweep.study import Study


@final
@dataclass(frozen=True)
class Failure:
    """A trial or stage that failed at last."""

    trial: str
    kind: str
    what: str
    attempts: int
    reason: str
    log: str | None


@final
@dataclass(frozen=True)
class Status:
    """Counts, and failures with their reasons and logs."""

    study: str
    trials: int
    done: int
    stopped: int
    failed: int
    left: int
    stages: int
    stages_done: int
    held_by: str | None
    failures: tuple[Failure, ...]
    screen: Screened | None = None
    """The scores of its screen, which `trials`, `done`, `failed` and `left` do not count; `stages` are those of both."""
    exact: bool = True
    """Whether `trials` and `left` are counted; else they are at most so many."""

    @property
    def unfinished(self) -> int:
        """Trials and scores that a launch would run, those that failed at last not counted."""
        return self.left + (self.screen.trials_to_run - self.screen.trials_failed if self.screen else 0)

    def lines(self) -> list[str]:
        """The status as a person reads it."""
        by = f"; being launched by {self.held_by}" if self.held_by else ""
        most = "" if self.exact else "at most "
        lines = [
            f"study {self.study}{by}",
            *(self.screen.lines() if self.screen else []),
            f"trials  {most}{self.trials}: {self.done} done, {self.stopped} stopped early, {self.failed} failed, "
            f"{most}{self.left} to run",
            f"stages  {self.stages}: {self.stages_done} done",
        ]
        for failure in self.failures:
            lines.append(f"failed  {failure.kind} {failure.trial} ({failure.what}) after {failure.attempts} "
                         f"attempt{'s' if failure.attempts != 1 else ''}: {failure.reason}")
            if failure.log:
                lines.append(f"        log: {failure.log}")
        return lines

    def json(self) -> str:
        """The status as JSON."""
        return json.dumps(asdict(self), indent=2)


def status(study: Study, results: str = "results") -> Status:
    """Where `study` stands on `results`."""
    store = Store(results)
    found = estimate(study, results)
    whole, ledger = plan(study), Ledger(store)
    planned, scored = screening.kept(whole, ledger), screening.plan_of(whole)
    failed = [row for row in rows(ledger.trials(), [*COLUMNS, "attempt", "reason", "log"]) if row["status"] == "failed"]
    failures = [*(_failures(scored, failed, store) if scored else []), *_failures(planned, failed, store)]
    holder = Lease(store, f"study-{study.name}").holder()
    by = f"process {holder['pid']} on {holder['host']}" if holder else None
    left = found.trials_to_run - found.trials_failed
    return Status(study.name, found.trials, found.trials_done, found.trials_stopped, found.trials_failed, left,
                  found.stages, found.stages_done, by, tuple({one.trial: one for one in failures}.values()), found.screen,
                  found.exact)


def _failures(planned: Plan, failed: Sequence[Mapping[str, Any]], store: Store) -> list[Failure]:
    """Those of the `failed` rows of the ledger that are the plan's trials and stages."""
    found = []
    for row, _ in Roster(planned).own(failed):
        config = json.loads(row["config"])
        what = ", ".join(f"{key}={config[key]}" for key in planned.study.factors if key in config)
        log = f"{store.uri}/{row['log']}" if row["log"] else None
        found.append(Failure(row["trial"], row["kind"], f"{what}, repetition {row['repetition']}".lstrip(", "),
                             row["attempt"], row["reason"] or "", log))
    return found


def follow(study: Study, results: str, as_json: bool, every_seconds: float = 2.0) -> None:
    """Prints the status whenever it changes, until nothing is left, or until interrupted."""
    last = None
    try:
        while True:
            now = status(study, results)
            if now != last:
                sys.stdout.write((now.json() if as_json else "\n".join(now.lines())) + "\n")
                sys.stdout.flush()
                last = now
            if not now.unfinished and not now.held_by:
                return
            time.sleep(every_seconds)
    except KeyboardInterrupt:
        return
