"""How a trial ended, and its record in the ledger.

The trial's own process writes the record, or the launch does if that process died.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

from htsweep.errors import LedgerError
from htsweep.execution.disk import fault_of_this_machine
from htsweep.execution.log import Log
from htsweep.execution.measured import last_values
from htsweep.execution.raised import account, cut
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.hiding import hidden
from htsweep.ledger import Ledger, Record, Store
from htsweep.ledger.names import plain


@final
class End(NamedTuple):
    """How a trial ended: its status, the reason in one line, and the full error text."""

    status: str
    reason: str | None = None
    error: str | None = None
    machine: str = ""
    """Why the machine is to blame, so that this end does not count; "" if it is not."""


def failure(raised: BaseException) -> End:
    """The end of a trial that raised an exception."""
    reason, error = account(raised)
    return End("failed", reason, error, fault_of_this_machine(raised))


def device_of(conditions: Conditions) -> str:
    """The device that a trial runs on, as torch names it."""
    return "cuda:0" if conditions.gpu > 0 else "cpu"


def log_of(work: Work, store: Store) -> Log:
    """The log of an attempt at a trial."""
    return Log(store, f"logs/{work.job.trial}-{work.attempt}.txt")


def record(
    work: Work,
    end: End,
    *,
    started: float,
    log: Log,
    measured: Sequence[Mapping[str, Any]] = (),
    artifact: Mapping[str, str] | None = None,
) -> Outcome:
    """Writes the trial's record, and returns how the trial ended.

    Args:
        work: what was run.
        end: how it ended.
        started: when it began, in unix seconds.
        log: what it printed.
        measured: one row per step.
        artifact: what a stage made: file -> object.

    Raises:
        LedgerError: the record cannot be written, or must not be since the machine is to blame, so
            that the trial does not count.
    """
    if end.machine:
        raise LedgerError(end.machine)
    job, conditions, artifact = work.job, work.conditions, artifact or {}
    ended = time.time()
    reason = None if end.reason is None else hidden(end.reason)
    row = Record(
        trial=job.trial,
        kind=job.kind,
        status=end.status,
        task=job.task,
        config=json.dumps(dict(job.config), sort_keys=True),
        repetition=job.repetition,
        sweep=job.sweep,
        point=job.point,
        point_index=job.index,
        reason=reason,
        error=None if end.error is None else hidden(end.error),
        attempt=work.attempt,
        started=started,
        ended=ended,
        seconds=ended - started,
        node=platform.node(),
        device=device_of(conditions),
        cpu=conditions.cpu,
        gpu=conditions.gpu,
        log=None if log.empty else log.name,
        version=conditions.version,
        commit=conditions.commit,
        dirty=conditions.dirty,
        code=conditions.code,
        artifact=json.dumps(dict(artifact)) if artifact else None,
        stages=json.dumps(dict(job.stages)),
        steps=len(measured),
    )
    name = Ledger(Store(conditions.results)).append(row, measured)
    return Outcome(
        trial=job.trial,
        status=end.status,
        reason=reason,
        seconds=ended - started,
        started=started,
        ended=ended,
        attempt=work.attempt,
        record=name,
        rows=len(measured) + 1,
        values=last_values(measured),
        artifact=artifact,
    )


def recorded(work: Work) -> Outcome | None:
    """How this attempt ended, according to its record; None if it has no record.

    Raises:
        LedgerError: the results cannot be read.
    """
    ledger = Ledger(Store(work.conditions.results))
    for row in ledger.attempts(work.job.trial):
        if row["attempt"] == work.attempt:
            # An object that is not yet compacted has the name of its record.
            table = ledger.measured({row["record"]: {row["record"]: row["trial"]}})
            return Outcome(
                trial=row["trial"],
                status=row["status"],
                reason=row["reason"],
                seconds=row["seconds"],
                started=row["started"],
                ended=row["ended"],
                attempt=work.attempt,
                record=row["record"],
                rows=table.num_rows + 1,
                values=last_values(table.to_pylist()),
                artifact=json.loads(row["artifact"]) if row["artifact"] else {},
            )
    return None


def died(work: Work, why: str, started: float, reason: str = "") -> Outcome:
    """How a trial whose process died has ended; writes the record if the process did not.

    Args:
        work: what the process ran.
        why: all that is known of the end, for the log.
        started: when the attempt began, in unix seconds.
        reason: the record's reason; "": derived from `why`.
    """
    outcome = recorded(work)
    if outcome is not None:
        return outcome
    log = log_of(work, Store(work.conditions.results))
    log.write(f"{why}\n")
    kind = "out_of_memory" if "OutOfMemory" in why or "out of memory" in why.lower() else "died"
    end = End("failed", reason or f"{kind}: {plain(_gist(why))}", cut(why))
    try:
        return record(work, end, started=started, log=log)
    finally:
        log.end()


def _gist(why: str) -> str:
    """The line of a long error text that names the error."""
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line.partition(":")[0]]
    return (named or lines or ["the worker's process ended"])[-1][:300]
