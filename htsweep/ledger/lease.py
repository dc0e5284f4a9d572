"""Leases: at most one process holds a name, on a store without locks.

To take a lease, a process writes an object of its own and then lists all; if another live one
exists, it withdraws its own. Two that arrive at once both withdraw and try again after different
pauses, so two never hold the name together. Shared leases stand beside each other: a name has
either one holder or any number of shared ones.

Whether a holder is alive is checked by its process id if it runs on the same kernel in the same
process namespace. Containers may share a host's name although their process ids mean nothing to
each other; so any other holder is judged only by its silence: its object, which it writes anew with
every beat, has not changed for a while by the watching process's own clock. The times that a store
gives depend on clocks that may differ by an hour; only hours of silence by them count at once.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from htsweep.errors import LedgerError
from htsweep.ledger.store import Entry, Store

BEAT_SECONDS = 10.0
"""How often a holder shows that it is alive."""
STALE_SECONDS = 90.0
"""How long a holder elsewhere may be silent before it counts as dead."""
SKEW_SECONDS = 7200.0
"""By how much the clocks of two machines may differ."""

_SEEN: dict[tuple[str, str], tuple[object, float]] = {}
"""Store and object -> its last content, and since when, by this process's clock, it has been so."""


@final
class Lease:
    """A name held by this process until `release`, or until it dies."""

    def __init__(self, store: Store, name: str, about: str = "", *, shared: bool = False) -> None:
        """Prepares a lease of the name; `shared`: beside others that are shared too."""
        self._store = store
        self.folder = f"leases/{name}"
        self.object = f"{self.folder}/{uuid.uuid4().hex[:12]}.json"
        """The name of the object that shows that the holder lives."""
        self._shared = shared
        self._about = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": _born(os.getpid()),
            "place": _place(),
            "since": time.time(),
            "about": about,
            "shared": shared,
        }
        self._beats = 0
        self._over = threading.Event()
        self.after_death = False
        """Whether a process that died had held the name."""

    def take(self, watched: Callable[[str], None] | None = None) -> dict[str, Any] | None:
        """None if this lease now holds the name, else what the holder has written about itself.

        Args:
            watched: is told that this takes up to 90 s, if a holder elsewhere must be watched to
                see whether it lives; None: such a holder counts as alive.

        Raises:
            LedgerError: the store cannot be written.
        """
        holder = self._attempt()
        if holder is None or holder["lives"] or watched is None:
            return holder
        watched(
            f"process {holder['pid']} on {holder['host']} held this and may have died: it counts "
            f"as dead after {STALE_SECONDS:g} s without a sign of life"
        )
        first = holder["token"]
        while holder is not None and holder["token"] == first:
            time.sleep(min(1.0, STALE_SECONDS / 10))
            holder = self._other() or self._attempt()
        return holder

    def _attempt(self) -> dict[str, Any] | None:
        """None if this lease now holds the name, else its holder."""
        for _ in range(8):
            self._write()
            holder = self._other()
            if holder is None:
                threading.Thread(target=self._beat, daemon=True).start()
                return None
            self._store.delete(self.object)
            if holder["since"] < time.time() - 2:
                return holder
            time.sleep(random.uniform(0.05, 0.4))
        return holder

    def holder(self, *, sure: bool = False) -> dict[str, Any] | None:
        """What the name's live holder has written about itself, or None; changes nothing.

        Args:
            sure: a holder counts as alive unless it is known to be dead, although clocks differ.
        """
        entries = [entry for entry in self._store.list(self.folder) if entry.name != self.object]
        # No object is written here, whose time would show the store's clock.
        now = max([time.time(), *(entry.modified for entry in entries)])
        for entry in entries:
            holder = _holder(self._store, entry)
            if holder is None or _lives(holder) is False:
                continue
            patience = STALE_SECONDS + (SKEW_SECONDS if sure else 0.0)
            if _lives(holder) or now - entry.modified < patience:
                return holder
        return None

    def alone(self) -> bool:
        """Whether no launch of any study but this one may live; removes what the dead have left."""
        found = [one for one in self._store.list("leases") if one.name.startswith("leases/study-")]
        now = max((entry.modified for entry in found), default=0.0)
        for entry in found:
            holder = None if entry.name == self.object else _holder(self._store, entry)
            if holder is not None:
                if not _dead(self._store, entry, holder, now):
                    return False
                with contextlib.suppress(LedgerError):
                    self._store.delete(entry.name)
        return True

    def check(self) -> None:
        """Checks that this lease still holds the name.

        Raises:
            LedgerError: it does not: another process considered this one dead, or the store was
                emptied.
        """
        if not any(entry.name == self.object for entry in self._store.list(self.folder)):
            raise LedgerError(
                f"{self._store.uri}/{self.object} is gone: another launch took this one for dead "
                "after "
                f"{STALE_SECONDS:g} s of silence, or the results were removed or unmounted. What "
                "`htsweep status` "
                "counts is recorded; the same command runs the rest"
            )

    def release(self) -> None:
        """Releases the name; if the store cannot be reached, silence does so in time."""
        self._over.set()
        with contextlib.suppress(LedgerError):
            self._store.delete(self.object)

    def _other(self) -> dict[str, Any] | None:
        """A holder that keeps this lease from the name; removes what the dead have left."""
        entries = self._store.list(self.folder)
        now = max((entry.modified for entry in entries), default=0.0)
        for entry in entries:
            if entry.name == self.object:
                continue
            holder = _holder(self._store, entry)
            if holder is None or (self._shared and holder.get("shared") is True):
                continue
            if not _dead(self._store, entry, holder, now):
                return {**holder, "lives": bool(_lives(holder))}
            self.after_death = True
            with contextlib.suppress(LedgerError):  # another user's object stays, but is silent
                self._store.delete(entry.name)
        return None

    def _write(self) -> None:
        self._beats += 1
        content = {**self._about, "beats": self._beats}
        self._store.write(self.object, json.dumps(content).encode())

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.check()
                self._write()
            except LedgerError:
                # The next beat may succeed. A long silence counts as death, and a lost lease stays
                # lost.
                continue
            if self._over.is_set():
                with contextlib.suppress(LedgerError):
                    self._store.delete(self.object)


