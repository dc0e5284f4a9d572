"""The state of a study, from its ledger and lease alone, so that any process can ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from htsweep.cli.now import launch_lines
from htsweep.commands import given
from htsweep.errors import LedgerError
from htsweep.execution.pulse import Beat, beats
from htsweep.ledger import Lease, Store
from htsweep.mirror.coverage import Mirrored, coverage
from htsweep.planning.plan import Plan
from htsweep.planning.roster import COLUMNS, Roster
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.results.spared import Screened

MOST_TAILS = 5
"""Of how many failures the end of the log is shown."""
TAIL = 6
"""How many lines of it."""


@final
@dataclass(frozen=True)
class Failure:
    """A failed trial or stage, with its last attempt."""

    trial: str
    kind: str
    what: str
    attempts: int
    reason: str
    log: str | None
    tail: tuple[str, ...] = ()
    """The last lines of the log; of the first `MOST_TAILS` failures."""


@final
@dataclass(frozen=True)
class Status:
    """What is done, failed and left of a study; failures have reasons and log files."""

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
    """The scores of its screen.

    `trials`, `done`, `failed` and `left` do not count them, but `stages` counts the stages of both.
    """
    blocked: int = 0
    """How many of the failed trials could not run, because a stage that they need failed.

    See htsweep/results/tally.py.
    """
    stages_failed: int = 0
    mlflow: Mirrored | None = None
    """How much the MLflow database beside the results has; None until something has ended."""
    offered: tuple[str, ...] = ()
    """What MLflow lacks, and the command that brings it up to date."""
    rerun: str = ""
    """The command that runs the first failure again in this process; "" without one."""
    exact: bool = True
    """Whether `trials` and `left` are exact counts rather than upper bounds."""
    launches: tuple[Beat, ...] = ()
    """What the launches under way said last, some seconds ago."""

    @property
    def unfinished(self) -> int:
        """Trials and scores that a launch would run, without those that have failed."""
        return self.left + (
            self.screen.trials_to_run - self.screen.trials_failed if self.screen else 0
        )

    def lines(self) -> list[str]:
        """The status as lines for people."""
        by = f"; being launched by {self.held_by}" if self.held_by else ""
        blocked = (
            f" ({self.blocked} of them could not run, since a stage failed)" if self.blocked else ""
        )
        most = "" if self.exact else "at most "
        lines = [
            f"study {self.study}{by}",
            *(self.screen.lines() if self.screen else []),
            f"trials  {most}{self.trials}: {self.done} done, {self.stopped} stopped early, "
            f"{self.failed} failed{blocked}, "
            f"{most}{self.left} to run",
            f"stages  {self.stages}: {self.stages_done} done"
            + (f", {self.stages_failed} failed" if self.stages_failed else ""),
            *(line for beat in self.launches for line in launch_lines(beat)),
        ]
        for failure in self.failures:
            lines.append(
                f"failed  {failure.kind} {failure.trial} ({failure.what}) after {failure.attempts} "
                f"attempt{'s' if failure.attempts != 1 else ''}: {failure.reason}"
            )
            if failure.log:
                lines.append(f"        log: {failure.log}")
            lines += [f"        | {line}" for line in failure.tail]
        if self.failures:
            lines.append(f"To run one again, here and with its output: {self.rerun}")
        if self.mlflow is not None and self.mlflow.whole:
            lines.append(f"mlflow  has all {self.mlflow.of} ended trials")
        return [*lines, *self.offered]

    def json(self) -> str:
        """The status as JSON."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if name != "offered"}, indent=2
        )


def status(results: Results) -> Status:
    """The state of the study of `results`."""
    study, store, scored = results.study, results.store, results.score_plan
    estimated = estimate(results)
    ended = list(results.rows([*COLUMNS, "attempt", "reason", "log"]))
    failures = [
        *(_failures(scored, ended, store) if scored else []),
        *_failures(results.plan, ended, store),
    ]
    holder = Lease(store, f"study-{study.name}").holder()
    by = f"process {holder['pid']} on {holder['host']}" if holder else None
    copied = coverage(results)
    # While a launch runs, MLflow lags a little; the launch reports at its end what is missing.
    behind = () if holder or not copied.of else copied.lacking(given(study, results.location))
    offered = tuple(behind)
    return Status(
        study.name,
        estimated.trials,
        estimated.trials_done,
        estimated.trials_stopped,
        estimated.trials_failed,
        estimated.left,
        estimated.stages,
        estimated.stages_done,
        by,
        tuple({failure.trial: failure for failure in failures}.values()),
        estimated.screen,
        estimated.trials_blocked,
        estimated.stages_failed,
        copied if copied.of else None,
        offered,
        given(study, results.location).verb("rerun", failures[0].trial) if failures else "",
        estimated.exact,
        tuple(beats(store, study.name)) if holder else (),
    )


def _failures(planned: Plan, ended: Sequence[Mapping[str, Any]], store: Store) -> list[Failure]:
    """The failed trials and stages of the plan among the `ended` rows of the ledger."""
    own = list(Roster(planned).own(ended))
    over = {row["trial"] for row, _ in own if row["status"] != "failed"}
    # A stage that nothing waits for does not run again, however it ended.
    waited_for = (
        _waited_for(planned, over)
        if any(not points and row["status"] == "failed" for row, points in own)
        else None
    )
    failures: list[Failure] = []
    for row, points in own:
        if row["status"] != "failed" or (
            not points and waited_for is not None and row["trial"] not in waited_for
        ):
            continue
        config = json.loads(row["config"])
        what = ", ".join(f"{key}={config[key]}" for key in planned.study.factors if key in config)
        log = f"{store.uri}/{row['log']}" if row["log"] else None
        failures.append(
            Failure(
                row["trial"],
                row["kind"],
                f"{what}, repetition {row['repetition']}".lstrip(", "),
                row["attempt"],
                row["reason"] or "",
                log,
                _tail(store, row["log"]) if len(failures) < MOST_TAILS else (),
            )
        )
    return failures


def _tail(store: Store, name: str | None) -> tuple[str, ...]:
    """The last lines of a log; none if it cannot be read."""
    if not name:
        return ()
    try:
        text = store.read(name).decode(errors="replace")
    except (LedgerError, OSError):
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-TAIL:]


def _waited_for(planned: Plan, over: set[str]) -> set[str] | None:
    """The stages that trials not in `over` need; None if the plan is too large to list."""
    if not planned.exact:
        return None
    if planned.adaptive:
        points = [planned.point(sweep, 0, {}) for sweep in planned.sweeps]
        return set(
            planned.stages(
                (point, repetition)
                for point in points
                for repetition in range(planned.study.repetitions)
            )
        )
    return set(
        planned.stages(
            (point, repetition)
            for point, repetition, trial in planned.trials()
            if trial not in over
        )
    )
