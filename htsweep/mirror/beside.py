"""What MLflow has of a study, and the process that brings it the rest beside a launch (mirror/process.py is what it runs)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

from htsweep.commands import Given, shown
from htsweep.execution.agenda import Agenda
from htsweep.execution.trial import Outcome
from htsweep.execution.watch import Watch
from htsweep.ledger import Store
from htsweep.planning.jobs import Job
from htsweep.results import Members as OfPlan
from htsweep.results import Results
from htsweep.study.schema import Study

PATIENCE_SECONDS = 60.0
"""How long the end of a launch waits for the mirror; what MLflow has not got by then, the next
launch or mirror brings.
"""


@final
@dataclass(frozen=True)
class Mirrored:
    """How much of a study MLflow has."""

    runs: int | None
    """Ended trials of the study that it has; None: nobody could count them."""
    of: int
    """Trials of the study, and scores of its screen, that ended."""
    trouble: str = ""
    """Why it has no more, or why what belongs to the whole study could not be copied; "" where all
    went well.
    """
    notes: tuple[str, ...] = ()
    """What was put right on the way."""

    @property
    def whole(self) -> bool:
        """Whether MLflow has all that there is."""
        return self.runs == self.of and not self.trouble

    def lacking(self, given: Given) -> list[str]:
        """What MLflow lacks, and the command that brings it up to date; nothing where it has all."""
        if self.whole:
            return []
        count = "an unknown number" if self.runs is None else str(self.runs)
        head = f"MLflow has {count} of {self.of} ended trials"
        if self.runs == self.of:
            head = f"MLflow has all {self.of} ended trials, but not all that belongs to the whole study"
        head += f": {self.trouble}" if self.trouble else ""
        return [head, f"To bring it up to date{given.secret}: {given.mirror_it()}"]


class Members:
    """Which rows of a ledger MLflow gets: the ended trials of a study, and of the scores of its screen.

    The trials that its screen drops count as well, as far as they ended.
    """

    def __init__(self, results: Results) -> None:
        self.study = results.study
        self.listed = [
            (planned.study, OfPlan(planned))
            for planned in (results.full_plan, results.score_plan)
            if planned is not None
        ]

    def place(self, row: Mapping[str, Any]) -> tuple[Study, Sequence[str], tuple[Any, ...]] | None:
        """The study of a ledger's row, the names of what is varied in it, and the row's place; None: it is nobody's."""
        for study, members in self.listed:
            for place in members.places(row):
                return study, members.names, place
        return None

    def wanted(self, results: Results) -> dict[str, str]:
        """The trials that ended, each with the record that counts."""
        columns = [
            "trial",
            "record",
            "kind",
            "task",
            "sweep",
            "point",
            "point_index",
            "repetition",
            "config",
        ]
        return {
            row["trial"]: row["record"]
            for row in results.rows(columns)
            if self.place(row) is not None
        }


def database_beside(store: Store) -> Path:
    """The MLflow database of the results; where those are far away, one in the working folder."""
    return (store.folder or Path("results").resolve()) / "mlflow.db"


def uri_of(store: Store, uri: str = "") -> str:
    """The tracking URI that `uri` means, which is the database beside the results where it is "".

    Raises:
        HtsweepError: MLflow has no such tracking store.
    """
    from htsweep.mirror import address

    return address.resolved(uri) if uri else address.of_database(database_beside(store))


def look(results: Results, uri: str = "") -> Mirrored:
    """How much of the study the database at `uri` has, read without MLflow; of another tracking store nothing is known."""
    from htsweep.mirror import address, database

    wanted = Members(results).wanted(results)
    path = address.database_of(uri_of(results.store, uri))
    if path is None:
        return Mirrored(None, len(wanted), f"{shown(uri)} was not asked")
    held = database.held(path, results.study.name, wanted)
    return Mirrored(held.runs, len(wanted), held.trouble)


@final
class Follower:
    """The mirror's own process: training never waits for it.

    It watches the launch to start at the first end: before that there is nothing to copy, and Ray
    needs the cores to start.
    """

    def __init__(self, results: Results, uri: str | None, watch: Watch) -> None:
        """Starts nothing yet.

        Args:
            results: of the study whose trials are copied, as it was read.
            uri: the tracking URI; "" for the database beside the results, None for no mirror.
            watch: is told what this is told.

        Raises:
            HtsweepError: MLflow has no such tracking store.
        """
        self.mirrored: Mirrored | None = None
        """What MLflow has at the end; None before, and where there is no mirror."""
        self._study, self._store = results.study, results.store
        self._uri, self._watch = uri, watch
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: threading.Thread | None = None
        self._trouble = ""
        if uri:
            uri_of(self._store, uri)  # a mistake in it is said before anything starts

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

    def finish(self, results: Results) -> None:
        """Lets it copy what is left, for a while; `mirrored` says how much of `results` it copied, whatever became of it."""
        if self._uri is None:
            return
        self._start()
        answer = self._answer()
        # Whatever it says, or if it died and says nothing: what it has written is whole, and the
        # database is asked itself.
        there = look(results, self._uri)
        runs, notes = there.runs, tuple[str, ...]()
        trouble = "" if runs == there.of else self._trouble or there.trouble
        if answer is not None:
            runs = answer.runs if runs is None else runs
            late = "" if runs == there.of else "the others ended too late to be copied"
            trouble, notes = answer.trouble or late, answer.notes
        self.mirrored = Mirrored(runs, there.of, trouble, notes)

    def leave(self) -> None:
        """Tells it that nothing more will come, and leaves it to copy the rest by itself."""
        if (
            self._process is not None
            and self._process.stdin is not None
            and not self._process.stdin.closed
        ):
            self._close()

    def _answer(self) -> Mirrored | None:
        """What the process says at its end."""
        if self._process is None:
            return None
        assert self._process.stdout is not None
        self._close()
        try:
            said, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # what it writes is whole at any moment
            self._process.wait()
            self._trouble = f"it was not done after {PATIENCE_SECONDS:.0f} s"
            return None
        try:
            answer = json.loads(said)
        except ValueError:
            answer = {
                "trouble": f"the process that copies to it ended with code {self._process.returncode}"
            }
        if "runs" in answer:
            return Mirrored(answer["runs"], answer["of"], answer["trouble"], tuple(answer["notes"]))
        self._trouble = answer["trouble"]
        return None

    def _close(self) -> None:
        """Ends its input, which tells it that nothing more will come."""
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
        # The study as it was read: its file may have been edited since, and is then another study.
        # Nor does the tracking URI stand on the command line, where everyone on the machine could
        # read the password in it.
        told = {
            "file": str(self._study.file.absolute()),
            "text": self._study.source,
            "overrides": list(self._study.overrides),
            "results": self._store.uri,
            "uri": self._uri,
        }
        try:
            # A session of its own: Ctrl-C is for the launch, which then lets it finish. -P: nothing
            # in the working folder stands in for a module.
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
        # A pipe holds 64 KiB: of a longer study the rest waits until the process has started.
        self._writer = threading.Thread(
            target=_write, args=(process.stdin, json.dumps(told).encode() + b"\n"), daemon=True
        )
        self._writer.start()
        self._process = process


def _write(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError):  # the process is dead, and its exit code says so
        pipe.write(data)
        pipe.flush()
