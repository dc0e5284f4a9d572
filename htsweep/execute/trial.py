"""One trial, from its job to its record in the ledger, in whatever process this is."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, final

from htsweep import stopping, task
from htsweep.execute.isolation import fresh
from htsweep.execute.log import Log
from htsweep.execute.workspace import SAVE_SECONDS, Workspace
from htsweep.jobs import Job, seed_for
from htsweep.ledger import Ledger, Record, Store

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
    """The working folder of the launch: relative paths mean the same in every trial, if its node has the folder."""
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


class TimeLimit(Exception):
    """The trial ran longer than it may."""


class Diverged(Exception):
    """The trial measured a NaN."""


def run(job: Job, terms: Terms, artifacts: Mapping[str, Mapping[str, str]], attempt: int) -> Outcome:
    """Trains the job's trial, writes its record, and returns how it ended; raises nothing that the trial raises."""
    for path in terms.paths:
        if path not in sys.path:
            sys.path.append(path)
    store = Store(terms.results)
    measured: list[dict[str, Any]] = []
    threads = max(1, int(terms.cpu))
    device = "cuda:0" if terms.gpu > 0 else "cpu"
    space = Workspace(job, store, artifacts, lambda: measured, device=device, threads=threads,
                      save_seconds=terms.save_seconds)
    log = Log(store, f"logs/{job.trial}-{attempt}.txt")
    started = time.time()
    status, reason, error = "done", None, None
    artifact: dict[str, str] = {}

    def ended(status: str, reason: str | None, error: str | None) -> Outcome:
        return _record(job, terms, store, measured, status, reason, error, started, attempt, artifact, log, device)

    def overdue() -> None:
        ended("failed", f"time_limit: ran longer than {terms.time_limit:g} s and did not answer", log.stacks())
        log.close()
        os._exit(17)

    lasting: list[str] = []
    # Here, so that what a trial changes in the module of its task is seen against the module as it was imported.
    with contextlib.suppress(Exception):
        task.find(job.task)
    try:
        with _limited(terms, overdue), redirect_stdout(log), redirect_stderr(log), \
                fresh(seed_for(job.repetition, "process"), threads, device, terms.paths) as lasting:
            measured += space.measured_before()
            if not _drive(job, terms, store, space, measured):
                status = "stopped"
            artifact = space.publish() if job.kind == "stage" else {}
    except TimeLimit:
        status, reason = "failed", f"time_limit: ran longer than {terms.time_limit:g} s"
    except Diverged as stop:
        status, reason = "failed", f"diverged: {stop}"
    except Exception as raised:
        status, reason, error = "failed", _reason(raised), traceback.format_exc()
    if reason:
        log.write(f"{error or ''}{reason}\n")
    for change in lasting:
        log.write(f"the trial changed its process for good: {change}\n")
    outcome = ended(status, reason, error)
    space.close(ended=status != "failed" or not reason or not reason.startswith("time_limit"))
    log.close()
    return outcome


def _drive(job: Job, terms: Terms, store: Store, space: Workspace, measured: list[dict[str, Any]]) -> bool:
    """Runs the task to its end, or until it falls behind at a rung: then False."""
    rungs = _rungs(job, terms)
    generator = task.find(job.task).run(job.config, space)
    try:
        for raw in generator:
            row = _row(raw)
            # A continued trial may come by the step of its last state again.
            while measured and measured[-1]["step"] >= row["step"]:
                measured.pop()
            measured.append(row)
            bad = [name for name, value in row.items() if isinstance(value, float) and math.isnan(value)]
            if bad:
                raise Diverged(f"{', '.join(bad)} is NaN at step {row['step']}")
            while rungs and row["step"] >= rungs[0]:
                if not _survives(job, terms, store, rungs.pop(0), row):
                    return False
    finally:
        getattr(generator, "close", lambda: None)()
    return True


def _rungs(job: Job, terms: Terms) -> list[int]:
    if terms.first_rung is None or job.kind != "trial":
        return []
    return [terms.first_rung * terms.eta**power for power in range(24)]


