"""Two sets of trials compared: which trials correspond, and by how much their numbers differ.

A trial's id is a hash of what it means, so trials with one id are the same trial run twice. Others
are matched by the factors and parameters that both sets vary, and by repetition: a repetition has
the same class split on both sides.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design

COSTS = ("seconds", "memory")
"""Columns whose names contain one of these differ from run to run, and are ignored by `equal`."""
_BOTH = ["trial_a", "trial_b"]


@final
@dataclass(frozen=True)
class Matched:
    """The trials of A and of B, matched to each other."""

    pairs: pd.DataFrame
    """A row per pair: `trial_a`, `trial_b`, `status_a`, `status_b`, `repetition`, the `keys`."""
    only_a: pd.DataFrame
    """The trials of A without a match in B: `trial`, `repetition`, `status`, the keys."""
    only_b: pd.DataFrame
    ambiguous: int
    """How many of these match several trials: only one side varies what tells them apart."""
    keys: tuple[str, ...]
    """The factors and parameters by which trials with different ids are matched."""
    differ: Mapping[str, tuple[tuple[Any, ...], tuple[Any, ...]]]
    """Factors and parameters without any value in common, with their values in A and in B."""


def match(a: pd.DataFrame, b: pd.DataFrame, varied: Sequence[str]) -> Matched:
    """Pairs of trials: by id where both sets have it, else by what both vary and by repetition.

    Args:
        a: a row per trial and sweep: `trial`, `repetition`, `status`, and columns of `varied`.
        b: the same.
        varied: factors and parameters; one that is absent from a set, or that has no value in
            common, is not used as a key.
    """
    values = {name: (_distinct(a, name), _distinct(b, name)) for name in varied}
    keys = tuple(
        name
        for name, (in_a, in_b) in values.items()
        if set(map(_plain, in_a)) & set(map(_plain, in_b))
    )
    differ = {name: both for name, both in values.items() if name not in keys and all(both)}
    left, right = _described(a, keys), _described(b, keys)
    by_id = _joined(left, right, ["_trial", "_key"])
    rest = [
        table[~table["trial"].isin(by_id[f"trial_{side}"])]
        for table, side in ((left, "a"), (right, "b"))
    ]
    by_key = _joined(rest[0], rest[1], ["_key"])
    pairs = pd.concat([by_id, by_key], ignore_index=True)
    alone = [
        table[~table["trial"].isin(pairs[f"trial_{side}"])].drop_duplicates("trial")
        for table, side in ((left, "a"), (right, "b"))
    ]
    several = sum(
        int(unmatched["_key"].isin(other["_key"]).sum())
        for unmatched, other in ((alone[0], right), (alone[1], left))
    )
    shown = ["trial", "repetition", "status", *keys]
    return Matched(
        pairs[[*_BOTH, "status_a", "status_b", "repetition", *keys]],
        alone[0][shown].reset_index(drop=True),
        alone[1][shown].reset_index(drop=True),
        several,
        keys,
        differ,
    )


def equal(pairs: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """A row per pair of trials: whether status, steps and all numbers are equal bit for bit.

    Args:
        pairs: of `Matched`.
        a: measurements, a row per `trial` and `step`; numbers that only one side has, and `COSTS`,
            are ignored.
        b: the same.

    Returns:
        `trial_a`, `trial_b`, `equal` and `first`, the first step whose numbers differ; NaN where
        none does, or where only the status or the steps do.
    """
    distinct = pairs.drop_duplicates(_BOTH)[[*_BOTH, "status_a", "status_b"]].reset_index(drop=True)
    columns = [name for name in shared_numbers(a, b) if not any(cost in name for cost in COSTS)]
    sides = [
        distinct[[f"trial_{side}"]]
        .assign(_pair=distinct.index)
        .merge(table[["trial", "step", *columns]], left_on=f"trial_{side}", right_on="trial")[
            ["_pair", "step", *columns]
        ]
        for table, side in ((a, "a"), (b, "b"))
    ]
    both = sides[0].merge(
        sides[1], on=["_pair", "step"], how="outer", suffixes=(" a", " b"), indicator=True
    )
    in_both = (both["_merge"] == "both").to_numpy()
    unequal = np.zeros(len(both), bool)
    for name in columns:
        unequal |= ~_same(both[f"{name} a"], both[f"{name} b"])
    wrong = both.assign(_wrong=unequal & in_both, _off=~in_both | unequal)
    off = set(wrong.loc[wrong["_off"], "_pair"])
    first = wrong[wrong["_wrong"]].groupby("_pair")["step"].min()
    same = (distinct["status_a"] == distinct["status_b"]) & ~distinct.index.isin(off)
    return distinct[_BOTH].assign(equal=same, first=first.reindex(distinct.index))


def differences(
    pairs: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, design: Design, *, metrics: Sequence[str]
) -> pd.DataFrame:
    """The differences of B from A, a row per group, compared value and metric.

    Columns: `trials`, `n`, `a`, `b`, `difference` (B - A), `low`, `high`, `p`, `p_holm`, `verdict`
    (`equal`, `higher`, `lower`, `not shown`, `too few`). Trials that are done on both sides are
    compared, each at its own last step. The unit is the repetition: its difference is the mean over
    its pairs, since points of one repetition share classes and data. The interval is
    Student's, p is the exact sign-flip test's, and Holm's family is the compared values of
    one group and metric.
    """
    from htsweep.analysis.significance import holm, least_holm

    done = pairs[(pairs["status_a"] == "done") & (pairs["status_b"] == "done")]
    joined = _with_last(_with_last(done, a, "a", metrics), b, "b", metrics)
    factors = [name for name in design.factors if name in joined] or ["sweep"]
    if factors == ["sweep"]:
        joined = joined.assign(sweep="all")
    rows = [
        {**dict(zip(factors, key, strict=True)), **row}
        for key, inside in joined.groupby(factors, sort=False, dropna=False, observed=True)
        for metric in metrics
        for row in _difference(inside, metric)
    ]
    rows_found = pd.DataFrame(
        rows,
        columns=[
            *factors,
            "metric",
            "trials",
            "n",
            "a",
            "b",
            "difference",
            "low",
            "high",
            "p",
            "unchanged",
        ],
    )
    families = rows_found.groupby(
        [*(name for name in design.groups if name in rows_found), "metric"],
        sort=False,
        dropna=False,
    )
    rows_found["p_holm"] = families["p"].transform(lambda p: holm(p.to_numpy(float)))
    least = families["n"].transform(lambda n: least_holm(n.to_numpy()))
    rows_found["verdict"] = [
        _verdict(row, limit)
        for row, limit in zip(rows_found.to_dict("records"), least, strict=True)
    ]
    return rows_found.drop(columns="unchanged")


def shared_numbers(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """The measured columns (numbers and curves) that both tables have, in A's order."""
    return [
        str(name)
        for name in a.columns
        if name in b.columns and name not in ("trial", "step", "record")
    ]


