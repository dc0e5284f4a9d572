"""One process of this machine at a time does a piece of work; the others wait for it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A context that one process at a time is in, with the lock in the file `path`.

    The system releases the lock when its holder ends, however it ends, so that nothing stays locked
    and nobody waits for the dead. The file stays, and holds nothing.

    Args:
        path: the lock's file, which is created; its folder must exist.
        waiting: called once if another process is there already.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
