"""Claims: which of several launches runs what, on a store without locks.

The claim of a name is a row of objects NAME.0, NAME.1, ..., each of which only one process can
create (htsweep/ledger/exclusive.py). The last one counts: it names the launch that holds the name,
or says that it is free. A launch takes a name by creating the next object, once the last one is
free or its launch is dead; so two that take over from the same dead launch never both succeed.
Nothing is changed, and nothing is deleted while a launch lives, so that it does not matter if a
network file system lists or reads a folder late. Whether a launch lives is seen from its lease, by
the clock of the launch that asks (htsweep/ledger/lease.py).
"""

from __future__ import annotations

import json
import time
from typing import final

from htsweep.ledger import lease
from htsweep.ledger.exclusive import create, created
from htsweep.ledger.lease import Lease
from htsweep.ledger.store import Store

FOLDER = "leases/claims"
AGREED = "leases/agreed"
ORPHAN_SECONDS = 5.0
"""How long the workers of a killed launch may outlive it."""


@final
class Claims:
    """The names that this launch holds, or finds held by others."""

    def __init__(self, store: Store, own: Lease) -> None:
        """Claims of the launch that holds the lease `own`."""
        self._store, self._own = store, own
        self._held: dict[str, int] = {}
        self._turn: dict[str, int] = {}
        """The number of the last object seen of a name that another launch holds."""
        self._killed: dict[str, float] = {}
        """Lease of a launch that is known to be dead -> since when, by this process's clock."""
        self._judged: dict[str, tuple[float, bool]] = {}

    def take(self, name: str) -> int | None:
        """None while another launch holds the name; else this one does.

        Then the answer is how many claims of the name came before: 0 if nobody has held it.
        """
        if name in self._held:
            return self._held[name]
        if name not in self._turn and self._create(name, 0, self._own.object):
            return 0
        turn = self._turn.get(name, 0)
        while True:
            while created(self._store, _place(name, turn + 1)) is not None:
                turn += 1
            self._turn[name] = turn
            if not self._is_free(name, turn):
                return None
            if self._create(name, turn + 1, self._own.object):
                return turn + 1

    def release(self, done: set[str]) -> None:
        """Frees what this launch holds, except for what is `done`; others see those results."""
        for name, turn in self._held.items():
            if name not in done:
                create(self._store, _place(name, turn + 1), b'{"launch": ""}')
        self._held = {}

    def agree(self, name: str, value: object) -> object:
        """The value of a name that all launches share: the first one that any of them gave."""
        content = json.dumps(value).encode()
        while not create(self._store, f"{AGREED}/{name}", content):
            agreed = self.agreed(name)
            if agreed is not None:
                return agreed
            time.sleep(0.1)  # another launch is writing it
        return value

    def agreed(self, name: str) -> object:
        """The value on which launches agreed; None if there is none yet."""
        content = created(self._store, f"{AGREED}/{name}")
        return None if content is None else json.loads(content)

    def clear(self) -> None:
        """Removes what all claims have left, unless another launch may live."""
        if self._own.alone():
            for entry in self._store.list(FOLDER) + self._store.list(AGREED):
                self._store.delete(entry.name)

    def _create(self, name: str, turn: int, launch: str) -> bool:
        content = json.dumps({"launch": launch}).encode()
        if not create(self._store, _place(name, turn), content):
            return False
        self._held[name] = turn
        return True

    def _is_free(self, name: str, turn: int) -> bool:
        content = created(self._store, _place(name, turn))
        try:
            launch = str(json.loads(content or b"{}")["launch"])
        except (ValueError, KeyError, TypeError):  # being written just now, or not ours
            launch = _place(name, turn)
        return not launch or self._is_dead(launch)

    def _is_dead(self, launch: str) -> bool:
        now = time.monotonic()
        judged, dead = self._judged.get(launch, (0.0, False))
        if dead or (launch in self._judged and now - judged < 1):
            return dead
        silence = lease.silence(self._store, launch)
        if silence == float("inf"):
            dead = now - self._killed.setdefault(launch, now) >= ORPHAN_SECONDS
        else:
            dead = silence >= lease.STALE_SECONDS
        self._judged[launch] = now, dead
        return dead


def _place(name: str, turn: int) -> str:
    return f"{FOLDER}/{name}.{turn}"