def _difference(inside: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """The row of one metric; none where no pair has it on both sides."""
    from htsweep.analysis.interval import interval_of
    from htsweep.analysis.significance import sign_flip

    known = inside[inside[f"{metric} a"].notna() & inside[f"{metric} b"].notna()]
    if known.empty:
        return []
    units = known.groupby("repetition")[[f"{metric} a", f"{metric} b"]].mean()
    change = known[f"{metric} b"] - known[f"{metric} a"]
    by_unit = change.groupby(known["repetition"]).mean().to_numpy()
    low, high = interval_of(by_unit)
    return [
        {
            "metric": metric,
            "trials": len(known),
            "n": len(units),
            "a": units[f"{metric} a"].mean(),
            "b": units[f"{metric} b"].mean(),
            "difference": by_unit.mean(),
            "low": low,
            "high": high,
            "p": sign_flip(by_unit),
            "unchanged": bool((change == 0).all()),
        }
    ]


def _verdict(row: Mapping[Hashable, Any], least: float) -> str:
    from htsweep.analysis.significance import verdict

    if row["unchanged"]:
        return "equal"
    answer = verdict(row["p_holm"], row["low"], row["high"], least)
    return {"better": "higher", "worse": "lower"}.get(answer, answer)


def _with_last(
    pairs: pd.DataFrame, measured: pd.DataFrame, side: str, metrics: Sequence[str]
) -> pd.DataFrame:
    """The pairs with each metric M of one side's trial at its last step, as `M side`."""
    last = measured.loc[measured.groupby("trial", sort=False)["step"].idxmax(), ["trial", *metrics]]
    return pairs.merge(
        last.rename(
            columns={"trial": f"trial_{side}", **{name: f"{name} {side}" for name in metrics}}
        ),
        on=f"trial_{side}",
    )


def _joined(left: pd.DataFrame, right: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """The rows of both tables that agree in `on`; those that match several others are left out."""
    unique_rows = [table[~table.duplicated(on, keep=False)] for table in (left, right)]
    few = unique_rows[1][[*on, "trial", "status"]]
    return unique_rows[0].merge(few, on=on, suffixes=("_a", "_b"))


def _described(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The table with `_key`, by which a trial is matched, and `_trial`, its id.

    A trial that appears several times with the same key is kept once.
    """
    descriptions = [
        tuple(map(_plain, values))
        for values in zip(table["repetition"], *(table[name] for name in keys), strict=True)
    ]
    key = pd.Series(descriptions, index=table.index, dtype=object)
    described = table[["trial", "repetition", "status", *keys]].assign(
        _key=key, _trial=table["trial"]
    )
    return described.drop_duplicates(["trial", "_key"])


def _distinct(table: pd.DataFrame, name: str) -> tuple[Any, ...]:
    return (
        tuple(value for value in dict.fromkeys(table[name]) if not _absent(value))
        if name in table
        else ()
    )


def _plain(value: Any) -> Hashable:
    """A value as it is matched: 1 and 1.0 are equal, missing values are None."""
    if _absent(value):
        return None
    return (
        float(value)
        if isinstance(value, int | float | np.number) and not isinstance(value, bool)
        else str(value)
    )


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _same(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Where both columns hold the same numbers or curves, or where both lack them."""
    if left.dtype == object or right.dtype == object:
        return np.array([_alike(x, y) for x, y in zip(left, right, strict=True)], bool)
    first, other = left.to_numpy(), right.to_numpy()
    same: np.ndarray = (first == other) | (pd.isna(first) & pd.isna(other))
    return same


def _alike(first: Any, other: Any) -> bool:
    if isinstance(first, list | np.ndarray) and isinstance(other, list | np.ndarray):
        return np.array_equal(np.asarray(first, float), np.asarray(other, float), equal_nan=True)
    return bool(_absent(first) and _absent(other)) or (
        not _absent(first) and not _absent(other) and bool(first == other)
    )
