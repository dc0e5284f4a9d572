"""What a launch says of itself every few seconds, in the results, so that anyone can watch it.

One small object for each launch, `running/STUDY/OWNER.json`, which is written again and again and
goes with the launch. It costs as much for a thousand trials as for one; nothing that counts is
read from it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from htsweep.errors import LedgerError
from htsweep.execution.agenda import Agenda
from htsweep.execution.load import Node, here, load_of
from htsweep.execution.pace import Pace
from htsweep.execution.watch import Relay, Watch
from htsweep.execution.work import Outcome
from htsweep.ledger import Store
from htsweep.planning.jobs import Job

FOLDER = "running"
BEAT_SECONDS = 5.0
BEAT_SECONDS_ELSEWHERE = 15.0
"""In a store that is not a folder, where each write is a request."""
SILENT_SECONDS = 90.0
"""After so long without a beat, a launch counts as dead."""
MOST_LISTED = 2_000
"""Of so many running trials, the object says which."""


@final
@dataclass(frozen=True)
class Running:
    """A trial or a stage that runs."""

    trial: str
    what: str
    """What it is: `stage source, repetition 0`, `y=0.5, repetition 1`."""
    since: float
    """When it began, in unix seconds."""


@final
@dataclass(frozen=True)
class Beat:
    """What a launch last said of itself."""

    host: str
    pid: int
    since: float
    """When it began, in unix seconds by its own clock."""
    at: float
    """When it said this, by its own clock."""
    slots: int
    total: int
    done: int
    failed: int
    left: int
    eta: float | None
    """The seconds that what is left takes; None while that is not known."""
    running: tuple[Running, ...]
    count: int
    """How many run, also where not all are listed."""
    nodes: tuple[Node, ...]
    said: str = ""
    """What it last had a user know, such as what it waits for."""
    silent: float = 0.0
    """For how many seconds it has said nothing, by the store's clock."""


@final
class Pulse(Relay):
    """Passes on what a launch reports, and says in the results every few seconds what runs.

    A thread writes it, so that no trial and no event waits for a slow store.
    """

    def __init__(self, watch: Watch, store: Store, study: str, *, local: bool) -> None:
        """Starts nothing yet.

        Args:
            watch: sees what this sees.
            store: of the results.
            study: its name.
            local: whether trials run on this machine, which then says what it uses.
        """
        super().__init__(watch)
        self._store, self._folder, self._local = store, f"{FOLDER}/{study}", local
        self._object = f"{self._folder}/{uuid.uuid4().hex[:12]}.json"
        self._began = time.time()
        self._agenda: Agenda | None = None
        self._pace, self._said = Pace(), ""
        self._running: dict[str, Running] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def started(self, agenda: Agenda, job: Job) -> None:
        """Passes it on."""
        self._pace.started(agenda)
        self._running[job.trial] = Running(job.trial, told(job, agenda), time.time())
        self._see(agenda)
        super().started(agenda, job)

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Passes it on."""
        self._pace.ended(job, outcome)
        self._running.pop(job.trial, None)
        super().ended(agenda, job, outcome)

    def tick(self, agenda: Agenda) -> None:
        """Passes it on; the first one begins the beats."""
        for trial in self._running.keys() - agenda.running.keys():
            del self._running[trial]  # it was taken back without an end
        self._see(agenda)
        super().tick(agenda)

    def note(self, text: str) -> None:
        """Passes it on."""
        self._said = text
        super().note(text)

    def close(self) -> None:
        """Ends the beats, and removes the object; if the store is away, silence says the same."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(BEAT_SECONDS)
            with contextlib.suppress(LedgerError):
                self._store.delete(self._object)

    def beat(self, agenda: Agenda) -> Beat:
        """What there is to say now."""
        running = tuple(self._running.values())
        nodes = tuple(agenda.nodes)
        if self._local:
            nodes = (here(tuple(one.trial for one in running[:MOST_LISTED])),)
        return Beat(
            platform.node(),
            os.getpid(),
            self._began,
            time.time(),
            agenda.slots,
            agenda.total,
            agenda.over,
            agenda.done["trial failed"] + len(agenda.blocked),
            agenda.left,
            self._pace.left(agenda),
            running[:MOST_LISTED],
            len(running),
            nodes,
            self._said,
        )

    def _see(self, agenda: Agenda) -> None:
        self._agenda = agenda
        if self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        with contextlib.suppress(LedgerError):
            _clear(self._store, self._folder)
        pause = BEAT_SECONDS if self._store.folder is not None else BEAT_SECONDS_ELSEWHERE
        while True:
            # Another thread changes what is said; a beat that meets it half way is left out.
            with contextlib.suppress(LedgerError, RuntimeError):
                assert self._agenda is not None
                content = json.dumps(asdict(self.beat(self._agenda)))
                self._store.write(self._object, content.encode())
            if self._over.wait(pause):
                return


def told(job: Job, agenda: Agenda) -> str:
    """What a job is, by what the study varies: `method=l2sp, repetition 1`."""
    if job.kind == "stage":
        return f"stage {job.task.rpartition(':')[2]}, repetition {job.repetition}"
    factors = agenda.plan.study.factors
    what = ", ".join(f"{key}={job.config[key]}" for key in factors if key in job.config)
    return f"{what}, repetition {job.repetition}".removeprefix(", ")


def beats(store: Store, study: str) -> list[Beat]:
    """What the launches of a study have last said, the first of them first.

    Those that have been silent for long are left out.

    Raises:
        LedgerError: the store cannot be listed.
    """
    entries = store.list(f"{FOLDER}/{study}")
    now = max([time.time(), *(entry.modified for entry in entries)])
    found = []
    for entry in entries:
        silent = now - entry.modified
        if silent < SILENT_SECONDS:
            with contextlib.suppress(
                FileNotFoundError, LedgerError, ValueError, TypeError, KeyError
            ):
                found.append(_read(json.loads(store.read(entry.name)), silent))
    return sorted(found, key=lambda beat: beat.since)


def _read(content: Mapping[str, Any], silent: float) -> Beat:
    nodes: Sequence[Mapping[str, Any]] = content["nodes"]
    return Beat(
        **{
            **content,
            "running": tuple(Running(**one) for one in content["running"]),
            "nodes": tuple(
                Node(one["name"], tuple(one["trials"]), one["load"] and load_of(one["load"]))
                for one in nodes
            ),
            "silent": silent,
        }
    )


def _clear(store: Store, folder: str) -> None:
    """Removes what killed launches have left."""
    entries = store.list(folder)
    now = max((entry.modified for entry in entries), default=0.0)
    for entry in entries:
        if max(now, time.time()) - entry.modified > SILENT_SECONDS:
            with contextlib.suppress(LedgerError):
                store.delete(entry.name)
