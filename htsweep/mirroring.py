"""The mirror's own process, beside a launch (htsweep/following.py is what it runs)."""

from __future__ import annotations

import subprocess
import sys
from typing import final

from htsweep.execute.agenda import Agenda
from htsweep.execute.trial import Outcome
from htsweep.execute.watch import Watch
from htsweep.jobs import Job
from htsweep.ledger import Store
from htsweep.study import Study

MIRROR_PATIENCE_SECONDS = 60.0
"""How long the end of a launch waits for the mirror; what it has not got by then, `htsweep mirror` gives it."""


@final
class Follower:
    """The mirror's own process: training never waits for it.

    It watches the launch to start at the first end: before that there is nothing to copy, and Ray needs the cores to start.
    """

    def __init__(self, study: Study, store: Store, uri: str | None, watch: Watch) -> None:
        self.caught_up: bool | None = None
        self._study, self._store, self._uri, self._watch = study, store, uri, watch
        self._process: subprocess.Popen[bytes] | None = None

    def started(self, agenda: Agenda, job: Job) -> None:
        """Passes it on."""
        self._watch.started(agenda, job)

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Passes it on; from here on there is something to copy."""
        self._start()
        self._watch.ended(agenda, job, outcome)

    def tick(self, agenda: Agenda) -> None:
        """Passes it on."""
        self._watch.tick(agenda)

    def note(self, text: str) -> None:
        """Passes it on."""
        self._watch.note(text)

    def finish(self) -> None:
        """Lets it copy what is left, for a while."""
        self._start()
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # the end of its input tells it that nothing more will come
        try:
            self.caught_up = self._process.wait(MIRROR_PATIENCE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self.caught_up = False

    def _start(self) -> None:
        from htsweep.results import mirror_uri

        if self._uri is None or self._process is not None:
            return
        words = [sys.executable, "-m", "htsweep.following", "--results", self._store.uri,
                 "--uri", self._uri or mirror_uri(self._store), str(self._study.file), *self._study.overrides]
        # A session of its own: Ctrl-C is for the launch, which then lets it finish.
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, start_new_session=True)
