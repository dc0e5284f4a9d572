"""The tidy tables as files: Parquet, CSV, JSON."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.files import put
from htsweep.results.spreadsheet import csv


def export(
    trials: pd.DataFrame, measurements: pd.DataFrame, out: Path, formats: Sequence[str]
) -> list[Path]:
    """Writes trials.* and measurements.* below `out` in each of `formats`, and returns the paths.

    Numbers keep their full precision. Curves are lists in Parquet and JSON, and JSON lists in CSV
    cells; missing values are null, and empty in CSV. Text that a spreadsheet would run as a formula
    has an apostrophe in front in CSV.

    Raises:
        HtsweepError: an unknown format.
    """
    wrong = [name for name in formats if name not in FORMATS]
    if wrong:
        raise HtsweepError(
            "; ".join(f"no format '{name}': {did_you_mean(name, FORMATS)}" for name in wrong)
        )
    tables = {"trials": trials, "measurements": measurements}
    return [
        put(Path(out) / f"{name}.{ending}", FORMATS[ending](_plain(table)))
        for ending in formats
        for name, table in tables.items()
    ]


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _csv(table: pd.DataFrame) -> bytes:
    lists = {
        name: table[name].map(
            lambda value: json.dumps(_value(value)) if isinstance(value, list) else value
        )
        for name in table.columns
        if _has_lists(table[name])
    }
    return csv(with_columns(table, lists)).encode()


def _json(table: pd.DataFrame) -> bytes:
    # pandas' own writer rounds to 15 decimals: a learning rate of 1e-17 would be 0.
    rows = [
        json.dumps({name: _value(value) for name, value in row.items()})
        for row in table.to_dict("records")
    ]
    return ("[\n" + ",\n".join(rows) + "\n]\n").encode()


FORMATS: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    "parquet": _parquet,
    "csv": _csv,
    "json": _json,
}


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with curves as lists, and any column with values of several types as text.

    Factors may have values of several types.
    """
    made = {}
    for name in table.columns:
        if table[name].dtype != object:
            continue
        values = [
            value.tolist() if isinstance(value, np.ndarray) else value for value in table[name]
        ]
        kinds = {type(value) for value in values if value is not None and not _is_nan(value)}
        if len(kinds) > 1 and not kinds <= {int, float}:
            values = [
                value
                if value is None or _is_nan(value) or isinstance(value, str)
                else json.dumps(value)
                for value in values
            ]
        made[name] = pd.Series(values, index=table.index, dtype=object)
    return with_columns(table, made)


def with_columns(table: pd.DataFrame, made: Mapping[str, pd.Series]) -> pd.DataFrame:
    """The table with the columns `made` in place of its own.

    Unlike `assign`, it takes columns of any name, even `self`.
    """
    renamed = table.copy(deep=False)
    for name, column in made.items():
        renamed[name] = column
    return renamed


def _has_lists(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(value, list) for value in column)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return None if value is pd.NA or value is pd.NaT else value
