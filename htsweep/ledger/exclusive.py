"""Objects that only one of several processes can create, on any store."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import time
import uuid
from pathlib import Path

from htsweep.errors import LedgerError, why
from htsweep.ledger.lease import STALE_SECONDS, unchanged
from htsweep.ledger.store import Store

PATIENCE_SECONDS = 10.0
"""How long a process tries while others try, too."""


def create(store: Store, name: str, data: bytes) -> bool:
    """Writes an object unless it exists; of several that try, at most one is told True.

    The object is a mark that processes leave each other and not a result: only `created` reads it,
    and a power failure may lose it. If False, `created` may for a moment not see it.

    Raises:
        LedgerError: the store cannot be written.
    """
    if store.folder is None:
        return _first(store, name, data)
    path = store.folder / name
    for attempt in range(5):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _linked(path, data)
        except OSError as error:
            # Another process may have removed the empty folder.
            if error.errno != errno.ENOENT or attempt == 4:
                reason = why(error, "--results", str(path))
                raise LedgerError(f"{path} cannot be written: {reason}") from error
    raise AssertionError


def created(store: Store, name: str) -> bytes | None:
    """What `create` has written; None if nobody has."""
    try:
        return store.read(name if store.folder is not None else f"{name}/mark")
    except FileNotFoundError:
        return None


def _linked(target: Path, data: bytes) -> bool:
    """Creates a file in a folder, which may be one of a network file system."""
    partial = target.parent / f".{uuid.uuid4().hex}.part"
    partial.write_bytes(data)
    try:
        os.link(partial, target)
    except FileExistsError:
        # A network file system may have lost its answer to a call that succeeded.
        return partial.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _opened(target, data)  # this file system has no hard links
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return True


def _opened(target: Path, data: bytes) -> bool:
    try:
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _first(store: Store, name: str, data: bytes) -> bool:
    """Creates an object where a listing shows what was written just before, as in S3 and its like.

    Who tries announces it below the name, and goes on if no other has. Of two that find each other,
    both withdraw and try again after different pauses. pyarrow has no conditional write.
    """
    over = time.monotonic() + PATIENCE_SECONDS
    while created(store, name) is None and time.monotonic() < over:
        own = f"{name}/try-{uuid.uuid4().hex[:12]}"
        store.write(own, b"")
        try:
            others = [entry.name for entry in store.list(name) if entry.name != own]
            if not others:
                store.write(f"{name}/mark", data)
                return True
            for other in others:  # one that was killed in between
                if "/try-" in other and unchanged(store, other, "") >= STALE_SECONDS:
                    store.delete(other)
        finally:
            with contextlib.suppress(LedgerError):
                store.delete(own)
        time.sleep(random.uniform(0.05, 0.4))
    return False
