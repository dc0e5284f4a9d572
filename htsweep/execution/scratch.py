"""Temporary folders that are removed even if their process is killed, if only later.

A lock on a file inside marks a folder as in use. The operating system releases the lock however the
process ends, so the next launch can tell which folders are still in use. This also works where
process ids mean different things, such as containers that share a `/tmp`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import final

from htsweep.errors import ResourceError

PREFIX = "htsweep-"
LOCK = "lock"
LONGEST_SOCKET = 107
"""The bytes that Linux allows for a Unix socket's path; macOS allows 103."""


@final
class Scratch:
    """A temporary folder of this process.

    It is removed when `close` is called, the object is collected, or Python ends.
    """

    def __init__(self, inside: Path | None = None) -> None:
        """Makes a new folder in `inside`; None: in the folder for temporary files.

        Raises:
            ResourceError: no folder can be made there.
        """
        self.path, descriptor = _held(inside or temporary())
        self._finalizer = weakref.finalize(self, _remove, self.path, descriptor, os.getpid())

    def close(self) -> None:
        """Removes the folder and its contents."""
        self._finalizer()


def temporary() -> Path:
    """The folder for temporary files.

    Raises:
        ResourceError: this process can write to none.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        msg = (
            f"no folder for temporary files can be written to ({error}); set TMPDIR to one that can"
        )
        raise ResourceError(msg) from None


def with_room_for(socket: str) -> Path:
    """The first folder for temporary files that leaves room for a socket's path ending in `socket`.

    Slurm and macOS set TMPDIR to paths too long for a Unix socket.

    Raises:
        ResourceError: no such folder is both writable and short enough.
    """
    folders = [
        temporary(),
        Path("/tmp"),
        Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp"),
        Path("/dev/shm"),
    ]
    # The length of what mkdtemp appends, and of the slashes between.
    needed = len(f"/{PREFIX}12345678/{socket}")
    for folder in folders:
        if len(os.fsencode(folder)) + needed <= LONGEST_SOCKET and os.access(
            folder, os.W_OK | os.X_OK
        ):
            return folder
    tried = ", ".join(dict.fromkeys(map(str, folders)))
    msg = (
        f"Ray needs a folder for its sockets whose path has at most {LONGEST_SOCKET - needed} "
        f"bytes, but none of {tried} is "
        "short enough and can be written to; set TMPDIR to such a folder"
    )
    raise ResourceError(msg)


def remove_abandoned() -> list[Path]:
    """Removes the folders left behind by processes that have ended, and returns them."""
    bases = {
        temporary(),
        Path("/tmp"),
        Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp"),
        Path("/dev/shm"),
    }
    removed = []
    for lock in _locks(bases):
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except OSError:  # removed just now, or another user's
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its process is alive
            os.close(descriptor)
            continue
        _remove(lock.parent, descriptor, os.getpid())
        removed.append(lock.parent)
    return removed


def _locks(bases: Iterable[Path]) -> list[Path]:
    locks: list[Path] = []
    for base in bases:
        try:
            locks += [
                folder / LOCK for folder in base.glob(f"{PREFIX}*") if (folder / LOCK).exists()
            ]
        except OSError:  # a folder of another user's, or one that vanished
            continue
    return sorted(locks)


def _held(base: Path) -> tuple[Path, int]:
    """A new folder in `base`, and the descriptor of its lock."""
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (
            BlockingIOError
        ):  # another launch took it for abandoned before it was locked, and is removing it
            os.close(descriptor)
            continue
        except OSError as error:
            msg = (
                f"{base} cannot hold a temporary folder: {error.strerror}; free space there, or "
                "set TMPDIR to a folder that "
                "can be written to"
            )
            raise ResourceError(msg) from None
        if (path / LOCK).exists():
            return path, descriptor
        os.close(descriptor)


def _remove(path: Path, descriptor: int, owner: int) -> None:
    if os.getpid() != owner:  # a forked child ends; the folder is its parent's
        return
    shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)