def _survives(job: Job, terms: Terms, store: Store, rung: int, row: Mapping[str, Any]) -> bool:
    """Whether the trial goes on past a rung; its values are left there for the others.

    The values stand in the object's name, so that one listing tells all of them: no actor, no lock, nothing to restore.
    """
    folder = f"rungs/{job.sweep}/{job.repetition}/{rung}"
    others = {}
    for entry in store.list(folder):
        trial, _, text = entry.name.rpartition("/")[2].partition("~")
        others[trial] = tuple(map(float, text.split(",")))
    missing = [metric for metric, _ in terms.objectives if metric not in row]
    if missing:
        msg = f"the objective {missing[0]} was not measured at step {row['step']}; it measured {', '.join(row)}"
        raise ValueError(msg)
    values = tuple(float(row[metric]) for metric, _ in terms.objectives)
    others.pop(job.trial, None)
    store.write(f"{folder}/{job.trial}~{','.join(map(repr, values))}", b"")
    directions = [direction for _, direction in terms.objectives]
    return stopping.survives(values, list(others.values()), directions, terms.eta)


def _row(raw: Any) -> dict[str, Any]:
    """A measurement as the ledger takes it: int `step`, floats, lists of floats."""
    if not isinstance(raw, Mapping) or "step" not in raw:
        msg = f"a task yields mappings with a 'step', but this one yielded {raw!r:.200}"
        raise TypeError(msg)
    row: dict[str, Any] = {"step": int(raw["step"])}
    for name, value in raw.items():
        if name == "step" or value is None:
            continue
        many = isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1
        try:
            row[str(name)] = [float(one) for one in value] if many else float(value)
        except (TypeError, ValueError):
            msg = f"the measurement '{name}' is a number or a list of numbers, but got {value!r:.200}"
            raise TypeError(msg) from None
    return row


@contextmanager
def _limited(terms: Terms, overdue: Any) -> Iterator[None]:
    """Raises TimeLimit in the trial when its time is over; where that is not heeded, calls `overdue`."""
    if terms.time_limit is None:
        yield
        return

    def ring(_: int, __: Any) -> None:
        raise TimeLimit

    watch = threading.Timer(terms.time_limit + terms.grace, overdue) if terms.own_process else None
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, ring) if main else None
    if watch is not None:
        watch.daemon = True
        watch.start()
    if main:
        signal.setitimer(signal.ITIMER_REAL, terms.time_limit)
    try:
        yield
    finally:
        if main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if watch is not None:
            watch.cancel()


def _record(
    job: Job, terms: Terms, store: Store, measured: Sequence[Mapping[str, Any]], status: str, reason: str | None,
    error: str | None, started: float, attempt: int, artifact: Mapping[str, str], log: Log, device: str,
) -> Outcome:
    ended = time.time()
    record = Record(
        trial=job.trial, kind=job.kind, status=status, task=job.task, config=json.dumps(dict(job.config), sort_keys=True),
        repetition=job.repetition, sweep=job.sweep, point=job.point, point_index=job.index, reason=reason, error=error,
        attempt=attempt, started=started, ended=ended, seconds=ended - started, node=platform.node(), device=device,
        cpu=terms.cpu, gpu=terms.gpu, log=None if log.empty else log.name, version=terms.version,
        commit=terms.commit, dirty=terms.dirty, artifact=json.dumps(dict(artifact)) if artifact else None,
        stages=json.dumps(dict(job.stages)), steps=len(measured),
    )
    name = Ledger(store).append(record, measured)
    last = {key: value for key, value in (measured[-1] if measured else {}).items() if isinstance(value, int | float)}
    return Outcome(job.trial, status, reason, ended - started, started, ended, attempt, name, last, artifact)


def recorded(job: Job, terms: Terms, attempt: int) -> Outcome | None:
    """How the attempt at the job ended by the record that its worker wrote; None where there is none."""
    for row in Ledger(Store(terms.results)).attempts(job.trial):
        if row["attempt"] == attempt:
            artifact = json.loads(row["artifact"]) if row["artifact"] else {}
            return Outcome(job.trial, row["status"], row["reason"], row["seconds"], row["started"], row["ended"], attempt,
                           row["record"], {}, artifact)
    return None


def died(job: Job, terms: Terms, attempt: int, why: str, started: float, reason: str = "") -> Outcome:
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
    outcome = _record(job, terms, store, [], "failed", reason or f"{kind}: {_gist(why)}", why, started, attempt, {}, log,
                      device)
    log.close()
    return outcome


def _reason(raised: Exception) -> str:
    # torch raises an OutOfMemoryError of its own, which this side does not know by type.
    kind = "out_of_memory" if type(raised).__name__ in ("OutOfMemoryError", "MemoryError") else "raised"
    return f"{kind}: {type(raised).__name__}: {_first(str(raised))}"


def _first(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[0] if lines else "")[:300]


def _gist(why: str) -> str:
    """The line of Ray's account that names the error."""
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line.partition(":")[0]]
    return (named or lines or ["the worker's process ended"])[-1][:300]
