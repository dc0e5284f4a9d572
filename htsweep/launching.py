"""Runs what a study lacks; only here do plan, ledger, executor, mirror and report meet."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from htsweep.commands import given
from htsweep.errors import HtsweepError, StudyHeld
from htsweep.execution import fetching, registry
from htsweep.execution.agenda import NOTHING, Agenda, EarlierRun
from htsweep.execution.conditions import conditions_of, stopped_as
from htsweep.execution.executor import Executor
from htsweep.execution.fractions import Fractions
from htsweep.execution.loop import run_agenda
from htsweep.execution.others import Others
from htsweep.execution.probing import probe_missing, unmeasured_shapes
from htsweep.execution.pulse import Pulse
from htsweep.execution.shipping import collect
from htsweep.execution.watch import Silent, Watch
from htsweep.execution.work import Conditions
from htsweep.execution.workspace import SAVE_SECONDS
from htsweep.ledger import Lease
from htsweep.mirror.coverage import Mirrored, uri_of
from htsweep.mirror.follower import Follower
from htsweep.planning import metrics
from htsweep.planning.keeping import keeping
from htsweep.planning.plan import Plan, Point
from htsweep.planning.resources import amounts_of
from htsweep.planning.roster import COLUMNS, Roster
from htsweep.planning.screen import Verdict
from htsweep.report.current import Report
from htsweep.report.warming import Warming
from htsweep.results import Results, chosen
from htsweep.results.estimate import estimate
from htsweep.results.tables import rows_of
from htsweep.study.schema import Study
from tasks import buckets

LOCAL = ("ray", "inline")
"""The executors that, without an address, run trials on this machine."""
ORPHAN_SECONDS = 5.0
"""How long to wait for workers that outlive a killed launch.

What they finish in this time counts and does not run twice.
"""


@final
@dataclass(frozen=True)
class Launched:
    """What a launch did."""

    agenda: Agenda
    seconds: float
    interrupted: bool
    mirrored: Mirrored | None
    """How much MLflow has of the study; None without a mirror."""
    paths: tuple[Path, ...] = ()
    """The figures that were drawn."""
    table: str = ""
    """The study's results as Markdown."""
    scores: Agenda | None = None
    """The agenda of the scores of the study's screen; None if it has none."""
    verdicts: tuple[Verdict, ...] = ()
    """The verdict on each pair of the screen."""
    spared: int = 0
    """How many trials belong to the pairs that it dropped."""
    failed: int = 0
    """Trials, and scores of the screen, that failed in this launch or an earlier one.

    See htsweep/results/tally.py.
    """
    left: int = 0
    """Trials without a result, failed ones not counted."""
    unreported: str = ""
    """Why the report could not be written; "" if it was."""
    answer: str = ""
    """The answer to the study's question, in a few words; "" if there is none."""


