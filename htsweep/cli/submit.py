"""`htsweep submit` as users see it: the script, or the job's number and how to follow it."""

from __future__ import annotations

import math

from htsweep.commands import Given, quoted
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from htsweep.submitting import Job, submit


def submit_and_tell(given: Given, job: Job, *, slurm: bool, dry: bool) -> str:
    """Submits the study; what to print.

    Args:
        given: the arguments of the launch.
        job: what the job asks for.
        slurm: whether the user named Slurm, the only batch system so far.
        dry: print the script instead.

    Raises:
        HtsweepError: the job cannot work, or Slurm refuses it.
    """
    if not slurm:
        raise HtsweepError(
            "submit needs to know to what: give --slurm. A Ray cluster that runs already takes a "
            "launch directly: htsweep launch STUDY --address HOST:6379"
        )
    study = read(given.file, given.overrides)
    done = submit(study, given, job, dry=dry)
    if dry:
        return done.text.rstrip("\n")
    lines = [
        f"submitted job {done.number} ({done.path})",
        f"It writes to {done.log.replace('%j', done.number).replace('%%', '%')}",
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
            f"To end it, with nothing lost: {quoted(['scancel', done.number])}",
        ]
    )
