"""Who holds a name, on a store that has no locks.

To take a lease is to write an object of one's own and then to list all: where another live one
stands beside it, one's own is withdrawn. Two that come at once both withdraw and try again after
unequal pauses, so two never hold together.

A holder is asked whether it lives where that can be seen: by a process of the same running kernel
and of the same process namespace. Containers may share a host's name, and their process ids say
nothing to one another; of a holder elsewhere only its silence tells.
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
"""How often a holder says that it lives."""
STALE_SECONDS = 90.0
"""After so long a silence a holder that cannot be asked counts as dead."""


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
        """Whether the name was held by a process that died."""

    def take(self) -> dict[str, Any] | None:
        """None where the name is now held by this lease, else what its holder says of itself.

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
        """What the live holder of the name says of itself, or None; takes and changes nothing."""
        entries = [entry for entry in self._store.list(self.folder) if entry.name != self._object]
        # Nothing is written here that would tell the store's time.
        now = max([time.time(), *(entry.modified for entry in entries)])
        for entry in entries:
            holder = _holder(self._store, entry)
            if holder is not None and _lives(holder, now - entry.modified):
                return holder
        return None

    def check(self) -> None:
        """Nothing, while the name is still held by this lease.

        Raises:
            LedgerError: it is not: another process took this one for dead, or the store was emptied
                under it.
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
        """Gives the name back; where the store cannot be reached, silence does."""
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
            with contextlib.suppress(LedgerError):  # another user's: it stays, and is silent
                self._store.delete(entry.name)
        return None

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.check()
                self._store.write(self._object, self._content)
            except LedgerError:
                # The next beat may get through; a long silence counts as death, and a lost lease
                # stays lost
                continue
            if self._over.is_set():
                with contextlib.suppress(LedgerError):
                    self._store.delete(self._object)


def clear(store: Store, kind: str) -> int:
    """How many leases were removed, of those whose names begin with `kind`, that no living process holds.

    A living holder is never in the way: each has an object of its own, and a new one takes no dead
    one's name.
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
    """What the holder says of itself; None where it has just given the name back."""
    unknown = {"host": "an unknown host", "pid": "(unknown)", "since": entry.modified, "about": ""}
    try:
        said = json.loads(store.read(entry.name))
        return {**unknown, **said, "since": float(said["since"])}
    except FileNotFoundError:
        return None
    except LedgerError:  # another user's, who keeps it to himself: it counts until it is silent
        return {**unknown, "about": f"{entry.name} belongs to another user and cannot be read"}
    except (
        ValueError,
        TypeError,
        KeyError,
    ):  # no lease, or one that is being written just now: somebody is there
        return unknown


def _lives(holder: dict[str, Any], silence: float) -> bool:
    place = _place()
    if place is not None and holder.get("place") == place:
        # Process ids are used again: the same process is the same id, born at the same time.
        born = _born(holder["pid"])
        if born != _HIDDEN:
            return born is not None and born == holder.get("born")
    return silence < STALE_SECONDS


def _place() -> str | None:
    """Where process ids mean the same: the running kernel and the namespace; None where that cannot be told."""
    if sys.platform != "linux":
        return socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return None


_HIDDEN = "hidden"
"""A process that is there, but another user's, of which this one may not see more."""


def _born(pid: Any) -> str | None:
    """When the process was started, in a form that only serves to compare; None where none of that id runs."""
    if not isinstance(pid, int) or pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *rest = file.read().rpartition(")")[2].split()
        # A zombie has ended, whether its parent looks or not
        return None if state in "ZX" else rest[18]
    except (OSError, ValueError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        return _HIDDEN
    return "runs"  # no /proc: that it runs must do
