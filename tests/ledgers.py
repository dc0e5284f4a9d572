"""Toy studies with a ledger that a launch would leave, in no time; and what a mirror has of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from htsweep.ledger import Ledger, Record, Store
from htsweep.mirror.coverage import Mirrored, coverage
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.study.schema import Study

TEXT = (
    "task: toy\ngrid: {y: [0.2, 0.5]}\nsearch: {spaces: {all: {x: [0.1, 0.9]}}}\nrepetitions: 2\n"
)
TRIALS = 8


def toy(folder: Path, text: str = TEXT, name: str = "study.yaml") -> Study:
    """The study of `text` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return read(folder / name)


def fill(study: Study, folder: Path, repetitions: Iterable[int] | None = None) -> None:
    """Ends trials of the study as done, those of `repetitions` alone where they are given."""
    wanted = set(range(study.repetitions) if repetitions is None else repetitions)
    ledger = Ledger(Store(folder))
    for point, repetition, trial in plan(study).trials():
        if repetition in wanted:
            x = point.config["x"]
            rows = [
                {
                    "step": step,
                    "validation/seen_accuracy": x + step / 100,
                    "test/overall_accuracy": 1 - x,
                }
                for step in (0, 1)
            ]
            ledger.append(
                Record(
                    trial,
                    "trial",
                    "done",
                    "toy",
                    json.dumps(point.config),
                    repetition,
                    sweep=point.sweep,
                    point=point.id,
                    point_index=point.index,
                    steps=2,
                    started=1.6e9,
                    ended=1.6e9 + 1,
                ),
                rows,
            )


def looked(study: Study, folder: Path) -> Mirrored:
    """How much of the study the database beside the results has."""
    return coverage(Results(study, str(folder)))


def asked(database: Path, query: str) -> list[tuple[object, ...]]:
    """The rows of a query on an MLflow database."""
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()
