"""Feeds an executor from an agenda and processes its reports, until nothing is left to run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import final

from htsweep.execution.agenda import Agenda
from htsweep.execution.conditions import taking
from htsweep.execution.ending import died, recorded
from htsweep.execution.executor import (
    Died,
    Ended,
    Event,
    Executor,
    Notice,
    Probed,
    Returned,
    Started,
)
from htsweep.execution.probing import unmeasured_shapes
from htsweep.execution.watch import Watch
from htsweep.execution.work import Conditions, Outcome, Work

POLL_SECONDS = 0.2
"""How long an executor waits for an event before the watch gets a `tick`."""
STOP_SECONDS = 15.0
"""How long a stopped executor may take to report what became of its trials."""

STOPPING = "stopping; what has ended is recorded. Ctrl-C again ends at once"


def run_agenda(agenda: Agenda, executor: Executor, conditions: Conditions, watch: Watch) -> bool:
    """Runs until the agenda is finished, or closed and drained; returns whether it was interrupted.

    On KeyboardInterrupt, running trials are stopped; those that have ended by then count.
    """
    loop = _Loop(agenda, executor, conditions, watch)
    try:
        loop.measure()
        while not agenda.finished:
            loop.turn()
    except KeyboardInterrupt:
        watch.note(STOPPING)
        agenda.close("interrupted")
        executor.stop()
        loop.drain()
        return True
    return False


@final
class _Loop:
    """Connects an agenda and an executor: hands out work, and interprets the events."""

    def __init__(
        self, agenda: Agenda, executor: Executor, conditions: Conditions, watch: Watch
    ) -> None:
        self._agenda, self._executor, self._watch = agenda, executor, watch
        self._conditions = conditions
        self._submitted: dict[str, Work] = {}
        """The work that the executor has, until it reports how that ended."""
        self._since: dict[str, float] = {}
        """When each work was submitted or, once it has started, when it started."""
        self._not_started: set[str] = set()
        self._recall: Callable[[], None] | None = getattr(executor, "recall", None)

    def measure(self) -> None:
        """Has other machines measure what `gpu: auto` needs, if that is where trials run.

        No trial is submitted before: what it takes could not be changed any more.
        """
        fractions, probe = self._agenda.fractions, getattr(self._executor, "probe", None)
        if fractions is None or probe is None:
            return
        missing = unmeasured_shapes(self._agenda.plan, fractions, self._conditions)
        measuring = bool(missing) and probe(missing)
        if not measuring:
            return
        while measuring:
            for event in self._executor.events(POLL_SECONDS):
                measuring = measuring and not isinstance(event, Probed)
                self._take(event)
            self._watch.tick(self._agenda)
        fractions.reread()

    def turn(self) -> None:
        """Submits as much work as the executor has room for, and processes its events."""
        self._feed()
        for event in self._executor.events(POLL_SECONDS):
            self._take(event)
            self._feed()
        if self._recall is not None and self._agenda.spent:
            self._recall()
            self._recall = None
        self._watch.tick(self._agenda)

    def drain(self) -> None:
        """Processes a stopped executor's last reports; gives up the rest after `STOP_SECONDS`."""
        over = time.monotonic() + STOP_SECONDS
        while self._submitted and time.monotonic() < over:
            for event in self._executor.events(POLL_SECONDS):
                if isinstance(event, Returned):
                    self._take(Returned(event.trial, again=False))
                else:
                    self._take(event)
        for trial in list(self._submitted):
            self._take(Returned(trial, again=False))

    def _feed(self) -> None:
        self._agenda.slots = self._executor.slots
        self._agenda.nodes = getattr(self._executor, "nodes", ())
        while self._executor.room() > 0 and not self._must_wait:
            job = self._agenda.next()
            if job is None:
                return
            work = Work(
                job,
                taking(self._conditions, self._agenda.amount(job)),
                artifacts=self._agenda.artifacts(job),
                attempt=self._agenda.attempt(job),
                deadline=self._agenda.deadline,
            )
            self._since[job.trial] = time.time()
            self._submitted[job.trial] = work
            self._not_started.add(job.trial)
            self._executor.submit(work)

    @property
    def _must_wait(self) -> bool:
        """Whether nothing more may be submitted although the executor has room.

        A budget of GPU hours is used up only as results arrive. Unless the executor can take back
        what has not started, at most one trial waits for a slot under such a budget. A launch that
        shares its trials with others leaves to them what it has no slot for.
        """
        others = self._agenda.others
        if others is not None and others.trials:
            return len(self._not_started) >= max(1, self._executor.slots // 2)
        budget = self._agenda.plan.study.budget.gpu_hours
        return budget is not None and bool(self._not_started) and self._recall is None

    def _take(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._watch.note(event.text)
            return
        if isinstance(event, Probed):
            return
        work = self._submitted.get(event.trial)
        if work is None:  # reported twice, such as by a worker and then by the loss of its node
            return
        self._not_started.discard(event.trial)
        if isinstance(event, Started):
            self._since[event.trial] = time.time()
            self._watch.started(self._agenda, work.job)
            return
        since = self._since.pop(event.trial)
        del self._submitted[event.trial]
        outcome = _outcome(event, work, since)
        if outcome is not None:
            self._agenda.end(work.job, outcome)
            self._watch.ended(self._agenda, work.job, outcome)
        elif isinstance(event, Returned) and event.again:
            self._agenda.requeue(work.job)
        else:
            self._agenda.withdraw(work.job)


def _outcome(event: Ended | Died | Returned, work: Work, since: float) -> Outcome | None:
    """How the trial ended; None if it did not run."""
    if isinstance(event, Ended):
        return event.outcome
    if isinstance(event, Died):
        return died(work, event.why, since)
    # The process may have written its record before it was stopped.
    return recorded(work)
