"""What users see of a submitted study: that it began or why not, its log, its end, its results."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence

from htsweep.commands import Given, quoted
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from htsweep.study.schema import Study
from htsweep.submitting import ray_jobs
from htsweep.submitting.jobs import PAUSE_SECONDS, Submitted
from htsweep.submitting.ray_script import script
from htsweep.submitting.submission import Submission, remember

BEGAN = re.compile(r"^first \w+ started after ", re.MULTILINE)
"""What a launch prints once a trial has a worker."""
BEGIN_SECONDS = 60.0
"""How long `submit` waits for that; what fails at once has failed by then."""
STOP_SECONDS = ray_jobs.STOP_SECONDS + 30.0
FAILED = 3


def submit_to_ray(
    given: Given,
    before: Sequence[str],
    *,
    follow: bool = False,
    dry: bool = False,
    measure: bool = False,
) -> int:
    """Submits the study to the job server at `given.address`; returns the exit code.

    Prints what the launch prints, until a trial has started, or with `follow` until the end. With
    `dry`, it prints only the script that the job would run. With `measure`, the job only measures
    how many trials share a GPU, and is followed to its end.

    Raises:
        HtsweepError: the study is wrong, or no server takes it; nothing was submitted.
    """
    study = read(given.file, given.overrides)
    if dry:
        _write(script(study, given, before, measure=measure))
        return 0
    for line in ray_jobs.notes(study, given):
        _print(line)
    submission = ray_jobs.submit(study, given, before, measure=measure)
    _print(f"submitted job {submission.number} to {submission.address}")
    if measure:
        return _measured(submission)
    kept(study, submission)
    submitted = Submitted(study, submission.address)
    if follow:
        return follow_it(submitted)
    if _begins(submitted):
        _print("It goes on without this machine.")
        for line in onward(submitted, given):
            _print(line)
        return 0
    return _ended(submitted)


def _measured(submission: Submission) -> int:
    """Prints what a job that measures prints, to its end; 0 if it is done, else 3."""
    _print("It waits for a node with a GPU, and measures there.")
    for piece in ray_jobs.follow(submission, PAUSE_SECONDS):
        _write(piece)
    state = ray_jobs.state(submission)
    if state.word == "done":
        return 0
    _print(f"job {submission.number} has ended: {state.word}. {state.why.partition(', last')[0]}")
    return FAILED


def kept(study: Study, submission: Submission) -> None:
    """Remembers the submission; where that cannot be, the job runs all the same."""
    try:
        remember(study, submission)
    except HtsweepError as error:
        _print(f"warning: later commands need --address for this job: {error}")


def onward(submitted: Submitted, given: Given) -> list[str]:
    """The commands that a user needs next."""
    results = submitted.reading()
    return [
        f"What the launch prints: {later(given, 'logs', '--follow')}",
        f"Where this machine sees the results: {later(given, 'status', *results, '--watch')}",
        f"To end it, with nothing lost: {later(given, 'stop')}",
        f"To copy the results: {later(given, 'fetch')}",
    ]


def follow_it(submitted: Submitted) -> int:
    """Prints what the launch prints until the job ends; Ctrl-C ends only the printing."""
    try:
        for piece in submitted.follow():
            _write(piece)
    except KeyboardInterrupt:
        _print(f"\n{submitted.called} goes on")
        return 0
    return _ended(submitted)


def print_log(submitted: Submitted) -> None:
    """Prints what the launch has printed so far, or that the job waits."""
    text = submitted.log()
    if not text:
        state = submitted.state()
        _print(f"{submitted.called} has printed nothing yet; it is {state.word}. {state.why}")
    _write(text)


def stop_it(submitted: Submitted) -> int:
    """Ends the job as Ctrl-C would, and says how it then stands."""
    before = submitted.state()
    if before.ended:
        _print(f"{submitted.called} had ended before: {before.word}. {before.why}")
        return 0
    _print(f"ending {submitted.called}; its trials save what they can")
    after = submitted.stop(STOP_SECONDS)
    if not after.ended:
        _print(f"it still is {after.word} after {STOP_SECONDS:.0f} s: {after.why}")
        return FAILED
    _print(f"{after.word}; what has ended is recorded, and submitting again goes on from there")
    return 0


def _begins(submitted: Submitted) -> bool:
    """Prints the log until a trial has started; False if the job has ended before."""
    text, over = "", time.monotonic() + BEGIN_SECONDS
    for piece in submitted.follow():
        _write(piece)
        text += piece
        if BEGAN.search(text):
            return True
        if time.monotonic() > over:
            state = submitted.state()
            if not state.ended:
                _print(f"no trial has started after {BEGIN_SECONDS:.0f} s; it is {state.word}")
                return True
    return False


def _ended(submitted: Submitted) -> int:
    """Says how the job ended; 0 if it is done, else 3."""
    state = submitted.state()
    if state.word == "done":
        _print(f"{submitted.called} is done; the results are in {submitted.job.results}")
        return 0
    _print(f"{submitted.called} has ended: {state.word}. {state.why.partition(', last')[0]}")
    return FAILED


def later(given: Given, verb: str, *options: str) -> str:
    """A command on the study, wherever its results are."""
    words = ["htsweep", verb, given.file]
    words += [word for one in given.overrides for word in ("--set", one)]
    return quoted([*words, *options])


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _print(line: str) -> None:
    _write(f"{line}\n")
