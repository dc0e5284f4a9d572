"""Does what is missing of a study: the one place where plan, ledger, executor and mirror meet."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from htsweep.commands import given
from htsweep.errors import HtsweepError, StudyHeld
from htsweep.execution import registry
from htsweep.execution.agenda import NOTHING, Agenda, EarlierRun
from htsweep.execution.conditions import conditions_of, stopped_as
from htsweep.execution.executor import Executor
from htsweep.execution.loop import run_agenda
from htsweep.execution.watch import Silent, Watch
from htsweep.execution.work import Conditions
from htsweep.execution.workspace import SAVE_SECONDS
from htsweep.ledger import Lease, Ledger, Store, clear
from htsweep.ledger.tables import PARTS
from htsweep.mirror.beside import Follower, Mirrored
from htsweep.planning.plan import Plan, plan
from htsweep.planning.roster import COLUMNS, Roster, rows
from htsweep.planning.screen import Verdict, less, plan_of
from htsweep.results.estimate import estimate
from htsweep.results.screen import judge
from htsweep.study.schema import Study

ORPHAN_SECONDS = 5.0
"""After a launch was killed its workers live on for a moment, and what they end counts: it is not
to be run again.
"""


@final
@dataclass(frozen=True)
class Launched:
    """What a launch did."""

    agenda: Agenda
    seconds: float
    interrupted: bool
    mirrored: Mirrored | None
    """How much MLflow has of the study; None where there is no mirror."""
    paths: tuple[Path, ...] = ()
    """The figures that were drawn."""
    table: str = ""
    """The study's results as Markdown."""
    scores: Agenda | None = None
    """The work on the scores of the study's screen; None where it has none."""
    verdicts: tuple[Verdict, ...] = ()
    """What became of each pair of the screen."""
    spared: int = 0
    """Trials of the pairs that it dropped."""
    failed: int = 0
    """Trials, and scores of the screen, that have failed, in this launch or in an earlier one
    (htsweep/results/tally.py).
    """
    left: int = 0
    """Trials that have no result yet, those that failed not counted."""
    unreported: str = ""
    """Why the report could not be written; "" where it was."""


def launch(
    study: Study,
    results: str = "results",
    *,
    on: str = "ray",
    address: str | None = None,
    watch: Watch | None = None,
    mirror: str | None = "",
    save_seconds: float = SAVE_SECONDS,
) -> Launched:
    """Runs what the ledger in `results` lacks of `study`, and returns what was done.

    Args:
        study: as `htsweep.read` gives it.
        results: a folder or a URI.
        on: the executor: `ray`, `inline` for this process, or one's own as `module:function`.
        address: of a Ray cluster; None for a local Ray of its own.
        watch: is told of every start and end.
        mirror: the MLflow tracking URI; "" for the database beside the results, None for no mirror.
        save_seconds: how often a trial's state is kept at most.

    Raises:
        StudyHeld: another launch holds the study.
        ResourceError: no node has, or can get, what a trial takes.
        LedgerError: the results cannot be read or written; what is recorded is kept.
    """
    watch = watch or Silent()
    began = time.monotonic()
    conditions = conditions_of(study, results, save_seconds)
    store = Store(results)
    options = registry.Options(study.resources.cpu, study.resources.gpu, address)
    executor = registry.make(on, options)
    follower = Follower(study, store, mirror, watch)
    lease = Lease(store, f"study-{study.name}", about=given(study, results).launch())
    holder = lease.take()
    if holder is not None:
        raise StudyHeld(_held(study, holder, lease.folder, results))
    stages = _Stages(store)
    try:
        if lease.after_death:
            time.sleep(ORPHAN_SECONDS)
        clear(store, "stage-")  # what killed launches held
        try:
            with _ended_by_sigterm(), _opened_when_needed(executor, follower) as run:
                done = _both(
                    plan(study),
                    store,
                    stages,
                    lambda agenda: run(agenda, stopped_as(agenda.plan.study, conditions)),
                )
        except BaseException:
            with contextlib.suppress(HtsweepError):  # what came first is what the user is told
                _compact(store)
            raise
        lease.check()
        _compact(store)
        unreported, paths, table = "", tuple[Path, ...](), ""
        try:
            paths, table = _told(study, results, done.agenda)
        except (
            HtsweepError
        ) as error:  # the trials are done and recorded, whatever becomes of their report
            unreported = str(error)
        follower.finish()
        stands = estimate(study, results)
        return replace(
            done,
            seconds=time.monotonic() - began,
            mirrored=follower.mirrored,
            paths=paths,
            table=table,
            failed=stands.failed,
            left=stands.left,
            unreported=unreported,
        )
    finally:
        follower.leave()
        stages.release()
        lease.release()


def _compact(store: Store) -> None:
    ledger = Ledger(store)
    if len(ledger.records()) > 1:
        ledger.compact()


def _both(whole: Plan, store: Store, stages: _Stages, run: Callable[[Agenda], bool]) -> Launched:
    """Runs the scores of the study's screen, where it has one, then what they keep of the plan; `run` runs an agenda."""
    scored = plan_of(whole)
    beside = () if scored is None else (whole, scored)
    scores = None if scored is None else agenda_of(scored, store, stages, beside)
    interrupted = scores is not None and run(scores)
    verdicts = judge(whole, Ledger(store))
    agenda = agenda_of(less(whole, verdicts), store, stages, beside)
    if scores is not None:
        agenda.closed, agenda.deadline = scores.closed, scores.deadline
    interrupted = interrupted or run(agenda)
    spared = whole.trial_count - agenda.plan.trial_count
    return Launched(agenda, 0.0, interrupted, None, scores=scores, verdicts=verdicts, spared=spared)


