"""Runs one trial after another in a process, each as if it were the first.

What a trial changes for the whole process is undone after it. What cannot be undone is returned by
`take_lasting`, so that the owner of the process ends it and the next trial starts in a fresh one: a
thread that still runs, a replaced function of the standard library (it may have been imported under
another name since), a lowered limit.

Not noticed: changes inside an object that outlives the trial, such as an entry added to a module's
dictionary.
"""

from __future__ import annotations

import contextlib
import decimal
import gc
import importlib
import locale
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.execution.modules import Modules

JOIN_SECONDS = 0.5
"""How long to wait for a trial's threads to end, before they count as left behind."""
LEAKED_FILES = 100
"""More files than this left open are too many for a process that runs hundreds of trials."""

_lasting: list[str] = []


def take_lasting() -> list[str]:
    """Descriptions of all changes since the last call that could not be undone."""
    changes = _lasting[:]
    _lasting.clear()
    return changes


@contextmanager
def fresh(seed: int, threads: int, device: str, own: Sequence[str] = ()) -> Iterator[list[str]]:
    """Seeded global state as in a new process; the trial's changes to it are undone on exit.

    Args:
        seed: of every global random generator.
        threads: the number of threads for torch.
        device: the device for torch.
        own: the folders of the user's own modules, whose rebound names are restored.

    Yields:
        A list that holds, after the block, what could not be undone.
    """
    lasting: list[str] = []
    values = {part: part.read() for part in _PARTS}
    running = set(threading.enumerate())
    children = _children()
    files = _open_files()
    modules = Modules(own)
    idle = [timer for timer in _TIMERS if not signal.getitimer(timer)[0]]
    _reset(seed, threads, device)
    try:
        with warnings.catch_warnings(), decimal.localcontext():
            yield lasting
    finally:
        for timer in idle:
            signal.setitimer(timer, 0)
        lasting += _left_threads(running)
        lasting += [f"the process {child} still runs" for child in sorted(_children() - children)]
        lasting += _changed_files(files)
        for part, value in values.items():
            lasting += part.put_back(value)
        lasting += modules.changes()
        _lasting.extend(lasting)
        _reset(seed, threads, device)


def _reset(seed: int, threads: int, device: str) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    # The orchestrator does not import torch. Only if a task has loaded it is there any state.
    if "torch" in sys.modules:
        importlib.import_module("tasks.process").reset(seed, threads, device)


# -- values that belong to the process


