"""Paired differences of compared values from a baseline, group by group, ready to be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, competitors, is_bound
from htsweep.analysis.new_images import Images, Spread, spread_of
from htsweep.analysis.significance import Paired, judge

_DIGITS = 12
"""Numbers are rounded to this many decimals: equal sums stay equal in any order of addition."""
Term = tuple[float, str, int]
"""Weight, sweep and repetition of a trial in a sum of differences."""
COLUMNS = (
    "n",
    "difference",
    "low",
    "high",
    "improvement",
    "p",
    "p_holm",
    "least_p",
    "verdict",
    "wilcoxon",
    "p_new_images",
    "new_images",
)


@final
@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one group."""

    factors: Mapping[str, Any]
    """What identifies it."""
    runs: pd.DataFrame
    """The metrics by compared value and repetition."""
    bounds: frozenset[Any]
    """The compared values that are upper bounds."""
    sweeps: Mapping[tuple[Any, int], Sequence[str]]
    """(compared value, repetition) -> its sweeps."""
    rows: pd.Index
    """Its rows in the table of what was chosen."""


def groups_of(chosen: pd.DataFrame, design: Design, metrics: Sequence[str]) -> Iterator[Group]:
    """The groups of what a protocol chose, with those of `metrics` that are numbers."""
    numeric = [
        name
        for name in metrics
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]
    if chosen.empty or not numeric:
        return
    chosen = competitors(chosen, design.factors)
    grouped = (
        chosen.groupby(list(design.groups), sort=False, observed=True, dropna=False)
        if design.groups
        else [((), chosen)]
    )
    for key, rows in grouped:
        runs = rows.groupby(
            [design.compared, "repetition"], sort=False, observed=True, dropna=False
        )[numeric].mean()
        sweeps: dict[tuple[Any, int], list[str]] = {}
        if "sweep" in rows:
            for value, repetition, sweep in zip(
                rows[design.compared], rows["repetition"], rows["sweep"], strict=True
            ):
                sweeps.setdefault((value, repetition), []).append(sweep)
        yield Group(
            dict(zip(design.groups, key, strict=True)),
            runs.astype(float).round(_DIGITS),
            frozenset(rows[design.compared][is_bound(rows)]),
            sweeps,
            rows.index,
        )


def wide(runs: pd.Series) -> pd.DataFrame:
    """Runs as repetitions x compared values; values without a number are left out."""
    table: pd.DataFrame = runs.unstack(level=0, sort=False).dropna(axis=1, how="all")
    return table


def against(
    table: pd.DataFrame, compared: str, baseline: str, group: Group, *, bounded: bool = True
) -> list[dict[str, Any]]:
    """A row per compared value of one group's metric, with its paired differences by repetition.

    Args:
        table: repetitions x compared values.
        compared: the compared factor.
        baseline: the value that the others are compared with.
        group: whose runs the table has.
        bounded: whether upper bounds are marked as such.
    """
    # A compared value need not be text, but the baseline's name is.
    name = next((name for name in table.columns if str(name) == baseline), None)
    if name is None:
        return []
    base = table[name].to_numpy()
    known = base[~np.isnan(base)]
    rows = []
    for value, runs in zip(table.columns, table.to_numpy().T, strict=True):
        if str(value) == baseline:
            continue
        differences = pd.Series(runs - base, table.index)
        rows.append(
            {
                compared: value,
                "differences": differences,
                "improvement": improvement(runs[~np.isnan(runs)], known),
                "bound": bounded and value in group.bounds,
                "terms": {
                    repetition: _terms(group, value, name, repetition)
                    for repetition in differences.dropna().index
                },
            }
        )
    return rows


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    """The probability that a run of x is above a run of y.

    Over all pairs of runs; a tie counts half (Agarwal et al., NeurIPS 2021).
    """
    return float(((x[:, None] > y) + 0.5 * (x[:, None] == y)).mean())


def judged(
    families: list[list[dict[str, Any]]], images: Images | None, level: float
) -> list[dict[str, Any]]:
    """All rows with what `judge` says of their differences, within their family."""
    said = judge(
        [
            [
                Paired(
                    row["differences"].to_numpy(float),
                    row.get("tested", float("nan")),
                    _spread(row, images),
                    row["bound"],
                )
                for row in family
            ]
            for family in families
        ],
        level,
    )
    for family, answers in zip(families, said, strict=True):
        for row, found in zip(family, answers, strict=True):
            row.update(found)
    return [row for family in families for row in family]


def shares_of(
    chosen: pd.DataFrame, keys: Sequence[str], tested: pd.Series | None
) -> dict[tuple[Any, ...], float]:
    """Value of `keys` -> the share of its target's images that a repetition tests.

    Only where it is known and one share for all its rows.
    """
    if tested is None or chosen.empty or "sweep" not in chosen:
        return {}
    shares = chosen[[*keys]].assign(_share=chosen["sweep"].map(tested).to_numpy(float))
    if not keys:
        found = shares["_share"].unique()
        return {(): float(found[0])} if len(found) == 1 else {}
    grouped = shares.groupby(list(keys), sort=False, observed=True, dropna=False)["_share"]
    return {
        key if isinstance(key, tuple) else (key,): float(inside.iloc[0])
        for key, inside in grouped
        if inside.nunique(dropna=False) == 1
    }


def _terms(group: Group, value: Any, baseline: Any, repetition: int) -> list[Term]:
    """The trials of a difference, in which sweeps that no factor tells apart are averaged."""
    sides = (
        (1.0, group.sweeps.get((value, repetition), ())),
        (-1.0, group.sweeps.get((baseline, repetition), ())),
    )
    return [(sign / len(sweeps), sweep, repetition) for sign, sweeps in sides for sweep in sweeps]


def _spread(row: dict[str, Any], images: Images | None) -> Spread | None:
    terms = [term for own in row.get("terms", {}).values() for term in own]
    if images is None or not terms:
        return None
    total = images.total(terms, row["metric"])
    if total is None:
        return None
    tested = images.tested({(sweep, repetition) for _, sweep, repetition in terms})
    return spread_of(total, len(row["terms"]), tested)
