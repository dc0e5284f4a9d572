"""`htsweep launch` as users see it: progress, then plots, a table and what to do next."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from htsweep.cli.progress import Progress
from htsweep.commands import Given
from htsweep.launching import Launched, launch
from htsweep.planning.notes import notes
from htsweep.planning.reading import read
from htsweep.results.screen import verdict_lines
from htsweep.study.schema import Study
from htsweep.words import count

PAGE = "report.html"
"""Of a report's files, the one to open."""
INTERRUPTED = 130
FAILED = 3
UNREPORTED = 2


def launch_and_tell(given: Given) -> int:
    """Launches the study, and returns the exit code.

    0; 2 if the report could not be written; 3 if a trial still failed after retries; 130 if it was
    interrupted.
    """
    sys.stderr.write(f"planning {given.file}\n")
    sys.stderr.flush()
    study = read(given.file, given.overrides)
    for line in notes(study):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    with Progress(study.name) as progress, _ended_by_the_second():
        done = launch(
            study,
            given.results,
            on=given.on,
            address=given.address,
            wait_for_nodes=given.wait,
            watch=progress,
            mirror=given.mirror,
            join=given.join,
        )
        progress.last(done.agenda)
    for line in closing_lines(study, given, done):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if done.interrupted:
        return INTERRUPTED
    if done.unreported:
        return UNREPORTED
    return FAILED if done.failed else 0


@contextlib.contextmanager
def _ended_by_the_second() -> Iterator[None]:
    """Ends the process at the second Ctrl-C, without waiting for anything.

    What runs elsewhere ends when it finds the launch gone; its trials run again in the next one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    times = 0

    def interrupt(number: int, frame: object) -> None:
        nonlocal times
        times += 1
        if times > 1:
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h")  # the live table hides the cursor
            sys.stderr.write("ended; the trials that ran begin again in the next launch\n")
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def closing_lines(study: Study, given: Given, done: Launched) -> list[str]:
    """The lines that end a launch, after its table: its files, what it ran, and what to do next."""
    agenda = done.agenda
    lines = [done.answer, ""] if done.answer else []
    pages = [path for path in done.paths if path.name == PAGE] or list(done.paths[:1])
    lines += [f"report: {path} ({count(len(done.paths) - 1, 'file')} beside it)" for path in pages]
    lines += screened(study, done)
    ran = agenda.done["trial done"] + agenda.done["trial stopped"]
    stages = agenda.done["stage done"] + (done.scores.done["stage done"] if done.scores else 0)
    most = "" if agenda.exact else "at most "
    shared = agenda.elsewhere["done"] + agenda.elsewhere["stopped"]
    elsewhere = f"{shared} in other launches, " if shared else ""
    lines.append(
        f"{study.name}: ran {count(ran, 'trial')} and {count(stages, 'stage')} in "
        f"{done.seconds:.0f} s "
        f"({agenda.reused} reused, {elsewhere}{done.failed} failed, {most}{done.left} remaining)"
    )
    if done.unreported:
        lines += [
            f"The trials are recorded, but the report could not be written: {done.unreported}",
            f"Once that is fixed, write it with: {given.verb('report', '--out', 'report')}",
        ]
    if done.failed:
        lines += [
            f"Reasons and log files: {given.verb('status')}",
            f"Once the cause is fixed, this runs only what failed{given.secret}: {given.launch()}",
        ]
    if done.interrupted:
        if agenda.over:
            lines.append(f"The results so far: {given.verb('report')}")
        lines.append(f"Interrupted; nothing is lost. To continue{given.secret}: {given.launch()}")
    elif agenda.closed:
        lines.append(
            f"Ended by the {agenda.closed}, with {most}{count(done.left, 'trial')} remaining. "
            "Raise it, then "
            f"continue{given.secret}: {given.launch()}"
        )
    if done.mirrored is not None:
        lines += [*done.mirrored.notes, *done.mirrored.lacking(given)]
    return lines


def screened(study: Study, done: Launched) -> list[str]:
    """Lines on what the study's screen ran and saved; empty if it has none."""
    if study.screen is None or done.scores is None:
        return []
    scores, dropped = done.scores, sum(not verdict.kept for verdict in done.verdicts)
    ran = scores.done["trial done"] + scores.done["trial stopped"]
    by = study.screen.decisive
    return [
        f"screen: ran {count(ran, 'score')} ({scores.reused} reused, {scores.left} remaining); "
        f"{by} drops {dropped} of "
        f"{count(len(done.verdicts), 'pair')}, which spares {done.spared} of "
        f"{done.spared + done.agenda.total} trials",
        *(f"  {line}" for line in verdict_lines(done.verdicts, by)),
    ]