@final
@dataclass(frozen=True)
class _Part:
    """One piece of state that all code of a process shares."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    """Restores a value; None: that is impossible."""
    lasts: bool = False
    """Whether a change counts as lasting even if restored: new threads may have inherited it."""

    def put_back(self, value: Any) -> list[str]:
        """Restores `value`, and describes what remains of the change since it was read."""
        now = self.read()
        if now == value:
            return []
        change = f"the {self.name} changed"
        if self.write is None:
            return [change]
        try:
            self.write(value)
        except (OSError, ValueError) as error:
            return [f"{change} and cannot be put back: {error}"]
        return [change] if self.lasts or self.read() != value else []


def _write_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)
    time.tzset()  # reads TZ


def _read_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(signal.valid_signals()))
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def _read_limits() -> dict[int, tuple[int, int]]:
    return {limit: resource.getrlimit(limit) for limit in _LIMITS}


def _write_limits(value: dict[int, tuple[int, int]]) -> None:
    for limit, ends in value.items():
        if resource.getrlimit(limit) != ends:
            resource.setrlimit(limit, ends)


def _read_handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _write_handlers(value: dict[int, Any]) -> None:
    for number, handler in value.items():
        if signal.getsignal(number) != handler and handler is not None:
            signal.signal(number, handler)


def _read_logging() -> tuple[Any, ...]:
    root = logging.getLogger()
    return (
        list(root.handlers),
        list(root.filters),
        root.level,
        logging.root.manager.disable,
        logging.getLoggerClass(),
    )


def _write_logging(value: tuple[Any, ...]) -> None:
    root = logging.getLogger()
    root.handlers[:], root.filters[:] = value[0], value[1]
    root.setLevel(value[2])
    logging.disable(value[3])
    logging.setLoggerClass(value[4])


def _read_streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__


def _write_streams(value: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = value[:3]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = value[3:]  # type: ignore[misc]


def _read_hooks() -> tuple[Any, ...]:
    return sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace(), sys.getprofile()


def _write_hooks(value: tuple[Any, ...]) -> None:
    sys.excepthook, sys.displayhook, threading.excepthook = value[:3]
    sys.settrace(value[3])
    sys.setprofile(value[4])


def _read_numpy() -> Any:
    numpy = sys.modules.get("numpy")
    return None if numpy is None else (numpy.geterr(), numpy.geterrcall(), numpy.get_printoptions())


def _write_numpy(value: Any) -> None:
    numpy = sys.modules["numpy"]
    if value is not None:
        numpy.seterr(**value[0])
        numpy.seterrcall(value[1])
        numpy.set_printoptions(**value[2])


def _read_blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


_PARTS: tuple[_Part, ...] = (
    _Part(
        "signals that are blocked",
        _read_blocked,
        lambda value: signal.pthread_sigmask(signal.SIG_SETMASK, value),
        lasts=True,
    ),
    _Part("working folder", os.getcwd, os.chdir),
    _Part("environment", lambda: dict(os.environ), _write_environment),
    _Part(
        "arguments", lambda: list(sys.argv), lambda value: sys.argv.__setitem__(slice(None), value)
    ),
    _Part(
        "search path of modules",
        lambda: list(sys.path),
        lambda value: sys.path.__setitem__(slice(None), value),
    ),
    _Part("mask of new files' rights", _read_umask, os.umask),
    _Part("resource limits", _read_limits, _write_limits),
    _Part("scheduling priority", lambda: os.nice(0)),
    _Part(
        "locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    _Part("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Part("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    _Part("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    _Part("hooks", _read_hooks, _write_hooks),
    _Part("signal handlers", _read_handlers, _write_handlers),
    _Part("logging", _read_logging, _write_logging),
    _Part("numpy settings", _read_numpy, _write_numpy),
    _Part("standard streams", _read_streams, _write_streams),
)
if hasattr(os, "sched_setaffinity"):
    _PARTS += (
        _Part(
            "CPU affinity",
            lambda: os.sched_getaffinity(0),
            lambda value: os.sched_setaffinity(0, value),
        ),
    )


# -- threads, processes, files


def _left_threads(before: set[threading.Thread]) -> list[str]:
    over = time.monotonic() + JOIN_SECONDS
    new = [thread for thread in threading.enumerate() if thread not in before]
    for thread in new:
        with contextlib.suppress(RuntimeError):
            thread.join(max(0.0, over - time.monotonic()))
    return [f"the thread {thread.name} still runs" for thread in new if thread.is_alive()]


def _children() -> set[int]:
    """The live child processes of this one; empty where the system does not list them."""
    children: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children.update(map(int, path.read_text().split()))
    return children


def _open_files() -> tuple[list[tuple[int, int] | None], int]:
    """The identity of the three standard files, and the number of open descriptors.

    The number is 0 where the system does not report it.
    """
    standard: list[tuple[int, int] | None] = []
    for descriptor in range(3):
        try:
            status = os.fstat(descriptor)
            standard.append((status.st_dev, status.st_ino))
        except OSError:
            standard.append(None)
    try:
        return standard, len(os.listdir("/proc/self/fd"))
    except OSError:
        return standard, 0


def _changed_files(before: tuple[list[tuple[int, int] | None], int]) -> list[str]:
    now, count = _open_files()
    names = ("standard input", "standard output", "standard error")
    changes = [
        f"{name} was closed or replaced"
        for name, old, new in zip(names, before[0], now, strict=True)
        if old != new
    ]
    if count - before[1] > LEAKED_FILES:
        changes.append(f"{count - before[1]} files were left open")
    return changes
