"""Where a study stands, from the ledger and its lease alone: any process may ask, on any machine."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import final

from htsweep.estimate import estimate
from htsweep.ledger import Lease, Ledger, Store
from htsweep.planning import plan
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

    def lines(self) -> list[str]:
        """The status as a person reads it."""
        by = f"; being launched by {self.held_by}" if self.held_by else ""
        lines = [
            f"study {self.study}{by}",
            f"trials  {self.trials}: {self.done} done, {self.stopped} stopped early, {self.failed} failed, {self.left} to run",
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
    planned = plan(study)
    listed = [(point, repetition, trial) for point, repetition, trial in planned.trials()]
    wanted = {trial for _, _, trial in listed} | set(planned.stages((point, rep) for point, rep, _ in listed))
    sweeps = {sweep.id for sweep in planned.sweeps} if planned.adaptive else set()
    failures = []
    for row in Ledger(store).trials().to_pylist():
        if row["status"] == "failed" and (row["trial"] in wanted or row["sweep"] in sweeps):
            config = json.loads(row["config"])
            what = ", ".join(f"{key}={config[key]}" for key in study.factors if key in config)
            log = f"{store.uri}/{row['log']}" if row["log"] else None
            failures.append(Failure(row["trial"], row["kind"], f"{what}, repetition {row['repetition']}".lstrip(", "),
                                    row["attempt"], row["reason"] or "", log))
    holder = Lease(store, f"study-{study.name}").holder()
    by = f"process {holder['pid']} on {holder['host']}" if holder else None
    left = found.trials_to_run - found.trials_failed
    return Status(study.name, found.trials, found.trials_done, found.trials_stopped, found.trials_failed, left,
                  found.stages, found.stages_done, by, tuple(failures))


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
            if not now.left and not now.held_by:
                return
            time.sleep(every_seconds)
    except KeyboardInterrupt:
        return
