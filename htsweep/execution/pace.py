"""How fast a launch runs, and how long what is left will take."""

from __future__ import annotations

import time
from statistics import fmean
from typing import final

from htsweep.execution.agenda import Agenda
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job


@final
class Pace:
    """The seconds of what has ended in this launch, of one agenda at a time."""

    def __init__(self) -> None:
        self._of: Agenda | None = None
        self._since = time.monotonic()
        """When the agenda's first job started; a launch with a screen has two agendas in turn."""
        self._seconds: dict[str, list[float]] = {}
        """`trial`, or a stage's task -> the seconds of each that has ended."""

    def started(self, agenda: Agenda) -> bool:
        """Counts from here, if the agenda is another than before; returns whether it is."""
        if self._of is agenda:
            return False
        self._of, self._since, self._seconds = agenda, time.monotonic(), {}
        return True

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Counts the seconds of what did not fail."""
        if outcome.status != "failed":
            kind = "trial" if job.kind == "trial" else job.task
            self._seconds.setdefault(kind, []).append(outcome.seconds)

    def left(self, agenda: Agenda) -> float | None:
        """The seconds that what is left takes; None before a trial has ended, and at the end."""
        trials = self._seconds.get("trial")
        if self._of is not agenda or not trials or not agenda.left:
            return None
        slots = max(1, agenda.slots)
        stages = [
            second for kind, each in self._seconds.items() if kind != "trial" for second in each
        ]
        work = agenda.left * fmean(trials)
        for task, count in agenda.stages.items():
            known = self._seconds.get(task) or stages or trials
            work += (count - agenda.made[task]) * fmean(known)
        # What comes on top of the seconds that trials measure themselves, such as starting.
        spent = sum(trials) + sum(stages)
        lost = (time.monotonic() - self._since) * min(slots, len(trials) + len(stages)) / spent
        return work / slots * max(1.0, lost) if spent else None
