"""Runs to mirror, and what a mirror's database holds of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from htsweep.mirror import Run

METHODS = ("none", "l2sp", "wise_ft", "lolsgd")
TABLES = {"tags": "key, value", "params": "key, value", "metrics": "key, value, timestamp, step, is_nan",
          "latest_metrics": "key, value, timestamp, step, is_nan"}
RUN = "name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage"


def run(number: int, record: str = "first", status: str = "done", **changes: Any) -> Run:
    """Trial `number`: later trials see better and miss more."""
    given: dict[str, Any] = {
        "trial": f"{number:06x}{'0' * 26}", "record": record, "status": status,
        "tags": {"study": "digits", "dataset": "mnist-uci", "missing_ratio": "0.5", "backbone": "lenet", "commit": "c" * 40,
                 "method": METHODS[number % len(METHODS)], "repetition": str(number // len(METHODS))},
        "parameters": {"learning_rate": 1e-3, "epochs": 3, "dataset": "mnist-uci"},
        "measurements": [{"step": step, "test/seen_accuracy": 0.5 + 0.02 * number + 0.1 * step, "loss": 1 / (step + 1),
                          "test/missing_accuracy": 0.9 - 0.02 * number - 0.1 * step, "curve": [0.0, 1.0]}
                         for step in range(3)],
        "started": 1.6e9 + 10 * number, "ended": 1.6e9 + 10 * number + 4.5,
    }
    return Run(**{**given, **changes})


def held(database: Path, active: bool = True) -> dict[str, Mapping[str, Any]]:
    """By run id: its row and the rows of each table that belong to it."""
    with sqlite3.connect(database) as connection:
        where = "WHERE lifecycle_stage = 'active'" if active else ""
        runs = connection.execute(f"SELECT run_uuid, {RUN} FROM runs {where}").fetchall()
        return {
            run: {"run": row, **{table: sorted(connection.execute(f"SELECT {columns} FROM {table} WHERE run_uuid = ?", (run,)))
                                 for table, columns in TABLES.items()}}
            for run, *row in runs
        }


def tags(rows: Mapping[str, Any]) -> dict[str, str]:
    return dict(rows["tags"])
