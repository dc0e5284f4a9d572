"""`htsweep logs STUDY TRIAL` as users see it."""

from __future__ import annotations

import sys

from htsweep.results import Results
from htsweep.results.logs import TrialLog

PAUSE_SECONDS = 1.0
PAUSE_SECONDS_ELSEWHERE = 5.0
"""Between two looks into a store that is not a folder, where each look is a request."""


def print_trial(results: Results, name: str, *, follow: bool) -> None:
    """Prints the log of a trial's last attempt; with `follow`, until the trial has ended.

    Raises:
        HtsweepError: the study has no such trial, or several.
    """
    log = TrialLog(results, name)
    printed = ""
    if follow:
        pause = PAUSE_SECONDS_ELSEWHERE if results.store.folder is None else PAUSE_SECONDS
        try:
            for piece in log.follow(pause):
                printed = piece or printed
                _write(piece)
        except KeyboardInterrupt:
            return
    else:
        printed = log.text()
        _write(printed)
    if printed and not printed.endswith("\n"):
        _write("\n")
    # Apart from what the trial has printed, so that a pipe gets that alone.
    sys.stderr.write(f"{log.ended() or f'{log.trial} has not ended yet'}\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
