"""The interface through which a launch reports while it runs."""

from __future__ import annotations

from typing import Protocol

from htsweep.execution.agenda import Agenda
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job


class Watch(Protocol):
    """Observes every start and end; called from the executor's thread."""

    def started(self, agenda: Agenda, job: Job) -> None:
        """A job has started."""

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """A job has ended, and its record is in the ledger."""

    def tick(self, agenda: Agenda) -> None:
        """Called regularly, whether or not anything happened."""

    def note(self, text: str) -> None:
        """Something that the user should know, such as what the launch waits for."""

    def reported(self, agenda: Agenda, table: str) -> None:
        """The trials have ended; `table` has their results as Markdown, before pages are drawn."""


class Silent:
    """Ignores everything."""

    def started(self, agenda: Agenda, job: Job) -> None:
        """Nothing."""

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Nothing."""

    def tick(self, agenda: Agenda) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def reported(self, agenda: Agenda, table: str) -> None:
        """Nothing."""


class Relay:
    """Passes everything on to another watch: what stands between adds to it."""

    def __init__(self, watch: Watch) -> None:
        """`watch` sees everything that this sees."""
        self._watch = watch

    def started(self, agenda: Agenda, job: Job) -> None:
        """Passes it on."""
        self._watch.started(agenda, job)

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Passes it on."""
        self._watch.ended(agenda, job, outcome)

    def tick(self, agenda: Agenda) -> None:
        """Passes it on."""
        self._watch.tick(agenda)

    def note(self, text: str) -> None:
        """Passes it on."""
        self._watch.note(text)

    def reported(self, agenda: Agenda, table: str) -> None:
        """Passes it on."""
        self._watch.reported(agenda, table)
