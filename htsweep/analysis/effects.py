"""What a method changes against a baseline: paired differences, their intervals and verdicts.

Pairs are repetitions of one group: a repetition has the same class split, data order and seeds for
every method, so that what it adds to both cancels in the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, competitors, is_bound
from htsweep.analysis.interval import LEVEL
from htsweep.analysis.significance import Paired, judge

_DIGITS = 12
"""Numbers are rounded to this many decimals: equal sums stay equal in any order of addition."""
_COLUMNS = (
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
)


def effects(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    baseline: str,
    *,
    tested: pd.Series | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group, compared value and metric: its paired differences from the baseline.

    Columns: the groups' factors, the compared one, `metric`, `baseline`; what
    `significance.judge` says of the differences value - baseline over the pairs (repetitions that
    both have); `improvement`, the probability that a run of it is above a run of the baseline
    (Agarwal et al., NeurIPS 2021: over all pairs of runs, a tie counts half). The baseline itself
    has no row.

    Where the share of tested images is known, verdicts and intervals are about new images of the
    same kind; elsewhere they are conditional on the images that there are, and say what other seeds
    (and splits) of them would give.

    A family is all compared values of one group and metric. An upper bound (nobody can choose it)
    takes no part in it: its `p_holm` is NaN and its verdict `bound`. `better` and `worse` say that
    the metric is shown to be higher or lower: p_holm < 0.05, and the interval excludes 0. `too few`
    says that even differences that are all of one sign, for the whole family, would leave p_holm >=
    0.05 (n < 6 for one value, n < 10 for 18). Values that share no repetition with the baseline
    have n = 0 and NaNs; a group without the baseline, or a value without the metric, has no row.
    Sweeps that no factor tells apart are averaged within a repetition.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns make a group, and which is compared.
        metrics: the columns to compare; those that are missing, or hold no numbers, are left out.
        baseline: the value of the compared factor that the others are compared with.
        tested: sweep -> the share of the target's images that each repetition tests, drawn anew.
        level: of the intervals.
    """
    families = []
    shares = shares_of(chosen, design.groups, tested)
    for group, runs, bounds in _groups(chosen, design, metrics):
        share = shares.get(tuple(group.values()), float("nan"))
        for metric in runs.columns:
            shared = {**group, "metric": metric, "baseline": baseline, "tested": share}
            rows = _against(_wide(runs[metric]), design.compared, baseline, bounds)
            families.append([{**shared, **row} for row in rows])
    return pd.DataFrame(
        _judged(families, level),
        columns=[*design.factors, "metric", "baseline", *_COLUMNS],
    )


