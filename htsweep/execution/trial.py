"""Runs one trial, from its job to its record in the ledger, in the current process.

`python -m htsweep.execution.trial JOB.json` runs the trial that a file describes in a process of
its own, for batch systems and users' own executors.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from htsweep.errors import HtsweepError, LedgerError
from htsweep.execution import shipping
from htsweep.execution.ending import End, device_of, failure, log_of, record
from htsweep.execution.isolation import fresh
from htsweep.execution.measured import Measured, undefined
from htsweep.execution.rungs import missing_objectives, rungs_of, survives
from htsweep.execution.time_limit import TimeLimit, limited
from htsweep.execution.work import Outcome, Work, from_json
from htsweep.execution.workspace import Left, Workspace
from htsweep.ledger import Store
from htsweep.ledger.names import plain
from htsweep.planning import task
from htsweep.planning.jobs import seed_for
from tasks import buckets

LEFT = "left"
"""The status of a trial that has saved its state and leaves its machine, without a record."""
HUNG_EXIT = 17
"""The exit code of a process that ended itself because its trial ignored its time limit."""


class Diverged(Exception):
    """The trial measured NaN."""


def run(work: Work) -> Outcome:
    """Runs the trial, writes its record and returns how it ended, whatever the trial raises.

    A trial that leaves its machine (`LEFT`) has no record yet.

    Raises:
        LedgerError: the record cannot be written, so that the trial does not count.
        KeyboardInterrupt: the user interrupts the launch.
    """
    job, conditions = work.job, work.conditions
    # Import the task's module before `fresh` records modules, so that the trial's changes to it are
    # seen.
    _imported(work)
    buckets.pin(dict(conditions.copies))
    store = Store(conditions.results)
    measured = Measured(job.config)
    threads, device = max(1, int(conditions.cpu)), device_of(conditions)
    space = Workspace(
        job,
        store,
        work.artifacts,
        lambda: measured.rows,
        device=device,
        threads=threads,
        save_seconds=conditions.save_seconds,
        keep=conditions.keep,
        features=conditions.features,
        metrics=conditions.metrics,
    )
    log = log_of(work, store)
    started = time.time()
    artifact: dict[str, str] = {}

    def ended(end: End) -> Outcome:
        return record(
            work, end, started=started, log=log, measured=measured.rows, artifact=artifact
        )

    def overdue() -> None:
        late = f"time_limit: ran longer than {conditions.time_limit:g} s and did not answer"
        try:
            ended(End("failed", late, log.stacks()))
            log.end()
        finally:
            os._exit(HUNG_EXIT)

    lasting: list[str] = []
    try:
        with (
            redirect_stdout(log),
            redirect_stderr(log),
            fresh(
                seed_for(job.repetition, "process"), threads, device, conditions.paths
            ) as lasting,
        ):
            end = _end(work, store, space, measured, artifact=artifact, overdue=overdue)
    except Exception as raised:  # restoring what the trial has changed failed
        end = failure(raised)
    if end.status == LEFT:
        log.end()
        space.close(ended=False)
        return Outcome(job.trial, LEFT)
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
    with suppress(LedgerError):  # a leftover state only takes space
        space.close(ended=end.status != "failed" or not (end.reason or "").startswith("time_limit"))
    return outcome


def prepare(work: Work) -> None:
    """Moves this process into the launch's folder and imports the task, which may take minutes.

    The time of a trial, and so its limit, begins after that.
    """
    if Path(work.conditions.folder or ".").is_dir():
        os.chdir(work.conditions.folder or ".")
    _imported(work)


def _imported(work: Work) -> None:
    """Imports the task's module; what it raises, the trial raises when it begins."""
    for path in work.conditions.paths:
        if path not in sys.path:
            sys.path.append(path)
    with suppress(Exception):
        task.find(work.job.task)


def run_in_own_process(work: Work) -> Outcome:
    """As `run`, in the launch's folder, for a process that runs nothing else at the time.

    The process may be ended in order to end a trial that hangs.
    """
    prepare(work)
    conditions = work.conditions
    if conditions.time_limit is not None:
        # If the trial holds the interpreter's lock, not even the thread that watches the limit gets
        # to run. This timer is a thread without Python: it writes all stacks and ends the process.
        faulthandler.dump_traceback_later(conditions.time_limit + 1.5 * conditions.grace, exit=True)
    try:
        return run(replace(work, conditions=replace(conditions, own_process=True)))
    finally:
        faulthandler.cancel_dump_traceback_later()


def _end(
    work: Work,
    store: Store,
    space: Workspace,
    measured: Measured,
    *,
    artifact: dict[str, str],
    overdue: Callable[[], None],
) -> End:
    """Runs the trial, and returns how it ended, whatever it raises; fills `artifact`."""
    limit = work.conditions.time_limit
    try:
        with limited(work.conditions, overdue):
            measured.resume(space.measured_before())
            survived = _drive(work, store, space, measured)
            stage = work.job.kind == "stage"
            artifact.update(space.publish() if stage else space.publish_kept())
            return End("done" if survived else "stopped")
    except TimeLimit:
        return End("failed", f"time_limit: ran longer than {limit:g} s")
    except Diverged as stop:
        return End("failed", f"diverged: {stop}")
    except Left:
        return End(LEFT)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        return failure(raised)


