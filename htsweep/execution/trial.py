"""One trial, from its job to its record in the ledger, in whatever process this is."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

from htsweep.errors import LedgerError
from htsweep.execution.isolation import fresh
from htsweep.execution.log import Log
from htsweep.execution.measured import Measured, last_values, undefined
from htsweep.execution.raised import account, cut
from htsweep.execution.workspace import SAVE_SECONDS, Workspace
from htsweep.ledger import Ledger, Record, Store
from htsweep.ledger.names import plain
from htsweep.planning import halving, task
from htsweep.planning.jobs import Job, seed_for

GRACE_SECONDS = 10.0
"""A trial that does not heed its time limit is ended with its process after this."""


@final
@dataclass(frozen=True)
class Terms:
    """What all trials of a launch share: where results go, what a trial may take, which code runs."""

    results: str
    cpu: float = 1.0
    gpu: float = 0.0
    time_limit: float | None = None
    save_seconds: float = SAVE_SECONDS
    paths: tuple[str, ...] = ()
    """Where a user's own modules are looked for, beside where Python looks anyway."""
    folder: str = ""
    """The working folder of the launch: relative paths mean the same in every trial, if its node
    has the folder.
    """
    version: str = ""
    commit: str | None = None
    dirty: bool | None = None
    first_rung: int | None = None
    eta: int = 3
    objectives: tuple[tuple[str, str], ...] = ()
    grace: float = GRACE_SECONDS
    own_process: bool = False
    """Whether the process may be ended to end a trial that hangs."""


@final
@dataclass(frozen=True)
class Outcome:
    """How a trial ended, for the driver; the ledger holds the whole of it."""

    trial: str
    status: str
    reason: str | None = None
    seconds: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    attempt: int = 1
    record: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    artifact: Mapping[str, str] = field(default_factory=dict)


@final
class End(NamedTuple):
    """How a trial ended: its status, why, and the whole account of it."""

    status: str
    reason: str | None = None
    error: str | None = None


class TimeLimit(BaseException):
    """The trial ran longer than it may; no `Exception`, which a task may catch to go on."""


class Diverged(Exception):
    """The trial measured a NaN."""


def run(
    job: Job, terms: Terms, artifacts: Mapping[str, Mapping[str, str]], attempt: int
) -> Outcome:
    """Trains the job's trial, writes its record, and returns how it ended; raises nothing that the trial raises.

    Raises:
        LedgerError: the record cannot be written, so that the trial does not count.
        KeyboardInterrupt: somebody wants the launch to end.
    """
    for path in terms.paths:
        if path not in sys.path:
            sys.path.append(path)
    store = Store(terms.results)
    measured = Measured(job.config)
    threads = max(1, int(terms.cpu))
    device = "cuda:0" if terms.gpu > 0 else "cpu"
    space = Workspace(
        job,
        store,
        artifacts,
        lambda: measured.rows,
        device=device,
        threads=threads,
        save_seconds=terms.save_seconds,
    )
    log = Log(store, f"logs/{job.trial}-{attempt}.txt")
    started = time.time()
    artifact: dict[str, str] = {}

    def ended(end: End) -> Outcome:
        return _record(
            job, terms, store, measured.rows, end, started, attempt, artifact, log, device
        )

    def overdue() -> None:
        try:
            ended(
                End(
                    "failed",
                    f"time_limit: ran longer than {terms.time_limit:g} s and did not answer",
                    log.stacks(),
                )
            )
            log.end()
        finally:
            os._exit(17)

    lasting: list[str] = []
    # Here, so that what a trial changes in the module of its task is seen against the module as it
    # was imported.
    with suppress(Exception):
        task.find(job.task)
    try:
        with (
            redirect_stdout(log),
            redirect_stderr(log),
            fresh(seed_for(job.repetition, "process"), threads, device, terms.paths) as lasting,
        ):
            end = _end(job, terms, store, space, measured, artifact, overdue)
    except Exception as raised:  # what the trial has changed could not be put back
        end = failure(raised)
    if end.reason:
        log.write(f"{end.error or ''}{end.reason}\n")
    for change in lasting:
        log.write(f"the trial changed its process for good: {change}\n")
    try:
        outcome = ended(end)
    except LedgerError:
        space.close(ended=False)
        raise
    finally:
        log.end()
    with suppress(LedgerError):  # a state that is left over takes some room, no more
        space.close(ended=end.status != "failed" or not (end.reason or "").startswith("time_limit"))
    return outcome


