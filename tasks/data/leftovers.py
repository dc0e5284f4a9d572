"""What killed processes left half made in the cache, and nobody goes on with.

A decoding that was killed is gone on with by whoever wants the same images next, so that its half
is no rubbish at once. It is when nobody has for a week, or, where room is lacking, for an hour.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

PARTIAL, MARKS = ".partial", ".chunks"
"""The suffixes of images that are decoded in part, and of the list of their finished chunks."""
WEEK, HOUR = 7 * 24 * 3600.0, 3600.0
"""Seconds without a change after which what is half made is removed."""


def lock_of(kept: Path) -> Path:
    """The lock of the one process that decodes into `kept`, or into its partial file."""
    return kept.parent.parent / "locks" / kept.with_suffix(".npy").name


def remove(folder: Path, age: float = WEEK) -> int:
    """Removes what is half made in a folder of decoded images; the bytes that it took.

    What a living process works on stays: it holds the lock, or has just written. Files that cannot
    be removed, such as another user's, stay as well.

    Args:
        folder: the folder.
        age: seconds without a change, of a file and of its marks.
    """
    freed, before = 0, time.time() - age
    with contextlib.suppress(OSError):
        for path in [*folder.glob(f"*{PARTIAL}"), *folder.glob("*.tmp")]:
            with contextlib.suppress(OSError), _nobodys(path):
                marks = path.with_suffix(MARKS)
                if max(_changed(path), _changed(marks)) < before:
                    size = path.stat().st_size
                    path.unlink()
                    marks.unlink(missing_ok=True)
                    freed += size
    return freed


@contextlib.contextmanager
def _nobodys(path: Path) -> Iterator[None]:
    """A context that holds the lock of a partial file; raises OSError if another process does."""
    if path.suffix != PARTIAL:  # written in one go, by one process, under a name of its own
        yield
        return
    lock = lock_of(path)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _changed(path: Path) -> float:
    """When a file was last written; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
