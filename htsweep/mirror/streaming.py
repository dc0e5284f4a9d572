"""Copies runs as they end; training never waits for it, and outages of the store lose nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from htsweep.mirror.copying import Mirror, may_pass
from htsweep.mirror.run import Run

LONGEST_SECONDS = 30.0
"""The longest pause between two tries while the store does not answer."""
MANY = 2000
"""The most runs that wait in memory during an outage; more stay where they are read from."""
LOOK_SECONDS = 0.1
TRIES = 2
"""How often an error that waiting cannot fix is tried at the end."""


def stream(
    read_new: Callable[[], Iterable[Run]],
    stopped: Callable[[], bool],
    opened: Callable[[], Mirror],
    *,
    pause: float = 1.0,
    patience: float = 30.0,
) -> str:
    """Copies runs until `stopped`; "" if MLflow then has all, else how many it lacks, and why.

    Never raises: what a failing store did not get is written at the next try, or next time.

    Args:
        read_new: the runs that ended since the last call; called again after it raises.
        stopped: whether no more will come; checked before `read_new`, so that runs that ended
            before are still read.
        opened: makes the mirror; called again after every error, which leaves open what was
            written.
        pause: seconds between two looks.
        patience: seconds given to a store that does not answer, once `stopped`.
    """
    behind: list[Run] = []
    mirror: Mirror | None = None
    wait, trouble, deadline, tries = pause, "", math.inf, 0
    while True:
        ending = stopped()
        if ending:
            deadline = min(deadline, time.monotonic() + patience)
        all_read = False
        try:
            if len(behind) < MANY:
                all_read = True
                for run in read_new():  # one by one, to keep what it yields before an error
                    all_read = False
                    behind.append(run)
            mirror = mirror or opened()
            mirror.write(behind)
            behind.clear()
            wait, trouble, tries = pause, "", 0
        except Exception as error:
            mirror = None
            wait, trouble = min(2 * wait, LONGEST_SECONDS), _short(error)
            tries = 0 if may_pass(error) else tries + 1
            if tries >= TRIES:  # waiting does not help
                deadline = min(deadline, time.monotonic()) if ending else deadline
        if ending and all_read and not trouble:
            return ""
        if trouble and time.monotonic() >= deadline:
            return f"{len(behind)} runs or more behind: {trouble}"
        if trouble or not ending:
            _sleep(min(wait, deadline - time.monotonic()), (lambda: False) if ending else stopped)


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleeps for `seconds`, or until nothing more will come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopped():
        time.sleep(min(LOOK_SECONDS, seconds))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:300]