def launch(
    study: Study,
    results: str | Path = "results",
    *,
    on: str = "ray",
    address: str | None = None,
    wait_for_nodes: float | None = None,
    watch: Watch | None = None,
    mirror: str | None = "",
    save_seconds: float = SAVE_SECONDS,
    join: bool = False,
) -> Launched:
    """Runs what the ledger in `results` lacks of `study`, and returns what was done.

    Args:
        study: as `htsweep.read` returns it.
        results: a folder or a URI.
        on: the executor: `ray`, `inline` for this process, or your own as `module:function`.
        address: of a Ray cluster; None for a local Ray of its own.
        wait_for_nodes: the most minutes to wait for a node that can run a trial; None: 30 on a
            cluster with an autoscaler, else 0.
        watch: is notified of every start and end.
        mirror: the MLflow tracking URI; "" for the database beside the results, None for no mirror.
        save_seconds: the least time between two saved states of a trial.
        join: shares the trials with other launches of the study that were told the same.

    Raises:
        StudyHeld: another launch holds the study, and not both are to share it.
        ResourceError: no node has, or can get, what a trial takes.
        LedgerError: the results cannot be read or written; what is recorded is kept.
    """
    watch, results = watch or Silent(), str(results)
    began = time.monotonic()
    before = Results(study, results)
    study = before.study
    left = chosen.undecided(before.full_plan)
    if left:
        raise HtsweepError(chosen.unmeasured(study, results, left))
    kept = keeping(before.full_plan)
    conditions = replace(
        conditions_of(study, results, save_seconds),
        keep=kept.steps,
        features=kept.features,
        metrics=tuple(study.metrics),
        copies=tuple(sorted(buckets.versions().items())),
    )
    for name in study.metrics:
        metrics.find(name)  # before anything starts; planning has not run a user's module
    store, ledger = before.store, before.ledger
    shipped = None
    if address is not None:
        shipped = collect(study.folder, results)
        conditions = replace(conditions, code=shipped.code)
        if shipped.note():
            watch.note(shipped.note())
    options = registry.Options(
        study.resources.cpu,
        study.resources.gpu,
        address,
        wait_for_nodes,
        amounts_of(before.full_plan, before.score_plan),
        shipped,
    )
    if mirror:
        uri_of(store, mirror)  # reports a mistake in it before anything starts
    executor = registry.make(on, options)
    # In this process a trial would have to share the interpreter with it.
    warming = Warming(watch, before) if getattr(executor, "elsewhere", True) else None
    pulse = Pulse(warming or watch, store, study.name, local=address is None and on in LOCAL)
    about = given(study, results).launch()
    lease = Lease(store, f"study-{study.name}", about=about, shared=join)
    holder = lease.take(watch.note)
    if holder is not None:
        raise StudyHeld(_held_message(before, holder, lease.folder, join=join))
    try:
        others = Others(store, lease, trials=join, metrics=[one.metric for one in study.objectives])
        # One launch copies to MLflow for all.
        copies = not join or others.hold(f"mirror-{study.name}")
        follower = Follower(before, mirror if copies else None, pulse)
    except BaseException:
        lease.release()
        raise
    try:
        if lease.after_death:
            time.sleep(ORPHAN_SECONDS)
        try:
            starting = _starting(on, address)
            opening = _opened_when_needed(executor, follower, starting, here=address is None)
            with opening as opened:
                with _ended_by_sigterm():
                    after, done = _run_study(
                        before,
                        others,
                        lambda agenda: opened.run(
                            agenda, stopped_as(agenda.plan.study, conditions)
                        ),
                    )
                opened.finish()
                if warming is not None:
                    warming.stop()
                lease.check()
                # The report is made while the executor ends, which may take seconds.
                report = Report(after)
                # Who interrupts wants the prompt back, not a page.
                if done.agenda.over and not done.interrupted:
                    # The report reads what was measured several times: in a bucket that is a wait
                    # for each object.
                    with contextlib.suppress(HtsweepError):  # it is tried again, and said, below
                        if ledger.scattered:
                            ledger.merge()
                    report.make(lambda table: follower.reported(done.agenda, table))
        except BaseException:
            with contextlib.suppress(HtsweepError):  # the user sees the first exception
                ledger.compact()
            raise
        ledger.compact()
        if not done.interrupted and not follower.has_all(after, report.written.mirrored):
            follower.finish(after)
            if follower.mirrored is not None and follower.mirrored.whole:
                report.mirrored(follower.uri)
        remaining = estimate(after)
        return replace(
            done,
            seconds=time.monotonic() - began,
            mirrored=follower.mirrored,
            paths=report.written.paths,
            table=report.written.table,
            failed=remaining.failed,
            left=remaining.left,
            unreported=report.trouble,
            answer=report.written.answer,
        )
    finally:
        if warming is not None:
            warming.cancel()
        follower.leave()
        pulse.close()
        with contextlib.suppress(HtsweepError):  # the user sees the first exception
            others.leave()
        lease.release()


def _starting(on: str, address: str | None) -> str:
    """What a launch waits for first, in words."""
    if address is not None:
        return f"connecting to Ray at {address}"
    return {"ray": "starting Ray", "inline": "running them here, one at a time"}.get(
        on, f"starting {on}"
    )