def runners_up(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    *,
    tested: pd.Series | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group and metric: the second highest value's differences from the highest.

    `baseline` is the value with the highest mean over its repetitions, and the compared value the
    one with the next; upper bounds take no part. The family of `p_holm` is all rivals of the
    highest, since any of them could have come second. Columns and arguments are otherwise as in
    `effects`; a group of one value has no row.
    """
    families, places = [], []
    shares = shares_of(chosen, design.groups, tested)
    for group, runs, bounds in _groups(chosen, design, metrics):
        share = shares.get(tuple(group.values()), float("nan"))
        for metric in runs.columns:
            table = _wide(runs[metric])
            table = table.drop(columns=[name for name in table.columns if name in bounds])
            order = table.mean().sort_values(ascending=False, kind="stable").index
            if len(order) < 2:
                continue
            shared = {**group, "metric": metric, "baseline": str(order[0]), "tested": share}
            rivals = _against(table, design.compared, str(order[0]), frozenset())
            families.append([{**shared, **row} for row in rivals])
            places.append(order[1])
    _judged(families, level)
    rows = [
        next(row for row in family if row[design.compared] == second)
        for family, second in zip(families, places, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*design.factors, "metric", "baseline", *_COLUMNS])


def pooled(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    baseline: str,
    *,
    tested: pd.Series | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per compared value and metric: its paired differences over all groups.

    `groups` is how many groups count. The unit is the repetition: its difference is the mean over
    the groups. Groups share a repetition's seeds, and datasets its class splits, so that
    differences of one repetition are not independent evidence; those of different repetitions are.
    What is shown holds for these groups, not for others (for that, `ranks`). Every group that has a
    pair counts, and a repetition that lacks one of them does not, so that no dataset weighs more in
    one repetition than in another. `improvement` is the mean over groups, as rliable defines it
    over tasks. A family is all compared values of a metric. Of the groups' tested shares the
    largest counts, and none where one is not known. Everything else, columns and arguments
    included, is as in `effects`.
    """
    by_group = list(_groups(chosen, design, metrics))
    shares = shares_of(chosen, design.groups, tested)
    families = []
    for metric in dict.fromkeys(name for _, runs, _ in by_group for name in runs.columns):
        rows = [
            {**row, "tested": shares.get(tuple(group.values()), float("nan"))}
            for group, runs, bounds in by_group
            for row in _against(_wide(runs[metric]), design.compared, baseline, bounds)
        ]
        values = dict.fromkeys(row[design.compared] for row in rows)
        families.append(
            [
                {
                    design.compared: value,
                    "metric": metric,
                    "baseline": baseline,
                    **_over_groups([row for row in rows if row[design.compared] == value]),
                }
                for value in values
            ]
        )
    columns = [design.compared, "metric", "baseline", "groups", *_COLUMNS]
    return pd.DataFrame(_judged(families, level), columns=columns)


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    """The probability that a run of x is above a run of y.

    Over all pairs of runs; a tie counts half (Agarwal et al., NeurIPS 2021).
    """
    return float(((x[:, None] > y) + 0.5 * (x[:, None] == y)).mean())


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


def _groups(
    chosen: pd.DataFrame, design: Design, metrics: Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame, frozenset[Any]]]:
    """Each group's factors, metrics by compared value and repetition, and upper bounds."""
    numeric = [
        name
        for name in metrics
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]
    if chosen.empty or not numeric:
        return
    chosen = competitors(chosen, design.factors)
    group = (
        chosen.groupby(list(design.groups), sort=False, observed=True, dropna=False)
        if design.groups
        else [((), chosen)]
    )
    for key, rows in group:
        runs = rows.groupby(
            [design.compared, "repetition"], sort=False, observed=True, dropna=False
        )[numeric].mean()
        bounds = frozenset(rows[design.compared][is_bound(rows)])
        factors = dict(zip(design.groups, key, strict=True))
        yield factors, runs.astype(float).round(_DIGITS), bounds


def _wide(runs: pd.Series) -> pd.DataFrame:
    """Runs as repetitions x compared values; values without a number are left out."""
    table: pd.DataFrame = runs.unstack(level=0, sort=False).dropna(axis=1, how="all")
    return table


def _against(
    table: pd.DataFrame, compared: str, baseline: str, bounds: frozenset[Any]
) -> list[dict[str, Any]]:
    """A row per compared value of one group's metric, with its paired differences by repetition."""
    # A compared value need not be text, but the baseline's name is.
    base = next((table[name].to_numpy() for name in table.columns if str(name) == baseline), None)
    if base is None:
        return []
    known = base[~np.isnan(base)]
    return [
        {
            compared: value,
            "differences": pd.Series(runs - base, table.index),
            "improvement": improvement(runs[~np.isnan(runs)], known),
            "bound": value in bounds,
        }
        for value, runs in zip(table.columns, table.to_numpy().T, strict=True)
        if str(value) != baseline
    ]


def _over_groups(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One compared value's rows of several groups as one.

    Groups where the value is an upper bound count only if it is one in all groups.
    """
    rows = [row for row in rows if not row["bound"]] or rows
    counted = [row for row in rows if row["differences"].notna().any()]
    paired = [row["differences"].dropna() for row in counted]
    # Repetitions that are not in every group drop out with the NaN that alignment leaves.
    change = (
        pd.concat(paired, axis=1).mean(axis=1, skipna=False) if paired else pd.Series(dtype=float)
    )
    return {
        "groups": len(paired),
        "differences": change,
        "improvement": float(np.mean([row["improvement"] for row in rows])),
        "bound": all(row["bound"] for row in rows),
        "tested": float(np.max([row["tested"] for row in counted])) if counted else np.nan,
    }


def _judged(families: list[list[dict[str, Any]]], level: float) -> list[dict[str, Any]]:
    """All rows with what `judge` says of their differences, within their family."""
    judged = judge(
        [
            [
                Paired(
                    row["differences"].to_numpy(float),
                    row.get("tested", float("nan")),
                    row["bound"],
                )
                for row in family
            ]
            for family in families
        ],
        level,
    )
    for family, said in zip(families, judged, strict=True):
        for row, found in zip(family, said, strict=True):
            row.update(found)
    return [row for family in families for row in family]
