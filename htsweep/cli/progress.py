"""What a launch shows while it runs: one live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from htsweep.cli.printing import show
from htsweep.cli.standing import Standing, named, shown, title
from htsweep.execution.agenda import Agenda
from htsweep.execution.pace import Pace
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job
from htsweep.results.cost import lasting

LINE_SECONDS = 10.0
"""Without a terminal, at most one line in this time."""
UNKNOWN = "-"
"""Shown in place of a duration before the first trial has ended."""
GROUPS = 8
"""Groups whose best point the live table shows."""
NAMED = 4
"""Running trials that the live table names."""


@final
class Progress:
    """Watches a launch; a context manager that leaves the terminal as it was."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        self.first_start: float | None = None
        self._name = name
        self._console = console or Console(file=sys.stderr)
        self._live: Live | None = None
        self._began = time.monotonic()
        self._said = 0.0
        self._drawn = 0.0
        self._pause = 0.25
        """Seconds between two drawings; more if there are many points to compare."""
        self.standing: Standing | None = None
        """Which point is best so far; None before the first trial."""
        self._over = False
        """Whether the final state was shown."""
        self._running: dict[str, Job] = {}
        self._pace = Pace()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, agenda: Agenda, job: Job) -> None:
        """Reports the first start at once: it says that the waiting is over."""
        self._running[job.trial] = job
        if self._pace.started(agenda):
            self.standing = Standing(agenda.plan)
            self.standing.take(agenda)
        if self.first_start is None:
            self.first_start = time.monotonic() - self._began
            self._said = time.monotonic()
            if self._live is None:
                self._console.print(
                    f"first {job.kind} started after {self.first_start:.1f} s",
                    highlight=False,
                    soft_wrap=True,
                )
        self.tick(agenda)

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Reports each failure; everything else is counted in the next line."""
        self._running.pop(job.trial, None)
        self._pace.ended(job, outcome)
        if job.kind == "trial" and outcome.status == "done":
            if self.standing is None:
                self.standing = Standing(agenda.plan)
            self.standing.add(job.point, job.sweep, job.config, outcome.values)
        if outcome.status == "failed":
            self._console.print(
                f"{job.kind} {job.trial} failed (attempt {outcome.attempt}): {outcome.reason}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        self.tick(agenda)

    def tick(self, agenda: Agenda) -> None:
        """Draws at most four times a second, or prints a line every ten seconds."""
        now = time.monotonic()
        if self._live is not None:
            if now - self._drawn > self._pause:
                self._live.update(self._table(agenda), refresh=True)
                self._drawn = time.monotonic()
                self._pause = max(0.25, 20 * (self._drawn - now))
        elif now - self._said > LINE_SECONDS:
            self._said = now
            self._console.print(self._line(agenda), highlight=False, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Prints `text` at once, on a line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def reported(self, agenda: Agenda, table: str) -> None:
        """Prints the results at once: pages and figures take longer."""
        self.last(agenda)
        if self._live is not None:
            # The live table is on stderr; the results belong on stdout.
            self._live.stop()
        sys.stdout.write("\n")
        show(table)
        sys.stdout.write("\n")
        sys.stdout.flush()

    def last(self, agenda: Agenda) -> None:
        """Shows the final state, once."""
        if self._over:
            return
        self._over = True
        if self._live is not None:
            self._live.update(self._table(agenda), refresh=True)
        else:
            self._console.print(self._line(agenda), highlight=False, markup=False, soft_wrap=True)

    def _remaining(self, agenda: Agenda) -> str:
        """How long what is left takes, from what has ended; `UNKNOWN` before a trial has."""
        left = self._pace.left(agenda)
        return UNKNOWN if left is None else lasting(left)

    def _counts(self, agenda: Agenda) -> dict[str, int]:
        running = sum(job.kind == "trial" for job in self._running.values())
        return {
            "sweeps": len(agenda.plan.sweeps),
            "running": running,
            "done": agenda.reused + agenda.done["trial done"] + agenda.done["trial stopped"],
            "failed": agenda.done["trial failed"] + len(agenda.blocked),
            "left": agenda.left,
        }

    def _line(self, agenda: Agenda) -> str:
        counts = self._counts(agenda)
        best = self.standing.line() if self.standing is not None else ""
        remaining = self._remaining(agenda)
        eta = ", ETA unknown" if remaining == UNKNOWN else f", {remaining} left"
        if not agenda.left:
            eta = ""
        what = "scores" if agenda.plan.task.predicts else "trials"
        total = f"{agenda.total}" if agenda.exact else f"at most {agenda.total}"
        busy = sum(bool(node.trials) for node in agenda.nodes)
        running = f"{counts['running']} running"
        if busy and counts["running"]:
            running += f" on {busy} node{'s' if busy != 1 else ''}"
        return (
            f"{self._name}: {counts['done']} of {total} {what} done, {running}, "
            f"{counts['failed']} failed, {self._elapsed} elapsed{eta}{self._stages(agenda)}"
            + (f"; {best}" if best else "")
        )

    @property
    def _elapsed(self) -> str:
        return lasting(time.monotonic() - self._began)

    def _table(self, agenda: Agenda) -> Group:
        counts = self._counts(agenda)
        head = Table(
            title=f"htsweep: {self._name}{', scores' if agenda.plan.task.predicts else ''}",
            expand=False,
        )
        for name in (*counts, "elapsed", "ETA"):
            head.add_column(name, justify="right")
        head.add_row(*map(str, counts.values()), self._elapsed, self._remaining(agenda))
        stages = self._stages(agenda).removeprefix(", ")
        now = self._now(agenda)
        texts = [Text(text) for text in (stages, now) if text]
        places = self.standing.places() if self.standing is not None else []
        if self.standing is None or not places:
            return Group(head, *texts, Text("no trial has ended yet"))
        metric = self.standing.metric
        table = Table(title="best so far (means over the repetitions that have ended)")
        for name in ("group", "best", "n", title(metric), f"baseline {self.standing.baseline}"):
            table.add_column(name, justify="left" if name in ("group", "best") else "right")
        for place in places[:GROUPS]:
            table.add_row(
                Text(", ".join(named(place.group))),
                Text(place.best.label),
                str(len(place.best.values)),
                shown(place.score, metric),
                shown(place.baseline, metric),
            )
        if len(places) > GROUPS:
            table.add_row(f"and {len(places) - GROUPS} more", "", "", "", "")
        return Group(head, *texts, table)

    def _now(self, agenda: Agenda) -> str:
        """What runs now: `now: l2sp (repetition 3) on gpu-1, plain (repetition 0) on gpu-2`."""
        compared = agenda.plan.study.compared
        places = {trial: f" on {node.name}" for node in agenda.nodes for trial in node.trials}
        texts = [
            f"{_text(job, compared)} (repetition {job.repetition}){places.get(job.trial, '')}"
            for job in list(self._running.values())[:NAMED]
        ]
        more = len(self._running) - NAMED
        return f"now: {', '.join(texts)}{f' and {more} more' if more > 0 else ''}" if texts else ""

    def _stages(self, agenda: Agenda) -> str:
        """What trials wait for, as `, stages: source 3 of 8`; "" if all stages are made."""
        now = Counter(job.task for job in self._running.values() if job.kind == "stage")
        kinds = [
            f"{task.rpartition(':')[2]} {agenda.made[task]} of {count}"
            + (f" ({now[task]} running)" if now[task] else "")
            for task, count in agenda.stages.items()
            if agenda.made[task] < count
        ]
        return f", stages: {', '.join(kinds)}" if kinds else ""


def _text(job: Job, compared: str | None) -> str:
    if job.kind == "stage":
        return job.task.rpartition(":")[2]
    value = job.config.get(compared) if compared else None
    return "trial" if value is None else str(value)
