"""What a launch shows while it runs: one live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from htsweep.execution.agenda import Agenda
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job
from htsweep.planning.task import BOUND
from htsweep.selection.fronts import front_places

LINE_SECONDS = 10.0
"""Without a terminal, at most one line in this time."""
UNKNOWN = "-"
"""Shown in place of a duration before the first trial has ended."""
BEST = 8
"""Rows of the frontier that the live table shows."""
AXES = ("test/seen_accuracy", "test/missing_accuracy")


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
        self._points: dict[str, tuple[str, int, float, float]] = {}
        """Point -> its label, how many trials measured both axes, and the sum of each axis.

        Upper bounds, which nobody can choose, are left out.
        """
        self._over = False
        """Whether the final state was shown."""
        self._ended = 0
        self._running: set[str] = set()
        self._of: Agenda | None = None
        self._since = self._began
        """When the agenda's first job started; a launch with a screen has two agendas in turn."""

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def started(self, agenda: Agenda, job: Job) -> None:
        """Reports the first start at once: it says that the waiting is over."""
        self._running.add(job.trial)
        if self._of is not agenda:
            self._of, self._since, self._ended = agenda, time.monotonic(), 0
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
        self._running.discard(job.trial)
        if job.kind == "trial" and outcome.status == "done":
            self._ended += 1
            competes = agenda.plan.task.role(job.config) != BOUND
            if competes and all(axis in outcome.values for axis in AXES):
                label, count, *sums = self._points.get(job.point) or (
                    _label(agenda, job),
                    0,
                    0.0,
                    0.0,
                )
                seen, missing = (
                    total + outcome.values[axis] for total, axis in zip(sums, AXES, strict=True)
                )
                self._points[job.point] = label, count + 1, seen, missing
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
        sys.stdout.write(f"\n{table}\n\n")
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

    def frontier(self) -> list[tuple[str, int, float, float]]:
        """(label, repetitions, mean seen, mean missing) of the points that no other dominates."""
        groups: dict[str, list[tuple[str, int, float, float]]] = {}
        for label, count, seen, missing in self._points.values():
            groups.setdefault(label.rpartition(" | ")[0], []).append(
                (label, count, seen / count, missing / count)
            )
        front_rows = []
        for name in sorted(groups):
            rows = groups[name]
            places = front_places([(seen, missing) for _, _, seen, missing in rows])
            front_rows += [rows[place] for place in places]
        return front_rows

    def _remaining(self, agenda: Agenda) -> str:
        if self._of is not agenda or not self._ended or not agenda.left:
            return UNKNOWN
        # From the rate at which trials have ended since the first one started.
        seconds = agenda.left * (time.monotonic() - self._since) / self._ended
        if seconds > 5400:
            return f"{seconds / 3600:.1f} h"
        return f"{seconds / 60:.1f} min" if seconds > 90 else f"{seconds:.0f} s"

    def _counts(self, agenda: Agenda) -> dict[str, int]:
        return {
            "sweeps": len(agenda.plan.sweeps),
            "running": len(self._running),
            "done": agenda.reused + agenda.done["trial done"] + agenda.done["trial stopped"],
            "failed": agenda.done["trial failed"] + len(agenda.blocked),
            "left": agenda.left,
        }

    def _line(self, agenda: Agenda) -> str:
        counts = self._counts(agenda)
        front = self.frontier()
        best = (
            f", best so far {front[0][0]}: seen {front[0][2]:.1%} missing {front[0][3]:.1%}"
            if front
            else ""
        )
        remaining = self._remaining(agenda)
        eta = ", ETA unknown" if remaining == UNKNOWN else f", {remaining} left"
        if not agenda.left:
            eta = ""
        what = "scores" if agenda.plan.task.predicts else "trials"
        total = f"{agenda.total}" if agenda.exact else f"at most {agenda.total}"
        return (
            f"{self._name}: {counts['done']} of {total} {what} done, {counts['running']} running, "
            f"{counts['failed']} failed{eta}{_stages(agenda)}{best}"
        )

    def _table(self, agenda: Agenda) -> Group:
        counts = self._counts(agenda)
        head = Table(
            title=f"htsweep: {self._name}{', scores' if agenda.plan.task.predicts else ''}",
            expand=False,
        )
        for name in (*counts, "ETA"):
            head.add_column(name, justify="right")
        head.add_row(*map(str, counts.values()), self._remaining(agenda))
        front = self.frontier()
        if not front:
            return Group(head, Text(f"no trial has ended yet{_stages(agenda)}"))
        table = Table(title="best frontier so far (means over the repetitions that have ended)")
        for name in ("point", "n", "seen %", "missing %"):
            table.add_column(name, justify="left" if name == "point" else "right")
        for label, count, seen, missing in front[:BEST]:
            table.add_row(Text(label), str(count), f"{seen * 100:.1f}", f"{missing * 100:.1f}")
        if len(front) > BEST:
            table.add_row(f"and {len(front) - BEST} more", "", "", "")
        return Group(head, table)


def _stages(agenda: Agenda) -> str:
    """What trials wait for, as `, stages: source 3 of 8`; "" if all stages are made."""
    kinds = [
        f"{task.rpartition(':')[2]} {agenda.made[task]} of {count}"
        for task, count in agenda.stages.items()
        if agenda.made[task] < count
    ]
    return f", stages: {', '.join(kinds)}" if kinds else ""


def _label(agenda: Agenda, job: Job) -> str:
    """The cell and searched parameters: `mnist-uci | 0.5 | lenet_bn | l2sp l2sp.backbone=0.1`."""
    names = agenda.plan.factors
    cell = " | ".join(str(job.config[name]) for name in names if name in job.config)
    searched = sorted(dimension.key for dimension in agenda.plan.by_id[job.sweep].space)
    return cell + "".join(
        f" {key}={_short(job.config[key])}" for key in searched if key in job.config
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
