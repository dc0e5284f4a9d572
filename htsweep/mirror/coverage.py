"""How much of a study MLflow has; does not import MLflow, for the sake of `htsweep status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.commands import Given, shown
from htsweep.ledger import Store
from htsweep.results import Members, Results
from htsweep.study.schema import Study


@final
@dataclass(frozen=True)
class Mirrored:
    """How much of a study MLflow has."""

    runs: int | None
    """Ended trials of the study in MLflow; None: they could not be counted."""
    of: int
    """Ended trials of the study and scores of its screen."""
    trouble: str = ""
    """Why it has no more, or why data of the whole study is missing; "" if all went well."""
    notes: tuple[str, ...] = ()
    """What was repaired on the way."""

    @property
    def whole(self) -> bool:
        """Whether MLflow has everything."""
        return self.runs == self.of and not self.trouble

    def lacking(self, given: Given) -> list[str]:
        """What MLflow lacks, and the command that updates it; empty if it has everything."""
        if self.whole:
            return []
        count = "an unknown number" if self.runs is None else str(self.runs)
        head = f"MLflow has {count} of {self.of} ended trials"
        if self.runs == self.of:
            head = (
                f"MLflow has all {self.of} ended trials, but not all that belongs to the whole "
                "study"
            )
        head += f": {self.trouble}" if self.trouble else ""
        return [head, f"To bring it up to date{given.secret}: {given.mirror_it()}"]


class MirroredRows:
    """The rows of a ledger that MLflow gets: ended trials of a study and scores of its screen.

    Trials that the screen drops are included if they have ended.
    """

    def __init__(self, results: Results) -> None:
        self.study = results.study
        self.listed = [
            (planned.study, Members(planned))
            for planned in (results.full_plan, results.score_plan)
            if planned is not None
        ]

    def place(self, row: Mapping[str, Any]) -> tuple[Study, Sequence[str], tuple[Any, ...]] | None:
        """(study, names of its factors, place) of a ledger's row; None if it belongs to none."""
        for study, members in self.listed:
            for place in members.places(row):
                return study, members.names, place
        return None

    def wanted(self, results: Results) -> dict[str, str]:
        """The ended trials, each with what `copied_as` says of the record that counts."""
        later = results.ledger.later()
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
            row["trial"]: copied_as(row["record"], later.get(row["record"], ""))
            for row in results.rows(columns)
            if self.place(row) is not None
        }


def copied_as(record: str, later: str) -> str:
    """The label of what a run copies: a record, and what was measured of it after it ended."""
    return f"{record}+{later}" if later else record


def record_of(copied: str) -> str:
    """The record that a run is a copy of."""
    return copied.partition("+")[0]


def database_beside(store: Store) -> Path:
    """The MLflow database of the results; for remote results, one in the working folder."""
    return (store.folder or Path("results").resolve()) / "mlflow.db"


def uri_of(store: Store, uri: str = "") -> str:
    """The tracking URI for `uri`; "" means the database beside the results.

    Raises:
        HtsweepError: MLflow has no such tracking store.
    """
    from htsweep.mirror import address

    return address.resolved(uri) if uri else address.of_database(database_beside(store))


def coverage(results: Results, uri: str = "") -> Mirrored:
    """How much of the study the database at `uri` has, read without MLflow.

    Other tracking stores are not asked.
    """
    from htsweep.mirror import address, database

    wanted = MirroredRows(results).wanted(results)
    path = address.database_of(uri_of(results.store, uri))
    if path is None:
        return Mirrored(None, len(wanted), f"{shown(uri)} was not asked")
    held = database.held(path, results.study.name, wanted)
    return Mirrored(held.runs, len(wanted), held.trouble)
