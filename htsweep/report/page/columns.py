"""Tables as columns for JSON: numbers in the unit that is shown, groups and methods by number, long ones thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.report import names
from htsweep.report.key import Key

POINTS = 1000
"""A panel draws so many points; beyond, those that are neither on a front nor chosen are thinned.
"""
ALL_POINTS = 12_000
_CORNERS, _ALL_CORNERS = 101, 40_000
"""A line has so many corners, and all lines of a chart together."""
_DIGITS = 5
Columns = dict[str, list[Any]]


def table(frame: pd.DataFrame, key: Key, columns: Sequence[str]) -> Columns:
    """Columns as lists, with `g` and `m`; columns that are not there are left out."""
    made: Columns = {"g": key.group_of(frame), "m": key.method_of(frame)}
    for name in columns:
        if name in frame.columns:
            given = frame[name]
            made[name] = (
                numbers(given.to_numpy(float))
                if pd.api.types.is_float_dtype(given)
                else [plain(value) for value in given.tolist()]
            )
    return made


def measured(frame: pd.DataFrame, key: Key, words: Sequence[str], values: Sequence[str]) -> Columns:
    """A table whose `values` are in the unit of each row's metric."""
    if frame.empty:
        return table(frame, key, [])
    scales = frame["metric"].astype(str).map(names.scale).to_numpy(float)
    return {
        **table(frame, key, words),
        **{name: numbers(frame[name].to_numpy(float) * scales) for name in values},
    }


def lines(
    frame: pd.DataFrame,
    key: Key,
    words: Sequence[str],
    columns: Mapping[str, float],
    *,
    chart: str,
    notes: dict[str, str],
) -> list[dict[str, Any]]:
    """A line per group, compared value and `words`, its columns times so much; corners of long ones are thinned."""
    if frame.empty:
        return []
    marked = frame.assign(_g=key.group_of(frame), _m=key.method_of(frame))
    curves = [
        line
        for _, line in marked.groupby(["_g", "_m", *words], sort=False, observed=True, dropna=False)
    ]
    limit = min(_CORNERS, max(9, _ALL_CORNERS // len(curves)))
    if any(len(line) > limit for line in curves):
        notes[chart] = (
            notes.get(chart, "") + f" Lines are drawn through at most {limit} of their corners."
        ).strip()
    made = []
    for line in curves:
        places = np.unique(np.linspace(0, len(line) - 1, min(limit, len(line))).astype(int))
        few = line.iloc[places]
        first = line.iloc[0]
        made.append(
            {
                "g": int(first["_g"]),
                "m": int(first["_m"]),
                **{name: plain(first[name]) for name in words},
                **{
                    name: numbers(few[name].to_numpy(float) * scale)
                    for name, scale in columns.items()
                },
            }
        )
    return made


def thin(panel: Sequence[int] | np.ndarray, keep: np.ndarray, limit: int) -> np.ndarray:
    """Flags of at most `limit` rows of each panel: all that `keep` flags, and evenly spaced ones of the others."""
    panels = np.asarray(panel)
    taken = keep.copy()
    for number in np.unique(panels):
        others = np.flatnonzero((panels == number) & ~keep)
        room = max(0, limit - int((keep & (panels == number)).sum()))
        places = (
            others
            if len(others) <= room
            else others[np.linspace(0, len(others) - 1, room).astype(int)]
        )
        taken[places] = True
    return taken


def thinned(few: int, many: int) -> str:
    """What a chart says that draws `few` of `many` points."""
    return f"{few} of {many} points are drawn: all that are chosen or on a front, others thinned evenly."


def configurations(points: pd.DataFrame, parameters: Sequence[str]) -> list[str]:
    """The configuration of each point in words."""
    return [
        names.configuration({str(name): value for name, value in row.items()}, parameters)
        for row in points.to_dict("records")
    ]


def numbers(values: np.ndarray) -> list[float | None]:
    """Five digits: more than a screen can show."""
    return [
        float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()
    ]


def plain(value: Any) -> Any:
    """A value for JSON: numbers as they are, all else in the words of the tables."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if value == value else None
    return value if isinstance(value, bool | int | str) or value is None else names.value(value)
