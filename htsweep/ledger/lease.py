"""Leases: at most one process holds a name, on a store without locks.

To take a lease, a process writes an object of its own and then lists all; if another live one
exists, it withdraws its own. Two that arrive at once both withdraw and try again after different
pauses, so two never hold the name together.

Whether a holder is alive is checked by its process id if it runs on the same kernel in the same
process namespace. Containers may share a host's name although their process ids mean nothing to
each other; so any other holder is judged only by its silence.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any, final

from htsweep.errors import LedgerError
from htsweep.ledger.store import Entry, Store

BEAT_SECONDS = 10.0
"""How often a holder shows that it is alive."""
STALE_SECONDS = 90.0
"""How long a holder elsewhere may be silent before it counts as dead."""


@final
class Lease:
    """A name held by this process until `release`, or until it dies."""

    def __init__(self, store: Store, name: str, about: str = "") -> None:
        self._store = store
        self.folder = f"leases/{name}"
        self._object = f"{self.folder}/{uuid.uuid4().hex[:12]}.json"
        self._content = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "born": _born(os.getpid()),
                "place": _place(),
                "since": time.time(),
                "about": about,
            }
        ).encode()
        self._over = threading.Event()
        self.after_death = False
        """Whether a process that died had held the name."""

    def take(self) -> dict[str, Any] | None:
        """None if this lease now holds the name, else what the holder has written about itself.

        Raises:
            LedgerError: the store cannot be written.
        """
        for _ in range(8):
            self._store.write(self._object, self._content)
            holder = self._other()
            if holder is None:
                threading.Thread(target=self._beat, daemon=True).start()
                return None
            self._store.delete(self._object)
            if holder["since"] < time.time() - 2:
                return holder
            time.sleep(random.uniform(0.05, 0.4))
        return holder

    def holder(self) -> dict[str, Any] | None:
        """What the name's live holder has written about itself, or None; changes nothing."""
        entries = [entry for entry in self._store.list(self.folder) if entry.name != self._object]
        # No object is written here, whose time would show the store's clock.
        now = max([time.time(), *(entry.modified for entry in entries)])
        for entry in entries:
            holder = _holder(self._store, entry)
            if holder is not None and _lives(holder, now - entry.modified):
                return holder
        return None

    def check(self) -> None:
        """Checks that this lease still holds the name.

        Raises:
            LedgerError: it does not: another process considered this one dead, or the store was
                emptied.
        """
        if not any(entry.name == self._object for entry in self._store.list(self.folder)):
            raise LedgerError(
                f"{self._store.uri}/{self._object} is gone: another launch took this one for dead "
                "after "
                f"{STALE_SECONDS:g} s of silence, or the results were removed or unmounted. What "
                "`htsweep status` "
                "counts is recorded; the same command runs the rest"
            )

    def release(self) -> None:
        """Releases the name; if the store cannot be reached, silence does so in time."""
        self._over.set()
        with contextlib.suppress(LedgerError):
            self._store.delete(self._object)

    def _other(self) -> dict[str, Any] | None:
        entries = self._store.list(self.folder)
        now = max((entry.modified for entry in entries), default=0.0)
        for entry in entries:
            if entry.name == self._object:
                continue
            holder = _holder(self._store, entry)
            if holder is None:
                continue
            if _lives(holder, now - entry.modified):
                return holder
            self.after_death = True
            with contextlib.suppress(LedgerError):  # another user's object stays, but is silent
                self._store.delete(entry.name)
        return None

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.check()
                self._store.write(self._object, self._content)
            except LedgerError:
                # The next beat may succeed. A long silence counts as death, and a lost lease stays
                # lost.
                continue
            if self._over.is_set():
                with contextlib.suppress(LedgerError):
                    self._store.delete(self._object)


def clear(store: Store, kind: str) -> int:
    """Removes the dead leases whose names begin with `kind`, and returns how many.

    This never disturbs a living holder: each has an object of its own, and no new holder reuses a
    dead one's name.
    """
    entries = store.list("leases")
    now = max((entry.modified for entry in entries), default=0.0)
    removed = 0
    for entry in entries:
        if entry.name.startswith(f"leases/{kind}"):
            holder = _holder(store, entry)
            if holder is not None and not _lives(holder, now - entry.modified):
                with contextlib.suppress(LedgerError):
                    store.delete(entry.name)
                    removed += 1
    return removed


def _holder(store: Store, entry: Entry) -> dict[str, Any] | None:
    """What the holder has written about itself; None if it has just released the name."""
    unknown = {"host": "an unknown host", "pid": "(unknown)", "since": entry.modified, "about": ""}
    try:
        said = json.loads(store.read(entry.name))
        return {**unknown, **said, "since": float(said["since"])}
    except FileNotFoundError:
        return None
    except LedgerError:  # another user's, not readable: it counts until it is silent
        return {**unknown, "about": f"{entry.name} belongs to another user and cannot be read"}
    except (
        ValueError,
        TypeError,
        KeyError,
    ):  # no lease, or one being written just now: treat it as a holder
        return unknown


def _lives(holder: dict[str, Any], silence: float) -> bool:
    place = _place()
    if place is not None and holder.get("place") == place:
        # Process ids are reused: it is the same process only if it also started at the same time.
        born = _born(holder["pid"])
        if born != _HIDDEN:
            return born is not None and born == holder.get("born")
    return silence < STALE_SECONDS


def _place() -> str | None:
    """The kernel and namespace in which process ids are unique; None if unknown."""
    if sys.platform != "linux":
        return socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return None


_HIDDEN = "hidden"
"""Used as the start time of another user's process, which this one cannot see."""


def _born(pid: Any) -> str | None:
    """When the process started, in a form that only serves to compare.

    None if there is no process of that id; `_HIDDEN` if its start cannot be seen.
    """
    if not isinstance(pid, int) or pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *rest = file.read().rpartition(")")[2].split()
        # A zombie has ended, even if its parent has not noticed.
        return None if state in "ZX" else rest[18]
    except (OSError, ValueError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        return _HIDDEN
    return "runs"  # without /proc, it is only known to run
