"""`htsweep submit` as users see it: the script, or the job's number and how to follow it."""

from __future__ import annotations

import math
import time
from pathlib import Path

from htsweep.cli.submitted import kept, later
from htsweep.commands import Given, quoted
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from htsweep.submitting import Job, submit
from htsweep.submitting.submission import Submission


def submit_and_tell(given: Given, job: Job, *, slurm: bool, dry: bool) -> str:
    """Submits the study; what to print.

    Args:
        given: the arguments of the launch.
        job: what the job asks for.
        slurm: whether the user named Slurm.
        dry: print the script instead.

    Raises:
        HtsweepError: the job cannot work, or Slurm refuses it.
    """
    if not slurm:
        raise HtsweepError(
            "submit needs to know to what: give --slurm, or the job server of a Ray cluster: "
            "--address http://HEAD:8265"
        )
    study = read(given.file, given.overrides)
    done = submit(study, given, job, dry=dry)
    if dry:
        return done.text.rstrip("\n")
    kept(
        study,
        Submission(
            "slurm",
            done.number,
            str(Path(given.results).resolve()) if "://" not in given.results else given.results,
            time.time(),
            # Of an array, that of its first task.
            log=done.log.replace("%j", done.number)
            .replace("%A_%a", f"{done.number}_0")
            .replace("%%", "%"),
        ),
    )
    log = done.log.replace("%j", done.number).replace("%A_%a", f"{done.number}_TASK")
    tasks = f", {job.array} tasks that share the study" if job.array else ""
    lines = [
        f"submitted job {done.number}{tasks} ({done.path})",
        f"It writes to {log.replace('%%', '%')}",
    ]
    if job.cpus_per_task is None:
        lines.append(
            f"Each node has {math.ceil(study.resources.cpu)} cores for it, those of one trial; "
            "--cpus-per-task gives more, for several trials at once"
        )
    return "\n".join(
        [
            *lines,
            f"To watch it: {given.verb('status', '--watch')}",
            f"What the launch prints: {later(given, 'logs', '--follow')}",
            f"To end it, with nothing lost: {quoted(['scancel', done.number])}",
        ]
    )
