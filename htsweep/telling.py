"""`htsweep launch` as a person sees it: progress while it runs, then plots, a table, and what to do next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from htsweep.launching import Launched, launch
from htsweep.notes import notes
from htsweep.progress import Progress
from htsweep.screening import told as told_of_pairs
from htsweep.study import Study, read

INTERRUPTED = 130
FAILED = 3


def launch_and_tell(
    file: str, overrides: Sequence[str], results: str, on: str, address: str | None, mirror: str | None
) -> int:
    """Launches the study in `file` and returns the exit code: 0, 3 where a trial failed at last, 130 where interrupted."""
    study = read(file, overrides)
    for line in notes(study):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    with Progress(study.name) as progress:
        done = launch(study, results, on=on, address=address, watch=progress, mirror=mirror)
        progress.last(done.agenda)
    for line in told(study, file, overrides, results, done):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return INTERRUPTED if done.interrupted else FAILED if done.failed else 0


def told(study: Study, file: str, overrides: Sequence[str], results: str, done: Launched) -> list[str]:
    """What the launch did, where its plots are, its table, and what to do next."""
    agenda = done.agenda
    again = shlex.join(["htsweep", "launch", file, *(word for one in overrides for word in ("--set", one)),
                        *([] if results == "results" else ["--results", results])])
    ran = agenda.done["trial done"] + agenda.done["trial stopped"]
    most = "" if agenda.exact else "at most "
    lines = [""] if done.table else []
    if done.table:
        lines += [done.table, ""]
    lines += [f"{path}" for path in done.paths]
    stages = agenda.done["stage done"] + (done.scores.done["stage done"] if done.scores else 0)
    lines += screened(study, done)
    lines.append(f"{study.name}: {ran} trials and {stages} stages run in {done.seconds:.0f} s, {agenda.reused} trials were "
                 f"there already, {done.failed} failed, {most}{agenda.left} left")
    if done.failed:
        lines.append(f"reasons and logs: htsweep status {file}; once mended, {again} runs only what failed")
    if done.interrupted:
        lines.append(f"interrupted; nothing is lost: {again} goes on from here")
    elif agenda.closed:
        lines.append(f"ended by the {agenda.closed}; {most}{agenda.left} trials are left: raise it and run {again}")
    if done.mirrored is False:
        lines.append(f"MLflow is behind (its store did not answer in time); htsweep mirror {file} brings it up to date")
    return lines


def screened(study: Study, done: Launched) -> list[str]:
    """What the study's screen ran and spared; nothing where it has none."""
    if study.screen is None or done.scores is None:
        return []
    scores, dropped = done.scores, sum(not one.kept for one in done.verdicts)
    ran = scores.done["trial done"] + scores.done["trial stopped"]
    by = study.screen.decisive
    return [f"screen: {ran} scores run, {scores.reused} were there already, {scores.left} left; by {by} {dropped} of "
            f"{len(done.verdicts)} pairs are dropped, which spares {done.spared} of {done.spared + done.agenda.total} trials",
            *(f"  {line}" for line in told_of_pairs(done.verdicts, by))]