def _end(
    job: Job,
    terms: Terms,
    store: Store,
    space: Workspace,
    measured: Measured,
    artifact: dict[str, str],
    overdue: Callable[[], None],
) -> End:
    """Runs the trial, and says how it ended, whatever it raises; fills `artifact`."""
    try:
        with _limited(terms, overdue):
            measured.resume(space.measured_before())
            survived = _drive(job, terms, store, space, measured)
            artifact.update(space.publish() if job.kind == "stage" else {})
            return End("done" if survived else "stopped")
    except TimeLimit:
        return End("failed", f"time_limit: ran longer than {terms.time_limit:g} s")
    except Diverged as stop:
        return End("failed", f"diverged: {stop}")
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        return failure(raised)


def _drive(job: Job, terms: Terms, store: Store, space: Workspace, measured: Measured) -> bool:
    """Runs the task to its end, or until it falls behind at a rung: then False."""
    yielded = task.find(job.task).run(job.config, space)
    close = getattr(yielded, "close", lambda: None)
    try:
        survived = _survived(yielded, job, terms, store, measured)
    except BaseException:
        try:
            close()
        except Exception:  # what came first is why the trial failed
            traceback.print_exc()
        raise
    close()
    return survived


def _survived(
    yielded: Iterable[Any], job: Job, terms: Terms, store: Store, measured: Measured
) -> bool:
    """Whether the task ended by itself, and not since it fell behind at a rung."""
    rungs, waiting = _rungs(job, terms), -1
    for raw in yielded:
        row = measured.take(raw)
        bad = undefined(row)
        if bad:
            raise Diverged(f"{', '.join(map(plain, bad))} is NaN at step {row['step']}")
        # Those of an earlier process are behind it
        rungs = [rung for rung in rungs if rung > measured.passed]
        if -1 < waiting < row["step"]:
            break
        # What is compared may come in a later row of the step.
        waiting = row["step"] if rungs and row["step"] >= rungs[0] and _lacking(terms, row) else -1
        while waiting < 0 and rungs and row["step"] >= rungs[0]:
            if not _survives(job, terms, store, rungs.pop(0), row):
                return False
    if waiting >= 0:
        row = next(row for row in measured.rows if row["step"] == waiting)
        msg = f"the objective {_lacking(terms, row)[0]} was not measured at step {waiting}; it measured {', '.join(row)}"
        raise ValueError(msg)
    return True


def _rungs(job: Job, terms: Terms) -> list[int]:
    if terms.first_rung is None or job.kind != "trial":
        return []
    return [terms.first_rung * terms.eta**power for power in range(24)]


def _survives(job: Job, terms: Terms, store: Store, rung: int, row: Mapping[str, Any]) -> bool:
    """Whether the trial goes on past a rung; its values are left there for the others.

    The values stand in the object's name, so that one listing tells all of them: no actor, no lock,
    nothing to restore.
    """
    folder = f"rungs/{job.sweep}/{job.repetition}/{rung}"
    others = {}
    for entry in store.list(folder):
        trial, _, text = entry.name.rpartition("/")[2].partition("~")
        others[trial] = tuple(map(float, text.split(",")))
    values = tuple(float(row[metric]) for metric, _ in terms.objectives)
    others.pop(job.trial, None)
    store.write(f"{folder}/{job.trial}~{','.join(map(repr, values))}", b"")
    directions = [direction for _, direction in terms.objectives]
    return halving.survives(values, list(others.values()), directions, terms.eta)


def _lacking(terms: Terms, row: Mapping[str, Any]) -> list[str]:
    """The objectives that a row has no number for."""
    return [metric for metric, _ in terms.objectives if not isinstance(row.get(metric), float)]


