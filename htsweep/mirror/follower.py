"""The launch's side of the process that copies to MLflow (the other is mirror/process.py)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from typing import IO, final

from htsweep.errors import HtsweepError
from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Relay, Watch
from htsweep.execution.work import Outcome
from htsweep.mirror.coverage import Mirrored, coverage, uri_of
from htsweep.planning.jobs import Job
from htsweep.results import Results

PATIENCE_SECONDS = 60.0
"""How long the end of a launch waits for the mirror.

What MLflow lacks after that, the next launch or mirror brings.
"""
RETRY_SECONDS = 30.0
"""How long the process retries a tracking store that does not answer, after the launch has ended.
"""


@final
class Follower(Relay):
    """Starts and ends the mirror's process, for which training never waits.

    It starts when the first trial ends: before that there is nothing to copy, and Ray needs the
    cores to start.
    """

    def __init__(self, results: Results, uri: str | None, watch: Watch) -> None:
        """Checks the URI, but starts nothing yet.

        Args:
            results: of the study whose trials are copied.
            uri: the tracking URI; "" for the database beside the results, None for no mirror.
            watch: gets every call that this object gets.

        Raises:
            HtsweepError: MLflow has no such tracking store.
        """
        self.mirrored: Mirrored | None = None
        """What MLflow has at the end; None before that, and without a mirror."""
        self._study, self._store = results.study, results.store
        super().__init__(watch)
        self._uri = uri
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: threading.Thread | None = None
        self._trouble = ""
        if uri:
            uri_of(self._store, uri)  # reports a mistake in it before anything starts

    @property
    def uri(self) -> str:
        """The tracking URI; "" without a mirror, or if its URI is invalid."""
        try:
            return "" if self._uri is None else uri_of(self._store, self._uri)
        except HtsweepError:  # `finish` says why
            return ""

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Passes it on, and starts the process if it does not run yet."""
        self._start()
        super().ended(agenda, job, outcome)

    def has_all(self, results: Results, uri: str) -> bool:
        """Whether no process ran in this launch, because MLflow already has everything.

        Args:
            results: of the study.
            uri: the tracking URI known to have the report of these results.
        """
        if self._process is not None or self._uri is None or not uri:
            return False
        if self.uri != uri:
            return False
        covered = coverage(results, self._uri)
        if not covered.whole:
            return False
        self.mirrored = covered
        return True

    def finish(self, results: Results) -> None:
        """Lets the process copy the rest for a while; sets `mirrored` even if it failed."""
        if self._uri is None:
            return
        self._start()
        answer = self._answer()
        # Whatever it reports, or if it died: what it has written is complete, and the database
        # itself is checked.
        covered = coverage(results, self._uri)
        runs, notes = covered.runs, tuple[str, ...]()
        trouble = "" if runs == covered.of else self._trouble or covered.trouble
        if answer is not None:
            runs = answer.runs if runs is None else runs
            late = "" if runs == covered.of else "the others ended too late to be copied"
            trouble, notes = answer.trouble or late, answer.notes
        self.mirrored = Mirrored(runs, covered.of, trouble, notes)

    def leave(self) -> None:
        """Tells the process that nothing more will come, and leaves it to copy the rest."""
        if (
            self._process is not None
            and self._process.stdin is not None
            and not self._process.stdin.closed
        ):
            self._close()

    def _answer(self) -> Mirrored | None:
        """What the process reports at its end."""
        if self._process is None:
            return None
        assert self._process.stdout is not None
        self._close()
        try:
            said, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # what it writes is complete at any moment
            self._process.wait()
            self._trouble = f"it was not done after {PATIENCE_SECONDS:.0f} s"
            return None
        try:
            answer = json.loads(said)
        except ValueError:
            answer = {
                "trouble": "the process that copies to it ended with code "
                f"{self._process.returncode}"
            }
        if "runs" in answer:
            return Mirrored(answer["runs"], answer["of"], answer["trouble"], tuple(answer["notes"]))
        self._trouble = answer["trouble"]
        return None

    def _close(self) -> None:
        """Closes its input, which tells it that nothing more will come."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._writer is not None
        self._writer.join(PATIENCE_SECONDS)
        with contextlib.suppress(OSError):  # it is dead
            self._process.stdin.close()
        self._process.stdin = None

    def _start(self) -> None:
        if self._uri is None or self._process is not None or self._trouble:
            return
        # The study is sent as it was read, since its file may have been edited. The tracking URI is
        # not on the command line, where everyone on the machine could read its password.
        request = {
            "file": str(self._study.file.absolute()),
            "text": self._study.source,
            "overrides": list(self._study.overrides),
            "results": self._store.uri,
            "uri": self._uri,
            "retry_seconds": RETRY_SECONDS,
        }
        try:
            # A separate session, so that Ctrl-C reaches only the launch, which lets it finish. -P,
            # so that nothing in the working folder shadows a module.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "htsweep.mirror.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._trouble = f"the process that copies to it could not be started: {error}"
            return
        assert process.stdin is not None
        # A pipe holds 64 KiB; the rest of a longer study waits until the process has started.
        self._writer = threading.Thread(
            target=_write, args=(process.stdin, json.dumps(request).encode() + b"\n"), daemon=True
        )
        self._writer.start()
        self._process = process


def _write(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError):  # the process is dead, and its exit code says so
        pipe.write(data)
        pipe.flush()
