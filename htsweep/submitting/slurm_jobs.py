"""Asks Slurm about a job that launches a study, reads its log, and ends it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from htsweep.commands import quoted
from htsweep.errors import HtsweepError
from htsweep.submitting.states import State
from htsweep.submitting.submission import Submission

WORDS = {
    "PENDING": "waiting",
    "CONFIGURING": "waiting",
    "REQUEUED": "waiting",
    "RESIZING": "running",
    "RUNNING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "running",
    "COMPLETED": "done",
    "CANCELLED": "stopped",
}
"""Slurm's states -> ours; any other is a failure."""


def state(one: Submission) -> State:
    """Whether the job waits, runs or has ended, and how.

    The queue forgets an ended job after some minutes; then the accounting is asked, where there is
    one.
    """
    found = _asked("squeue", "--noheader", "--states=all", "--format=%T|%r", f"--jobs={one.number}")
    if not found:
        found = _asked(
            "sacct", "--noheader", "--parsable2", "--allocations", "--format=State,ExitCode",
            f"--jobs={one.number}",
        )  # fmt: skip
    if not found:
        return State("gone", "Slurm knows it no more, as it forgets ended jobs")
    said, _, why = found.splitlines()[-1].strip().partition("|")
    # Such as `CANCELLED by 1000`.
    return State(WORDS.get(said.split()[0], "failed"), f"Slurm says {said} ({why})")


def log(one: Submission) -> str:
    """What the job has printed so far; "" before it begins."""
    try:
        return Path(one.log).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HtsweepError(f"{one.log} cannot be read: {error.strerror or error}") from None


def follow(one: Submission, pause: float) -> Iterator[str]:
    """What the job prints, until it ends; "" at least every `pause` seconds."""
    printed = 0
    while True:
        # Asked before the log is read: what is printed last is read in any case.
        ended = state(one).ended
        text = log(one)
        yield text[printed:]
        printed = len(text)
        if ended:
            return
        time.sleep(pause)


def stop(one: Submission) -> bool:
    """Asks the job to end as Ctrl-C does; returns at once, False if it had ended."""
    if state(one).ended:
        return False
    done = _run("scancel", one.number)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise HtsweepError(f"Slurm did not end job {one.number}: {said}")
    return True


def _asked(*words: str) -> str:
    """What a command of Slurm prints; "" if it fails, as for a job that it knows no more."""
    done = _run(*words)
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        if words[0] == "sacct":
            return subprocess.CompletedProcess(words, 1, "", "")
        raise HtsweepError(
            f"this machine has no {words[0]}: run this on a login node of the cluster. The command "
            f"that Slurm would get: {quoted(words)}"
        ) from None
