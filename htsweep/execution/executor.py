"""The seam between what is to be run and where: an executor places jobs, and `work` feeds it from an agenda.

An executor knows nothing of studies, ledgers or retries. It is given `Work`, one trial each, and
tells by events what becomes of it; the worker that runs a trial writes its record to the ledger
before the executor says that it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, final

from htsweep.execution.agenda import Agenda
from htsweep.execution.trial import Outcome, Terms, died, recorded
from htsweep.execution.watch import Watch
from htsweep.planning.jobs import Job

POLL_SECONDS = 0.2
"""How long an executor waits for something to happen before time is told to go by."""
STOP_SECONDS = 15.0
"""How long an interrupted executor may take to say what became of the trials that it ran."""


@final
@dataclass(frozen=True)
class Work:
    """One trial as an executor is given it: everything that the process which runs it needs."""

    job: Job
    terms: Terms
    artifacts: Mapping[str, Mapping[str, str]]
    attempt: int
    deadline: float | None = None
    """Unix seconds; work that has not started by then is not to be started."""


@final
@dataclass(frozen=True)
class Started:
    """A worker began the trial."""

    trial: str


@final
@dataclass(frozen=True)
class Ended:
    """The trial ended in some way, and its record is in the ledger."""

    trial: str
    outcome: Outcome


@final
@dataclass(frozen=True)
class Died:
    """The process that ran the trial ended under it; whether it had written its record is not known."""

    trial: str
    why: str


@final
@dataclass(frozen=True)
class Returned:
    """The work was not run: the executor was stopped, its deadline passed, or what it ran on was lost."""

    trial: str
    again: bool
    """Whether it may be submitted again at once."""


@final
@dataclass(frozen=True)
class Notice:
    """Something that the user should know: what the executor waits for, or what it does about a loss."""

    text: str


Event = Started | Ended | Died | Returned | Notice


class Executor(Protocol):
    """A place where trials run. Call everything from one thread; leave it as a context manager."""

    @property
    def slots(self) -> int:
        """How many trials run at once, as far as is known."""
        ...

    def room(self, agenda: Agenda) -> int:
        """How many jobs of `agenda` it would take now."""
        ...

    def submit(self, work: Work) -> None:
        """Takes work; returns at once."""
        ...

    def events(self, seconds: float) -> Iterable[Event]:
        """What happened since the last call; waits up to `seconds` for the first event.

        Raises:
            ResourceError: no node has, or can get, what a trial takes.
            ExecutorLost: what it runs on is gone, and cannot be loaded again.
        """
        ...

    def stop(self) -> None:
        """Starts no more work and ends what runs; `events` then tells what became of it."""
        ...


def work(agenda: Agenda, executor: Executor, terms: Terms, watch: Watch) -> bool:
    """Runs until the agenda is finished, or closed and drained; returns whether it was interrupted.

    A KeyboardInterrupt ends it tidily: what runs is stopped, and what has ended by then counts.
    """
    loop = _Loop(agenda, executor, terms, watch)
    try:
        while not agenda.finished:
            loop.turn()
    except KeyboardInterrupt:
        agenda.close("interrupted")
        executor.stop()
        loop.drain()
        return True
    return False


@final
class _Loop:
    """What is between an agenda and an executor: the work that was given out, and what events mean for it."""

    def __init__(self, agenda: Agenda, executor: Executor, terms: Terms, watch: Watch) -> None:
        self._agenda, self._executor, self._terms, self._watch = agenda, executor, terms, watch
        self._given: dict[str, Work] = {}
        self._began: dict[str, float] = {}

    def turn(self) -> None:
        """Hands out what the executor has room for, and takes in what happened."""
        self._feed()
        for event in self._executor.events(POLL_SECONDS):
            self._take(event)
            self._feed()
        self._watch.tick(self._agenda)

    def drain(self) -> None:
        """Takes in what a stopped executor still tells, and gives up what it does not tell in time."""
        over = time.monotonic() + STOP_SECONDS
        while self._given and time.monotonic() < over:
            for event in self._executor.events(POLL_SECONDS):
                self._take(
                    Returned(event.trial, again=False) if isinstance(event, Returned) else event
                )
        for trial in list(self._given):
            self._take(Returned(trial, again=False))

    def _feed(self) -> None:
        self._agenda.slots = self._executor.slots
        while self._executor.room(self._agenda) > 0:
            job = self._agenda.next()
            if job is None:
                return
            self._began[job.trial] = time.time()
            self._given[job.trial] = Work(
                job,
                self._terms,
                self._agenda.artifacts(job),
                self._agenda.attempt(job),
                self._agenda.deadline,
            )
            self._executor.submit(self._given[job.trial])

    def _take(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._watch.note(event.text)
            return
        work = self._given.get(event.trial)
        if work is None:  # told twice, such as by a worker and then by the loss of its node
            return
        if isinstance(event, Started):
            self._began[event.trial] = time.time()
            self._watch.started(self._agenda, work.job)
            return
        began = self._began.pop(event.trial)
        del self._given[event.trial]
        outcome = _outcome(event, work, began)
        if outcome is not None:
            self._agenda.end(work.job, outcome)
            self._watch.ended(self._agenda, work.job, outcome)
        elif isinstance(event, Returned) and event.again:
            self._agenda.requeue(work.job)
        else:
            self._agenda.withdraw(work.job)


def _outcome(event: Ended | Died | Returned, work: Work, began: float) -> Outcome | None:
    """How the trial ended; None where it did not run, so that nothing ended."""
    if isinstance(event, Ended):
        return event.outcome
    if isinstance(event, Died):
        return died(work.job, work.terms, work.attempt, event.why, began)
    # The worker may have got as far as its record before it was stopped.
    return recorded(work.job, work.terms, work.attempt)
