"""Tables as columns for JSON: displayed units, numbered groups and methods, long tables thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.report import names
from htsweep.report.key import Key

POINTS = 1000
"""How many points a panel draws; beyond that, those neither on a front nor chosen are thinned."""
ALL_POINTS = 12_000
_CORNERS, _ALL_CORNERS = 101, 40_000
"""How many corners a line has at most, and all lines of a chart together."""
_DIGITS = 5
Columns = dict[str, list[Any]]


def table(frame: pd.DataFrame, key: Key, columns: Sequence[str]) -> Columns:
    """Columns as lists, with group `g` and method `m` by number; missing columns are left out."""
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
    """A table whose `values` are in the displayed unit of each row's metric."""
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
    """A line per group, compared value and `words`, with thinned corners if it is long.

    `columns` maps the columns of its numbers to the factors that they are multiplied by.
    """
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
    """Flags of at most `limit` rows of each panel: those of `keep`, and others evenly spaced.

    All rows of `keep` are flagged, even beyond the limit.
    """
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
    """The note of a chart that draws only `few` of `many` points."""
    return (
        f"{few} of {many} points are drawn: all that are chosen or on a front, "
        "others thinned evenly."
    )


def configurations(points: pd.DataFrame, parameters: Sequence[str]) -> list[str]:
    """The configuration of each point in words."""
    return [
        names.configuration({str(name): value for name, value in row.items()}, parameters)
        for row in points.to_dict("records")
    ]


def numbers(values: np.ndarray) -> list[float | None]:
    """Numbers with five digits, which is more than a screen can show; None if not finite."""
    return [
        float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()
    ]


def plain(value: Any) -> Any:
    """A value for JSON: numbers as numbers, everything else as the tables show it."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if value == value else None
    return value if isinstance(value, bool | int | str) or value is None else names.value(value)