def _first_time() -> str:
    """A note if Python has yet to compile what trials import, as after installing; else ""."""
    found = importlib.util.find_spec("torch")
    if sys.dont_write_bytecode or found is None or found.origin is None:
        return ""
    if Path(importlib.util.cache_from_source(found.origin)).exists():
        return ""
    return (
        "first launch after installing: Python compiles what it imports, once, which takes a while "
        "longer"
    )


def _run_study(
    before: Results, others: Others, run: Callable[[Agenda], bool]
) -> tuple[Results, Launched]:
    """Runs the scores of the study's screen, if any, and then the trials that they keep.

    Returns the results after that, and what was done. The study is planned once; the ledger is read
    once, and again after each of the two that ran anything.

    Args:
        before: the results so far.
        others: the other launches.
        run: runs an agenda, and returns whether it was interrupted.
    """
    results, scores, interrupted = before, None, False
    if before.score_plan is not None:
        scores = agenda_of(before, before.score_plan, others)
        results, interrupted = _run_agenda(before, scores, run)
    agenda = agenda_of(results, results.plan, others)
    if scores is not None:
        agenda.closed, agenda.deadline = scores.closed, scores.deadline
    # What the scores keep is settled, whatever another launch has scored since.
    verdicts, spared = results.verdicts, results.full_plan.trial_count - agenda.plan.trial_count
    if not interrupted:
        results, interrupted = _run_agenda(results, agenda, run)
    done = Launched(
        agenda,
        0.0,
        interrupted,
        None,
        scores=scores,
        verdicts=verdicts,
        spared=spared,
    )
    return results, done


def _run_agenda(
    results: Results, agenda: Agenda, run: Callable[[Agenda], bool]
) -> tuple[Results, bool]:
    """Runs an agenda; returns the results after it, and whether it was interrupted."""
    if agenda.finished:
        return results, False
    interrupted = run(agenda)
    return results.reread(), interrupted


@final
class _Opened:
    """An executor that is opened when it is first needed."""

    def __init__(
        self,
        executor: Executor,
        watch: Watch,
        stack: contextlib.ExitStack[bool | None],
        starting: str,
        *,
        here: bool,
    ) -> None:
        self._executor, self._watch, self._stack = executor, watch, stack
        self._starting, self._here = starting, here
        self._open = False

    def run(self, agenda: Agenda, conditions: Conditions) -> bool:
        """Runs an agenda, starting nothing for an empty one; returns whether it was interrupted."""
        if agenda.finished:
            return False
        if not self._open:
            first = _first_time()
            if first:
                self._watch.note(first)
            stages = sum(agenda.stages.values())
            self._watch.note(
                f"to run: {'' if agenda.exact else 'at most '}{agenda.left:,} trials"
                f"{f' and {stages:,} stages that they need' if stages else ''}; {self._starting}"
            )
            if self._here:
                fetching.fetch(agenda.plan, self._watch.note)
        fractions = agenda.fractions
        if self._here and fractions is not None:
            missing = unmeasured_shapes(agenda.plan, fractions, conditions)
            probe_missing(missing, fractions, self._watch.note)
        if not self._open:
            self._stack.enter_context(self._executor)
            self._open = True
        return run_agenda(agenda, self._executor, conditions, self._watch)

    def finish(self) -> None:
        """Lets the executor begin to end, if it can do so in the background."""
        begin = getattr(self._executor, "finish", None)
        if self._open and begin is not None:
            begin()