@contextlib.contextmanager
def _opened_when_needed(
    executor: Executor, watch: Watch
) -> Iterator[Callable[[Agenda, Conditions], bool]]:
    """Runs an agenda on the executor, which is opened when it is first needed; says whether it was interrupted."""
    opened = False
    with contextlib.ExitStack() as stack:

        def run(agenda: Agenda, conditions: Conditions) -> bool:
            nonlocal opened
            if agenda.finished:  # with nothing to do, no Ray is started
                return False
            if not opened:
                stack.enter_context(executor)
                opened = True
            return run_agenda(agenda, executor, conditions, watch)

        yield run


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, as a batch system or a container's end sends it, ends the launch as Ctrl-C does."""
    # Only there may signals be caught
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def agenda_of(planned: Plan, store: Store, stages: _Stages, beside: Sequence[Plan] = ()) -> Agenda:
    """The plan less what the ledger has; what the plans `beside` have used up counts against the budget of hours as well."""
    ledger = Ledger(store)
    if len(ledger.records()) > PARTS:
        ledger.compact()
    past = past_of(planned, ledger)
    used = {trial: one for other in beside for trial, one in past_of(other, ledger).items()} | past
    return Agenda(
        planned,
        past,
        stages.hold,
        stages.look,
        sum(one.seconds * one.gpu for one in used.values()) / 3600,
    )


def past_of(planned: Plan, ledger: Ledger) -> dict[str, EarlierRun]:
    """What the ledger says of the plan's trials and of their stages."""
    table = ledger.trials()
    values = _values(planned, ledger, table) if planned.adaptive else {}
    found: dict[str, EarlierRun] = {}
    for row, points in Roster(planned).own(
        rows(table, [*COLUMNS, "seconds", "gpu", "attempt", "artifact"])
    ):
        found[row["trial"]] = EarlierRun(
            row["status"],
            row["seconds"],
            row["gpu"],
            row["attempt"],
            json.loads(row["artifact"]) if row["artifact"] else NOTHING,
            values.get(row["trial"], NOTHING),
            row["kind"],
            points[0] if points and planned.adaptive else None,
        )
    return found


def _values(planned: Plan, ledger: Ledger, table: Any) -> Mapping[str, Mapping[str, float]]:
    """The objectives that each trial of the plan measured last: what an adaptive sampler is told."""
    metrics = [objective.metric for objective in planned.study.objectives]
    sweeps, ends = table.column("sweep").to_pylist(), table.column("status").to_pylist()
    own = [
        row
        for row, (sweep, end) in enumerate(zip(sweeps, ends, strict=True))
        if sweep in planned.by_id and end != "failed"
    ]
    last: dict[str, dict[str, float]] = {}
    for row in ledger.measurements(metrics, table.take(own), "numbers").to_pylist() if own else ():
        values = {metric: row[metric] for metric in metrics if row.get(metric) is not None}
        last.setdefault(row["trial"], {}).update(values)
    return last


@final
class _Stages:
    """Stages as this launch and others beside it share them: each is made by one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases: dict[str, Lease] = {}
        self._next_try: dict[str, float] = {}

    def hold(self, stage: str) -> bool:
        """Takes the stage for this launch; False while another one makes it."""
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
        """What the ledger has of the stage since another launch may have made it."""
        if stage in self._leases or time.monotonic() < self._next_try.get(stage, 0):
            return None
        ledger = Ledger(self._store)
        if not any(name.startswith(("all-", stage)) for name in ledger.records()):
            return None
        for row in ledger.trials(["trial", "status", "artifact"]).to_pylist():
            if row["trial"] == stage and row["status"] == "done":
                return EarlierRun(
                    "done", artifact=json.loads(row["artifact"]) if row["artifact"] else {}
                )
        return None

    def release(self) -> None:
        """Gives all back."""
        for lease in self._leases.values():
            lease.release()


def _told(study: Study, results: str, agenda: Agenda) -> tuple[tuple[Path, ...], str]:
    """The figures and the table of what there is by now; none of a study whose metrics they do not know."""
    from htsweep.report import build

    if not agenda.over:
        return (), ""
    out = build.folder_of(study, results)
    _, written = build.write(study, results, out)
    told = [path for path in written if path.name in ("report.html", "report.md", "report.tex")]
    return (*build.draw(study, results, out), *told), build.tell(study, results)


def _held(study: Study, holder: Mapping[str, Any], folder: str, results: str) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
    about = f"\nWhat it runs: {holder['about']}" if holder["about"] else ""
    return (
        f"study '{study.name}' is being launched by process {holder['pid']} on {holder['host']} "
        f"since {since}. "
        "Wait for it, or end that process. A crashed launch releases its lock automatically, one "
        "on another machine after "
        f"90 s (the lock is {folder} in the results).{about}\nTo watch it: "
        f"{given(study, results).verb('status', '--watch')}"
    )
