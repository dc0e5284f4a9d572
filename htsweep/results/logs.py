"""What a trial has printed, while it runs or afterwards, read from the results alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, final

from htsweep.commands import given
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.ledger import Lease
from htsweep.planning import roster
from htsweep.planning.roster import COLUMNS, Roster
from htsweep.results.results import Results

FOLDER = "logs"
COLUMNS_OF_ENDS = ("trial", "kind", "status", "attempt", "reason")
NAME = re.compile(r"logs/(?P<trial>\w+)-(?P<attempt>\d+)\.txt")


@final
class TrialLog:
    """The log of a trial or a stage of a study.

    Args:
        results: of the study.
        name: the trial's id, or its beginning.

    Raises:
        HtsweepError: the study has no such trial, or several.
    """

    def __init__(self, results: Results, name: str) -> None:
        self._results, self._store = results, results.store
        self.trial = _found(results, name)
        self._records: set[str] | None = None
        self._known: list[dict[str, Any]] = []

    def attempts(self) -> list[str]:
        """The objects with the logs of its attempts so far, the first attempt first."""
        found = []
        for entry in self._store.list(FOLDER):
            match = NAME.fullmatch(entry.name)
            if match is not None and match["trial"] == self.trial:
                found.append((int(match["attempt"]), entry.name))
        return [name for _, name in sorted(found)]

    def text(self) -> str:
        """What the last attempt has printed so far; "" if nothing.

        On a disk that is all that it has printed; in a bucket, what it had some seconds ago.
        """
        attempts = self.attempts()
        return self._read(attempts[-1]) if attempts else ""

    def ended(self) -> str:
        """How its last attempt ended, in words; "" if the ledger does not know that yet."""
        rows = self._ends()
        if not rows:
            return ""
        last = max(rows, key=lambda row: int(row["attempt"]))
        reason = f": {last['reason']}" if last["reason"] else ""
        return f"{last['kind']} {self.trial}, attempt {last['attempt']}: {last['status']}{reason}"

    def follow(self, pause: float) -> Iterator[str]:
        """What the last attempt has printed, and then what it and later ones print.

        Ends once the ledger has a trial that is done or was stopped early, or a failed one that
        nobody tries again; yields "" at least every `pause` seconds.
        """
        current, printed = "", 0
        while True:
            ended = self._over()
            attempts = self.attempts()
            if attempts and attempts[-1] != current:
                current, printed = attempts[-1], 0
            text = self._read(current) if current else ""
            yield text[printed:]
            printed = len(text)
            if ended:
                return
            time.sleep(pause)

    def _over(self) -> bool:
        """Whether no attempt runs, or will run in a launch that is under way."""
        rows = self._ends()
        if any(row["status"] in ("done", "stopped") for row in rows):
            return True
        retry = self._results.study.retry.reasons
        again = [(row["reason"] or "").partition(":")[0] in retry for row in rows]
        if not again or not all(again):
            return bool(again)
        return Lease(self._store, f"study-{self._results.study.name}").holder() is None

    def _ends(self) -> list[dict[str, Any]]:
        """The ends of its attempts; the ledger is read again only where it has changed."""
        ledger = self._results.ledger
        records = ledger.records()
        if records != self._records:
            self._records = records
            self._known = ledger.attempts(self.trial)
            if not self._known and any(name.startswith("all-") for name in records):
                rows = roster.rows(ledger.trials(every=True), COLUMNS_OF_ENDS)
                self._known = [row for row in rows if row["trial"] == self.trial]
        return self._known

    def _read(self, name: str) -> str:
        try:
            return self._store.read(name).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


def _found(results: Results, name: str) -> str:
    """The id of the trial or stage that begins with `name`."""
    own: set[str] = set()
    known: set[str] = set()
    for planned in filter(None, (results.full_plan, results.score_plan)):
        known |= {row["trial"] for row, _ in Roster(planned).own(results.rows(COLUMNS))}
        if planned.exact:
            known |= {trial for _, _, trial in planned.trials()}
    own = {trial for trial in known if trial.startswith(name)}
    if not own and name:  # a stage, or a trial that an adaptive sampler has just proposed
        matches = (NAME.fullmatch(entry.name) for entry in results.store.list(FOLDER))
        own = {match["trial"] for match in matches if match and match["trial"].startswith(name)}
    if len(own) != 1:
        some = sorted(own)[:5]
        raise HtsweepError(
            f"{len(own)} trials begin with '{name}': {', '.join(some)}; give more of the id"
            if own
            else f"study '{results.study.name}' has no trial '{name}'; {did_you_mean(name, known)}."
            f" What runs and what failed: {given(results.study, results.location).verb('status')}"
        )
    return own.pop()
