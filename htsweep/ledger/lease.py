"""Who holds a name, on a store that has no locks.

To take a lease is to write an object of one's own and then to list all: where another live one stands beside it, one's own
is withdrawn. Two that come at once both withdraw and try again after unequal pauses, so two never hold together.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from typing import Any, final

from htsweep.ledger.store import Entry, Store

BEAT_SECONDS = 10.0
"""How often a holder says that it lives."""
STALE_SECONDS = 90.0
"""After so long a silence a holder on another machine counts as dead."""


@final
class Lease:
    """A name held by this process until `release`, or until it dies."""

    def __init__(self, store: Store, name: str, about: str = "") -> None:
        self._store = store
        self.folder = f"leases/{name}"
        self._object = f"{self.folder}/{uuid.uuid4().hex[:12]}.json"
        self._content = json.dumps({
            "host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid()), "since": time.time(),
            "about": about,
        }).encode()
        self._over = threading.Event()
        self.after_death = False
        """Whether the name was held by a process that died."""

    def take(self) -> dict[str, Any] | None:
        """None where the name is now held by this lease, else what its holder says of itself."""
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
        """What the live holder of the name says of itself, or None; takes nothing."""
        return self._other()

    def release(self) -> None:
        """Gives the name back."""
        self._over.set()
        self._store.delete(self._object)

    def _other(self) -> dict[str, Any] | None:
        entries = self._store.list(self.folder)
        now = max((entry.modified for entry in entries), default=0.0)
        for entry in entries:
            if entry.name == self._object:
                continue
            holder = self._read(entry)
            if holder is None:
                continue
            if _alive(holder, now - entry.modified):
                return holder
            self.after_death = True
            self._store.delete(entry.name)
        return None

    def _read(self, entry: Entry) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._store.read(entry.name)))
        except FileNotFoundError:
            return None
        except ValueError:  # being written just now: somebody is there
            return {"host": "?", "pid": 0, "since": time.time(), "about": ""}

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._store.write(self._object, self._content)
            except OSError:
                continue  # the next beat may get through; a long silence counts as death
            if self._over.is_set():
                self._store.delete(self._object)


def _alive(holder: dict[str, Any], silence: float) -> bool:
    if holder["host"] == socket.gethostname():
        # Process ids are used again: the same process is the same id, born at the same time.
        return holder.get("born") is not None and _born(holder["pid"]) == holder["born"]
    return silence < STALE_SECONDS


def _born(pid: int) -> str | None:
    """When the process was started, in a form that only serves to compare; None where there is none of that id."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:  # no /proc: that it runs must do
        os.kill(pid, 0)
    except OSError:
        return None
    return "runs"
