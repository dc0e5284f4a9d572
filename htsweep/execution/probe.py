"""Tries out an executor with one tiny trial, whose record must be in the ledger."""

from __future__ import annotations

import os
import tempfile
import time

from htsweep.errors import ExecutorLost
from htsweep.execution.executor import Died, Ended, Executor, Returned
from htsweep.execution.work import Conditions, Work
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job

PROBE_SECONDS = 300.0


def probe(executor: Executor) -> int:
    """Runs a trial of the toy task, and returns how many trials the executor runs at once.

    Raises:
        HtsweepError: the executor does not start, or the trial does not end well.
    """
    over = time.monotonic() + PROBE_SECONDS
    with tempfile.TemporaryDirectory(prefix="htsweep-probe-") as folder, executor:
        conditions = Conditions(results=folder, folder=os.getcwd(), time_limit=PROBE_SECONDS)
        submitted = False
        while time.monotonic() < over:
            if not submitted and executor.room() > 0:
                executor.submit(Work(Job("probe", "trial", "toy", {"steps": 1}, 0), conditions))
                submitted = True
            for event in executor.events(0.2):
                if isinstance(event, Ended):
                    if event.outcome.status != "done":
                        raise ExecutorLost(f"a trial failed: {event.outcome.reason}")
                    if Ledger(Store(folder)).trials(["trial"]).num_rows != 1:
                        raise ExecutorLost("a trial ended, but its record is not in the ledger")
                    return executor.slots
                if isinstance(event, Died):
                    raise ExecutorLost(f"the process that ran a trial ended: {event.why}")
                if isinstance(event, Returned):
                    raise ExecutorLost("a trial was returned without having run")
        raise ExecutorLost(f"a trial did not end within {PROBE_SECONDS:g} s")
