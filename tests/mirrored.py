"""Runs to mirror, and what a mirror's database holds of them."""

from __future__ import annotations

import contextlib
import functools
import math
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from htsweep.mirror import address, schema
from htsweep.mirror.client import Requests
from htsweep.mirror.copying import Mirror
from htsweep.mirror.database import ARTIFACTS
from htsweep.mirror.run import Run
from htsweep.mirror.schema import prepared

STUDY = "digits"
METHODS = ("none", "l2sp", "wise_ft", "lolsgd")
TABLES = {
    "tags": "key, value",
    "params": "key, value",
    "metrics": "key, value, timestamp, step, is_nan",
    "latest_metrics": "key, value, timestamp, step, is_nan",
}
RUN = "name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, lifecycle_stage"


def run(number: int, record: str = "first", status: str = "done", **changes: Any) -> Run:
    """Trial `number`: later trials see better and miss more."""
    given: dict[str, Any] = {
        "trial": f"{number:06x}{'0' * 26}",
        "record": record,
        "status": status,
        "tags": {
            "study": "digits",
            "dataset": "mnist-uci",
            "missing_ratio": "0.5",
            "backbone": "lenet",
            "commit": "c" * 40,
            "method": METHODS[number % len(METHODS)],
            "repetition": str(number // len(METHODS)),
        },
        "parameters": {"learning_rate": 1e-3, "epochs": 3, "dataset": "mnist-uci"},
        "measurements": [
            {
                "step": step,
                "test/seen_accuracy": 0.5 + 0.02 * number + 0.1 * step,
                "loss": 1 / (step + 1),
                "test/missing_accuracy": 0.9 - 0.02 * number - 0.1 * step,
                "curve": [0.0, 1.0],
            }
            for step in range(3)
        ],
        "started": 1.6e9 + 10 * number,
        "ended": 1.6e9 + 10 * number + 4.5,
    }
    return Run(**{**given, **changes})


FEW = [run(number) for number in range(5)]
ODD = run(
    3,
    status="failed",
    tags={"method": "l2sp", "reason": "x" * 9000, "a b/c?": "odd", "": "empty"},
    parameters={
        **{f"p{number}": number for number in range(250)},
        "long": "y" * 7000,
        "..": None,
        "list": [1, "a"],
        "on": True,
    },
    measurements=[
        {"step": 1, "loss": math.nan},
        {"step": 1, "loss": math.nan},
        {"step": 1, "loss": 2.0},
        {"step": 0, "loss": 9},
        {"step": 2, "loss": math.inf, "text": "t", "none": None, "on": True, "what?": 1.5},
        *({"step": step, "many": step % 7} for step in range(2500)),
    ],
)


def empty(path: Path) -> Path:
    """A database at `path` as one that was just made: with MLflow's tables and nothing in them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_tables())
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ?",
            (f"{address.location(path.parent / ARTIFACTS)}/0",),
        )
    return path


@pytest.fixture
def made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """New databases are copies of one that was made before: MLflow takes a second to make one."""
    monkeypatch.setattr(schema, "_make", empty)


def mirror_of(database: Path, through: str = "rows") -> Mirror:
    """The mirror on `database`, writing in bulk (`rows`) or through MLflow's client (`requests`)."""
    mirror = Mirror(f"sqlite:///{database}", STUDY)
    if through == "requests":
        mirror._runs = Requests(mirror._client, mirror.experiment)
    return mirror


def held(database: Path, active: bool = True) -> dict[str, Mapping[str, Any]]:
    """By run id: its row and the rows of each table that belong to it."""
    with sqlite3.connect(database) as connection:
        where = "WHERE lifecycle_stage = 'active'" if active else ""
        runs = connection.execute(f"SELECT run_uuid, {RUN} FROM runs {where}").fetchall()
        return {
            run: {"run": row}
            | {
                table: sorted(
                    connection.execute(f"SELECT {columns} FROM {table} WHERE run_uuid = ?", (run,))
                )
                for table, columns in TABLES.items()
            }
            for run, *row in runs
        }


def tags(rows: Mapping[str, Any]) -> dict[str, str]:
    return dict(rows["tags"])


@functools.cache
def _tables() -> bytes:
    # Once a session: MLflow takes two seconds to make them.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        prepared(path, ours=True)
        return path.read_bytes()