def _drive(work: Work, store: Store, space: Workspace, measured: Measured) -> bool:
    """Runs the task to its end; False if it was stopped at a rung."""
    config = work.job.config
    if work.conditions.moved is not None:
        config = shipping.moved(dict(config), *work.conditions.moved)
    yielded = task.find(work.job.task).run(config, space)
    close = getattr(yielded, "close", lambda: None)
    try:
        survived = _survived(yielded, work, store, space, measured=measured)
    except BaseException:
        try:
            close()
        except Exception:  # the first exception is why the trial failed
            traceback.print_exc()
        raise
    close()
    return survived


def _survived(
    yielded: Iterable[Any], work: Work, store: Store, space: Workspace, *, measured: Measured
) -> bool:
    """Whether the task ran to its end rather than being stopped at a rung."""
    job, conditions = work.job, work.conditions
    rungs, waiting = rungs_of(job, conditions), -1
    for raw in yielded:
        row = _with_metrics(measured, measured.take(raw), space)
        bad = undefined(row)
        if bad:
            raise Diverged(f"{', '.join(map(plain, bad))} is NaN at step {row['step']}")
        # Rungs that an earlier process of this trial has passed are not compared again.
        rungs = [rung for rung in rungs if rung > measured.passed]
        if -1 < waiting < row["step"]:
            break
        # The objectives may come in a later row of the same step.
        at_rung = bool(rungs) and row["step"] >= rungs[0]
        waiting = row["step"] if at_rung and missing_objectives(conditions, row) else -1
        while waiting < 0 and rungs and row["step"] >= rungs[0]:
            if not survives(job, conditions, store, rungs.pop(0), row=row):
                return False
    if waiting >= 0:
        row = next(row for row in measured.rows if row["step"] == waiting)
        lacking = missing_objectives(conditions, row)[0]
        msg = (
            f"the objective {lacking} was not measured at step {waiting}; "
            f"it measured {', '.join(row)}"
        )
        raise ValueError(msg)
    return True


def _with_metrics(measured: Measured, row: dict[str, Any], space: Workspace) -> dict[str, Any]:
    """The row, with the study's metrics of the model's outputs at its step added."""
    try:
        found = space.asked(row["step"])
    except HtsweepError as error:
        if len(measured.rows) == 1:
            raise
        sys.stderr.write(f"not measured at step {row['step']}: {error}\n")
        return row
    return measured.take({"step": row["step"], **found}) if found else row


# -- the process of one trial

USAGE = """\
Runs one trial, and writes its record to the results that the job names.

JOB.json is what `htsweep.execution.work.to_json` writes: an object with
  job         trial (its id), kind (trial or stage), task, config, repetition, and, where they
              are needed, stages, sweep, point, index
  conditions  results (folder or URI), and optionally cpu, gpu, time_limit (seconds), paths (where
              modules are found), folder (the working folder), ...
  artifacts   for each stage that the trial needs: file -> object in the results
  attempt     1 or more
  deadline    unix seconds after which the trial must not start, or null
"""
EXIT_CODES = """\
exit codes:
  0   the trial is done, or was stopped early at a rung
  2   the job cannot be read; nothing was run
  3   the trial failed; its record says why
  4   the results take no record; the trial does not count
  5   the deadline had passed; nothing was run
  17  the trial ignored its time limit, so its process was ended; its record says so
Any other end, such as 1 or a signal, means that the process died. Whether it had written its record
by then, the ledger knows: htsweep.execution.ending.recorded(work).
"""
DONE, MALFORMED, FAILED, UNRECORDED, TOO_LATE = 0, 2, 3, 4, 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the trial described by the file on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m htsweep.execution.trial",
        description=USAGE,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB.json", help="the file that describes the trial")
    path = Path(parser.parse_args(arguments).job)
    try:
        work = _read(path)
    except HtsweepError as error:
        return _say(str(error), MALFORMED)
    if work.deadline is not None and time.time() > work.deadline:
        return _say(f"{path}: the deadline has passed; nothing was run", TOO_LATE)
    faulthandler.enable()
    try:
        outcome = run_in_own_process(work)
    except LedgerError as error:
        return _say(f"the trial does not count: {error}", UNRECORDED)
    ended = f"trial {outcome.trial}: {outcome.status}"
    code = FAILED if outcome.status == "failed" else DONE
    return _say(f"{ended}: {outcome.reason}" if outcome.reason else ended, code)


def _read(path: Path) -> Work:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise HtsweepError(f"{path} cannot be read: {error.strerror or error}") from None
    return from_json(text, str(path))


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    return code


def _main_and_exit() -> None:
    # Import under its own name: what is pickled or compared by type must not belong to __main__.
    from htsweep.execution import trial

    if not sys.flags.safe_path:
        # The working folder, which `-m` puts first: modules are found where the launch found them.
        del sys.path[0]
    code = trial.main()
    sys.stdout.flush()
    # os._exit, because Python's normal exit would wait for threads that a trial left behind.
    os._exit(code)


if __name__ == "__main__":
    _main_and_exit()