@contextlib.contextmanager
def _opened_when_needed(
    executor: Executor, watch: Watch, starting: str, *, here: bool
) -> Iterator[_Opened]:
    """The executor as `_Opened`; closed at the end of the block.

    `here`: whether trials run on this machine, so that what they need from elsewhere is had first.
    """
    with contextlib.ExitStack() as stack:
        yield _Opened(executor, watch, stack, starting, here=here)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM, sent by batch systems and containers, end the launch as Ctrl-C does."""
    # Python accepts signal handlers only in the main thread.
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


def agenda_of(results: Results, planned: Plan, others: Others | None = None) -> Agenda:
    """The agenda of a plan, without what the ledger has.

    The GPU hours of both the study and its scores count against the budget.

    Args:
        results: of the study.
        planned: what to run: its `plan`, or its `score_plan`.
        others: the other launches; None: there are none.
    """
    if results.ledger.scattered:
        results.ledger.compact()
    past = past_of(results, planned)
    used = dict(past)
    if results.score_plan is not None:
        for other in (results.full_plan, results.score_plan):
            used |= past_of(results, other)
    gpu_hours = sum(end.seconds * end.gpu for end in used.values()) / 3600
    agenda = Agenda(planned, past, others, gpu_hours=gpu_hours)
    if planned.study.resources.automatic:
        agenda.fractions = Fractions(results.store)
    agenda.measured = lambda metrics: measured_before(results, planned, metrics)
    return agenda


def measured_before(
    results: Results, planned: Plan, metrics: Sequence[str]
) -> Iterator[tuple[Point, Mapping[str, float]]]:
    """(point, its last value of each metric) of each trial of the plan that is done."""
    places = {
        row["trial"]: points
        for row, points in Roster(planned).own(results.rows(COLUMNS))
        if points and row["status"] == "done"
    }
    if not places:
        return
    own = rows_of(results.recorded, list(places))
    last: dict[str, dict[str, float]] = {}
    for row in results.ledger.measurements(metrics, own, "numbers").to_pylist():
        values = {metric: row[metric] for metric in metrics if row.get(metric) is not None}
        last.setdefault(row["trial"], {}).update(values)
    for trial, points in places.items():
        for point in points:
            yield point, last.get(trial, {})


def past_of(results: Results, planned: Plan) -> dict[str, EarlierRun]:
    """The earlier runs, according to the ledger, of the plan's trials and stages."""
    values = _values(results, planned) if planned.adaptive else {}
    there = {entry.name for entry in results.store.list("artifacts")}
    past: dict[str, EarlierRun] = {}
    for row, points in Roster(planned).own(
        results.rows([*COLUMNS, "seconds", "gpu", "attempt", "artifact"])
    ):
        artifact = json.loads(row["artifact"]) if row["artifact"] else NOTHING
        # An artifact removed since, such as by `clean`, is made again if a trial needs it.
        gone = row["kind"] == "stage" and not there.issuperset(artifact.values())
        past[row["trial"]] = EarlierRun(
            "gone" if gone else row["status"],
            row["seconds"],
            row["gpu"],
            row["attempt"],
            artifact,
            values.get(row["trial"], NOTHING),
            row["kind"],
            points[0] if points and planned.adaptive else None,
        )
    return past


def _values(results: Results, planned: Plan) -> Mapping[str, Mapping[str, float]]:
    """The objectives that each trial of the plan measured last, for an adaptive sampler."""
    metrics = [objective.metric for objective in planned.study.objectives]
    table = results.recorded
    sweeps, ends = table.column("sweep").to_pylist(), table.column("status").to_pylist()
    own = [
        row
        for row, (sweep, end) in enumerate(zip(sweeps, ends, strict=True))
        if sweep in planned.by_id and end != "failed"
    ]
    last: dict[str, dict[str, float]] = {}
    if not own:
        return last
    measured = results.ledger.measurements(metrics, table.take(own), "numbers")
    for row in measured.to_pylist():
        values = {metric: row[metric] for metric in metrics if row.get(metric) is not None}
        last.setdefault(row["trial"], {}).update(values)
    return last


def _held_message(results: Results, holder: Mapping[str, Any], folder: str, *, join: bool) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
    about = f"\nWhat it runs: {holder['about']}" if holder["about"] else ""
    shares = (
        "To share its trials, start both with --join: end that process as Ctrl-C does (nothing is "
        "lost), and start it again so"
        if join
        else "To run trials beside it, launch with --join"
        if holder.get("shared") is True
        else "To share the trials of a study, start all of its launches with --join"
    )
    return (
        f"study '{results.study.name}' is being launched by process {holder['pid']} on "
        f"{holder['host']} since {since}. "
        f"Wait for it, or end that process. {shares}. A crashed launch releases its lock "
        "automatically, one on another machine after "
        f"90 s (the lock is {folder} in the results).{about}\nTo watch it: "
        f"{given(results.study, results.location).verb('status', '--watch')}"
    )