@contextmanager
def _limited(terms: Terms, overdue: Any) -> Iterator[None]:
    """Raises TimeLimit in the trial when its time is over; where that is not heeded, calls `overdue`."""
    if terms.time_limit is None:
        yield
        return

    def ring(_: int, __: Any) -> None:
        raise TimeLimit

    main = threading.current_thread() is threading.main_thread()
    timers = [threading.Timer(terms.time_limit + terms.grace, overdue)] if terms.own_process else []
    # A notebook server's thread, say, where no signal arrives: between two of its instructions
    if not main:
        timers.append(
            threading.Timer(terms.time_limit, _raise_in, [threading.get_ident(), TimeLimit])
        )
    before = signal.signal(signal.SIGALRM, ring) if main else None
    for timer in timers:
        timer.daemon = True
        timer.start()
    if main:
        signal.setitimer(signal.ITIMER_REAL, terms.time_limit)
    try:
        yield
    finally:
        if main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        for timer in timers:
            timer.cancel()


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Has a thread raise before its next instruction of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _record(
    job: Job,
    terms: Terms,
    store: Store,
    measured: Sequence[Mapping[str, Any]],
    end: End,
    started: float,
    attempt: int,
    artifact: Mapping[str, str],
    log: Log,
    device: str,
) -> Outcome:
    ended = time.time()
    record = Record(
        trial=job.trial,
        kind=job.kind,
        status=end.status,
        task=job.task,
        config=json.dumps(dict(job.config), sort_keys=True),
        repetition=job.repetition,
        sweep=job.sweep,
        point=job.point,
        point_index=job.index,
        reason=end.reason,
        error=end.error,
        attempt=attempt,
        started=started,
        ended=ended,
        seconds=ended - started,
        node=platform.node(),
        device=device,
        cpu=terms.cpu,
        gpu=terms.gpu,
        log=None if log.empty else log.name,
        version=terms.version,
        commit=terms.commit,
        dirty=terms.dirty,
        artifact=json.dumps(dict(artifact)) if artifact else None,
        stages=json.dumps(dict(job.stages)),
        steps=len(measured),
    )
    name = Ledger(store).append(record, measured)
    return Outcome(
        job.trial,
        end.status,
        end.reason,
        ended - started,
        started,
        ended,
        attempt,
        name,
        last_values(measured),
        artifact,
    )


def failure(raised: BaseException) -> End:
    """The end of a trial that raised."""
    reason, error = account(raised)
    return End("failed", reason, error)


def recorded(job: Job, terms: Terms, attempt: int) -> Outcome | None:
    """How the attempt at the job ended by the record that its worker wrote; None where there is none."""
    for row in Ledger(Store(terms.results)).attempts(job.trial):
        if row["attempt"] == attempt:
            artifact = json.loads(row["artifact"]) if row["artifact"] else {}
            return Outcome(
                job.trial,
                row["status"],
                row["reason"],
                row["seconds"],
                row["started"],
                row["ended"],
                attempt,
                row["record"],
                {},
                artifact,
            )
    return None


def died(
    job: Job, terms: Terms, attempt: int, why: str, started: float, reason: str = ""
) -> Outcome:
    """How a trial ended whose process ended under it: as its worker recorded it, else as this records it now.

    Args:
        job: what the process ran.
        terms: of the launch.
        attempt: at the job.
        why: all that is known of the end, for the log.
        started: when the attempt began, in unix seconds.
        reason: what the record says; "": what follows from `why`.
    """
    outcome = recorded(job, terms, attempt)
    if outcome is not None:
        return outcome
    store = Store(terms.results)
    kind = "out_of_memory" if "OutOfMemory" in why or "out of memory" in why.lower() else "died"
    log = Log(store, f"logs/{job.trial}-{attempt}.txt")
    log.write(f"{why}\n")
    device = "cuda:0" if terms.gpu > 0 else "cpu"
    end = End("failed", reason or f"{kind}: {plain(_gist(why))}", cut(why))
    try:
        return _record(job, terms, store, [], end, started, attempt, {}, log, device)
    finally:
        log.end()


def _gist(why: str) -> str:
    """The line of Ray's account that names the error."""
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line.partition(":")[0]]
    return (named or lines or ["the worker's process ended"])[-1][:300]
