"""Runs an agenda in this process, one trial after another: for tests, debugging and machines without Ray."""

from __future__ import annotations

import time

from htsweep.execute import trial
from htsweep.execute.agenda import Agenda
from htsweep.execute.trial import Terms
from htsweep.execute.watch import Watch


def execute(agenda: Agenda, terms: Terms, watch: Watch) -> None:
    """Runs until the agenda is finished; a KeyboardInterrupt ends it between two measurements."""
    while not agenda.finished:
        job = agenda.next()
        if job is None:
            if agenda.finished:
                return
            time.sleep(0.2)  # another launch makes the stage that all else waits for
            watch.tick(agenda)
            continue
        watch.started(agenda, job)
        outcome = trial.run(job, terms, agenda.artifacts(job), agenda.attempt(job))
        agenda.end(job, outcome)
        watch.ended(agenda, job, outcome)
