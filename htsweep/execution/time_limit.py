"""Ends a trial that exceeds its time limit."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from htsweep.execution.work import Conditions


class TimeLimit(BaseException):
    """The trial exceeded its time limit. Not an `Exception`, which a task might catch."""


@contextmanager
def limited(conditions: Conditions, overdue: Callable[[], None]) -> Iterator[None]:
    """Raises TimeLimit in the trial once its time is over; calls `overdue` if that is ignored.

    `overdue` is called from another thread, and only if the process is the trial's own.
    """
    if conditions.time_limit is None:
        yield
        return

    def ring(_: int, __: Any) -> None:
        raise TimeLimit

    timers = []
    if conditions.own_process:
        timers.append(threading.Timer(conditions.time_limit + conditions.grace, overdue))
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread:
        # Only the main thread receives signals. In another, such as a notebook server's, the
        # exception is raised between two Python instructions.
        timers.append(
            threading.Timer(conditions.time_limit, _raise_in, [threading.get_ident(), TimeLimit])
        )
    handler_before = signal.signal(signal.SIGALRM, ring) if in_main_thread else None
    for timer in timers:
        timer.daemon = True
        timer.start()
    if in_main_thread:
        signal.setitimer(signal.ITIMER_REAL, conditions.time_limit)
    try:
        yield
    finally:
        if in_main_thread:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler_before)
        for timer in timers:
            timer.cancel()


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Makes a thread raise `kind` before its next Python instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
