"""How methods rank over independent blocks, and which ranks differ (Demsar, JMLR 7, 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.blocks import FEWEST, Blocks, blocks
from htsweep.analysis.design import Design, is_bound

ALPHA = 0.05
_DIGITS = 12
"""Blocks' values are rounded to this many decimals: equal ones tie in any order of addition."""


def ranks(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    independent: Blocks | None = None,
) -> pd.DataFrame:
    """One row per metric and compared value, best first, with its mean rank over the blocks.

    `rank`: 1 is the highest value, ties share the mean; `blocks`: how many there are; `friedman_p`:
    the p of Friedman's chi-square test (1937) that all have the same rank, rough for few blocks and
    NaN for two values, for which it is not made; `critical_difference`: ranks less than this apart
    do not differ by Nemenyi's test at 5 %.

    A block is a set of groups that share data; its value is the mean over its groups of the mean
    over repetitions. Upper bounds take no part, and neither does a value that some group lacks,
    since ranks among different rivals cannot be compared. Fewer than `blocks.FEWEST` blocks, or
    fewer than two values, give no row: groups that share data are no independent evidence, and so
    few blocks show nothing.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns make a group, and which is compared.
        metrics: the columns to rank by; those that are missing, or hold no numbers, are left out.
        independent: the block of each row of `chosen`; None: what `blocks` finds in its columns.
    """
    numeric = [
        name
        for name in metrics
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]
    block = (independent or blocks(chosen, design)).of
    parts = []
    if design.groups and block is not None:
        competing = chosen.assign(_block=block)[~is_bound(chosen)]
        parts = [
            _ranks(_blocks(competing, design, metric), design.compared, metric)
            for metric in numeric
        ]
    parts = [part for part in parts if len(part)]
    columns = ["metric", design.compared, "rank", "blocks", "friedman_p", "critical_difference"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def critical_difference(count: int, blocks: int, alpha: float = ALPHA) -> float:
    """How far apart the mean ranks of `count` (k) methods over `blocks` (N) must be to differ.

    q sqrt(k (k+1) / (6 N)), where q is the studentized range's quantile over sqrt(2) (Nemenyi 1963;
    Demsar 2006, equation 6 and table 5). NaN for fewer than two methods or no block.
    """
    from scipy.stats import studentized_range

    if count < 2 or blocks < 1:
        return math.nan
    q = float(studentized_range.ppf(1 - alpha, count, math.inf)) / math.sqrt(2)
    return q * math.sqrt(count * (count + 1) / (6 * blocks))


def cliques(ranked: pd.DataFrame, compared: str) -> pd.DataFrame:
    """The bars of the critical difference diagram: a row per metric, clique and member, best first.

    A clique is a maximal set of two or more values that do not differ by Nemenyi's test: the mean
    ranks of its best and its worst member are less than the critical difference apart (Demsar 2006,
    section 3.2.2: two classifiers differ if their ranks differ by at least the critical
    difference). No clique lies inside another; a value may be in several.

    Args:
        ranked: what `ranks` returns.
        compared: the column of the compared values.

    Returns:
        `metric`, `clique` (1, 2, ... within the metric, the best first), the compared value and its
        `rank`.
    """
    parts = []
    for _, rows in ranked.groupby("metric", sort=False):
        ordered = rows.sort_values("rank", kind="stable")
        for number, (first, end) in enumerate(_runs(ordered), 1):
            members = ordered.iloc[first:end]
            parts.append(members[["metric", compared, "rank"]].assign(clique=number))
    columns = ["metric", "clique", compared, "rank"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _runs(ordered: pd.DataFrame) -> list[tuple[int, int]]:
    """First place and end of each maximal run of rows whose ranks do not differ, best first."""
    values = ordered["rank"].to_numpy(float)
    # The first place whose rank is at least the critical difference behind.
    ends = np.searchsorted(
        values, values + float(ordered["critical_difference"].iloc[0]), side="left"
    )
    return [
        (first, int(end))
        for first, end in enumerate(ends)
        if end - first > 1 and (first == 0 or end > ends[first - 1])
    ]


def _blocks(chosen: pd.DataFrame, design: Design, metric: str) -> pd.DataFrame:
    """The metric as blocks x compared values, of the values that all groups have."""
    means = (
        chosen[chosen[metric].notna()]
        .groupby(["_block", *design.factors], sort=False, observed=True, dropna=False)[metric]
        .mean()
    )
    groups: pd.DataFrame = means.astype(float).unstack(sort=False).dropna(axis=1)
    return groups.groupby(level="_block", sort=False).mean().round(_DIGITS)


def _ranks(table: pd.DataFrame, compared: str, metric: str) -> pd.DataFrame:
    size, count = table.shape
    if size < FEWEST or count < 2:
        return pd.DataFrame()
    ranked = table.rank(axis=1, ascending=False)
    mean = ranked.mean().sort_values(kind="stable")
    return pd.DataFrame({compared: mean.index.to_numpy(), "rank": mean.to_numpy(float)}).assign(
        metric=metric,
        blocks=size,
        friedman_p=_friedman(ranked.to_numpy(float)),
        critical_difference=critical_difference(count, size),
    )


def _friedman(ranked: np.ndarray) -> float:
    """Friedman's p of `ranked` (blocks x methods); 1 if all tie, where the statistic is 0/0."""
    from scipy.stats import friedmanchisquare

    if ranked.shape[1] < 3:
        return math.nan
    if np.ptp(ranked) == 0:
        return 1.0
    return float(friedmanchisquare(*ranked.T).pvalue)