def silence(store: Store, name: str) -> float:
    """For how many seconds, by this process's clock, the holder with this object counts as silent.

    0.0 while it lives, infinite if it is known to be dead. It takes two calls to see a silence.
    """
    try:
        content: object = store.read(name)
    except FileNotFoundError:
        content = None
    if content is not None:
        holder = _read(content)
        lives = None if holder is None else _lives(holder)
        if lives is not None:
            return 0.0 if lives else float("inf")
    return unchanged(store, name, content)


def unchanged(store: Store, name: str, content: object) -> float:
    """For how many seconds, by this process's clock, an object has had this content."""
    now = time.monotonic()
    before, since = _SEEN.get((store.uri, name), (None, now))
    if before != content or (store.uri, name) not in _SEEN:
        since = now
        _SEEN[store.uri, name] = content, now
    return now - since


def _holder(store: Store, entry: Entry) -> dict[str, Any] | None:
    """What the holder has written about itself; None if it has just released the name."""
    unknown = {"host": "an unknown host", "pid": "(unknown)", "since": entry.modified, "about": ""}
    unknown["token"] = entry.modified
    try:
        content = store.read(entry.name)
    except FileNotFoundError:
        return None
    except LedgerError:  # another user's, not readable: it counts until it is silent
        return {**unknown, "about": f"{entry.name} belongs to another user and cannot be read"}
    said = _read(content)
    # No lease, or one being written just now: treat it as a holder.
    return unknown if said is None else {**unknown, **said, "token": (content, entry.modified)}


def _read(content: object) -> dict[str, Any] | None:
    """What a holder has written about itself; None if that is not what it is."""
    try:
        said = json.loads(content)  # type: ignore[arg-type]
        return {**said, "since": float(said["since"])}
    except (ValueError, TypeError, KeyError):
        return None


def _dead(store: Store, entry: Entry, holder: dict[str, Any], now: float) -> bool:
    """Whether a holder is known to be dead; `now` is a time of the store's clock."""
    lives = _lives(holder)
    if lives is not None:
        return not lives
    if now - entry.modified >= STALE_SECONDS + SKEW_SECONDS:
        return True
    return unchanged(store, entry.name, holder["token"]) >= STALE_SECONDS


def _lives(holder: dict[str, Any]) -> bool | None:
    """Whether the holder's process lives; None if it runs where this one cannot see it."""
    place = _place()
    if place is not None and holder.get("place") == place:
        # Process ids are reused: it is the same process only if it also started at the same time.
        born = _born(holder.get("pid"))
        if born != _HIDDEN:
            return born is not None and born == holder.get("born")
    return None


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
