"""What a method changes against a baseline: paired differences, their intervals and verdicts.

Pairs are repetitions of one group: a repetition has the same class split, data order and seeds for
every method, so that what it adds to both cancels in the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, competitors, is_bound
from htsweep.analysis.interval import LEVEL, bca, stacked
from htsweep.planning.power import DRAWS, EXACT, least_p

ALPHA = 0.05
_KEPT = 100
"""The sign patterns of up to this many pairs are cached for the next test: at most 10 MB each."""
_BLOCK = 4_000_000
"""How many signs are multiplied at a time."""
_DIGITS = 12
"""Numbers are rounded to this many decimals: equal sums stay equal in any order of addition."""
_TIE = 1e-9
"""Sums that differ by less, as a share of the sum of absolute differences, count as equal: rounding
must not decide what is as extreme.
"""
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

    Columns: the groups' factors, the compared one, `metric`, `baseline`; `n` pairs (repetitions
    that both have); `difference`, the mean of value - baseline over them, and its BCa interval
    `low`, `high`; `improvement`, the probability that a run of it is above a run of the baseline
    (Agarwal et al., NeurIPS 2021: over all pairs of runs, a tie counts half); `p` of the exact
    two-sided sign-flip test; `p_holm`, corrected for the family; `least_p`, the smallest p that n
    pairs can reach, uncorrected; `verdict`; `wilcoxon`, p of the signed-rank test, exact with ties
    too (zeros dropped); `p_new_images`, p of the corrected resampled test (`resampled`), where the
    share of tested images is known. The baseline itself has no row.

    Repetitions split the same images anew, so that all but `p_new_images` are conditional on these
    images: they say what other splits and seeds of them would give.

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
    shares = _tested(chosen, design, tested)
    for group, runs, bounds in _groups(chosen, design, metrics):
        for metric in runs.columns:
            shared = {**group, "metric": metric, "baseline": baseline}
            shared["tested"] = shares.get(tuple(group.values()), float("nan"))
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
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group and metric: the second highest value's differences from the highest.

    `baseline` is the value with the highest mean over its repetitions, and the compared value the
    one with the next; upper bounds take no part. The family of `p_holm` is all rivals of the
    highest, since any of them could have come second. Columns and arguments are otherwise as in
    `effects`; a group of one value has no row.
    """
    families, places = [], []
    for group, runs, bounds in _groups(chosen, design, metrics):
        for metric in runs.columns:
            table = _wide(runs[metric])
            table = table.drop(columns=[name for name in table.columns if name in bounds])
            order = table.mean().sort_values(ascending=False, kind="stable").index
            if len(order) < 2:
                continue
            shared = {**group, "metric": metric, "baseline": str(order[0])}
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
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per compared value and metric: its paired differences over all groups.

    `groups` is how many groups count. The unit is the repetition: its difference is the mean over
    the groups. Groups share a repetition's seeds, and datasets its class splits, so that
    differences of one repetition are not independent evidence; those of different repetitions are.
    What is shown holds for these groups, not for others (for that, `ranks`). Every group that has a
    pair counts, and a repetition that lacks one of them does not, so that no dataset weighs more in
    one repetition than in another. `improvement` is the mean over groups, as rliable defines it
    over tasks. A family is all compared values of a metric. Everything else, columns and arguments
    included, is as in `effects`.
    """
    by_group = list(_groups(chosen, design, metrics))
    families = []
    for metric in dict.fromkeys(name for _, runs, _ in by_group for name in runs.columns):
        rows = [
            row
            for _, runs, bounds in by_group
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


def sign_flip(differences: np.ndarray) -> float:
    """The two-sided p of the paired sign-flip (permutation) test that the mean difference is 0.

    It is the share of sign patterns whose sum is at least as far from 0 (Fisher 1935, section 21):
    of all 2^n up to 16 differences, beyond that of 99,999 random ones and the given one (fixed
    seed). NaNs do not count. No differences, or infinite ones, give NaN; only zeros give 1.
    """
    sizes = np.asarray(differences, float)
    sizes = sizes[~np.isnan(sizes)]
    if len(sizes) == 0 or not np.isfinite(np.abs(sizes).sum()):
        return float("nan")
    seen, total = abs(sizes.sum()), np.abs(sizes).sum()
    # The sums are the same whatever signs the differences have: sorted by size, neither order nor
    # direction matters.
    ordered, extreme = np.sort(np.abs(sizes)), 0
    for signs in _blocks(len(sizes)):
        extreme += int((np.abs(signs @ ordered) >= seen - _TIE * total).sum())
    return extreme / 2 ** (len(sizes) - 1) if len(sizes) <= EXACT else (extreme + 1) / (DRAWS + 1)


def signed_rank(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed-rank test (1945), zeros dropped; NaNs do not count.

    It is the sign-flip test of the signed ranks, and thus exact with ties too, unlike the tables of
    scipy.
    """
    known = np.asarray(differences, float)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return float("nan")
    known = known[known != 0]
    sizes = np.abs(known)
    # Ties share the mean of their ranks (scipy's rankdata, at a tenth of its cost for so few
    # numbers).
    rank = ((sizes[:, None] > sizes).sum(axis=1) + (sizes[:, None] >= sizes).sum(axis=1) + 1) / 2
    return sign_flip(np.sign(known) * rank) if len(known) else 1.0


def resampled(differences: np.ndarray, tested: float) -> float:
    """The two-sided p of the corrected resampled t test (Nadeau and Bengio, Machine Learning 2003).

    Repetitions that draw their test images from one pool overlap, so that the variance of their
    mean is about (1/n + tested / (1 - tested)) times that of one, not 1/n: t is compared with
    Student's distribution of n - 1 degrees of freedom. The question is about new images of the same
    kind. NaN for fewer than two differences, and unless the share is above 0 and below 1.

    Args:
        differences: one per repetition; NaNs do not count.
        tested: the share of the pool that a repetition tests.
    """
    known = np.asarray(differences, float)
    known = known[~np.isnan(known)]
    if len(known) < 2 or not 0 < tested < 1 or not np.isfinite(known).all():
        return float("nan")
    variance = (1 / len(known) + tested / (1 - tested)) * known.var(ddof=1)
    if variance == 0:
        return 1.0 if known.mean() == 0 else 0.0
    from scipy import stats

    return float(2 * stats.t.sf(abs(known.mean()) / np.sqrt(variance), len(known) - 1))


def holm(p: np.ndarray) -> np.ndarray:
    """The p-values of one family, adjusted by Holm's method (1979); NaNs take no part.

    An adjusted p bounds the probability of any false claim in the family.
    """
    # statsmodels' multipletests does the same, but runs the garbage collector at each call: half a
    # minute for a large study.
    adjusted = np.array(p, float)
    order = np.argsort(adjusted, kind="stable")[
        : int((~np.isnan(adjusted)).sum())
    ]  # NaNs sort last
    step = np.arange(len(order), 0, -1) * adjusted[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(step), 1.0)
    return adjusted


def verdict(p_holm: float, low: float, high: float, least: float, *, alpha: float = ALPHA) -> str:
    """What may be said of a difference: `better`, `worse`, `not shown` or `too few` pairs.

    Args:
        p_holm: its p after Holm's correction.
        low: lower end of its interval.
        high: upper end.
        least: the smallest p_holm that was possible (`least_holm`); if it is not below `alpha`,
            nothing can be shown.
        alpha: the level that p_holm must be below.
    """
    if not least < alpha:
        return "too few"
    if p_holm < alpha and (low > 0 or high < 0):
        return "better" if low > 0 else "worse"
    return "not shown"


def least_holm(counts: np.ndarray) -> np.ndarray:
    """The smallest adjusted p that each test of a family can reach with its `counts` of pairs.

    NaN where there is no pair. An adjusted p rises with every p of the family, so it is least where
    all tests are at their least: with as many pairs for all, `least_p` times the family's size.
    """
    return holm(np.array([least_p(int(count)) if count > 0 else np.nan for count in counts]))


def _tested(
    chosen: pd.DataFrame, design: Design, tested: pd.Series | None
) -> dict[tuple[Any, ...], float]:
    """Group -> the share of its target's images that a repetition tests, where it is one share."""
    if tested is None or chosen.empty or "sweep" not in chosen:
        return {}
    shares = chosen[[*design.groups]].assign(_share=chosen["sweep"].map(tested).to_numpy(float))
    if not design.groups:
        found = shares["_share"].unique()
        return {(): float(found[0])} if len(found) == 1 else {}
    keys = list(design.groups)
    grouped = shares.groupby(keys, sort=False, observed=True, dropna=False)["_share"]
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
    paired = [change for row in rows if (change := row["differences"].dropna()).size]
    # Repetitions that are not in every group drop out with the NaN that alignment leaves.
    change = (
        pd.concat(paired, axis=1).mean(axis=1, skipna=False) if paired else pd.Series(dtype=float)
    )
    return {
        "groups": len(paired),
        "differences": change,
        "improvement": float(np.mean([row["improvement"] for row in rows])),
        "bound": all(row["bound"] for row in rows),
    }


def _judged(families: list[list[dict[str, Any]]], level: float) -> list[dict[str, Any]]:
    """All rows with their statistics, and with `p_holm` and `verdict` within their family."""
    rows = [row for family in families for row in family]
    _test(rows, level)
    for family in families:
        bound = np.array([row["bound"] for row in family], bool)
        adjusted = holm(
            np.array(
                [np.nan if out else row["p"] for row, out in zip(family, bound, strict=True)], float
            )
        )
        least = least_holm(
            np.array([0 if out else row["n"] for row, out in zip(family, bound, strict=True)], int)
        )
        for row, out, p, reachable in zip(family, bound, adjusted, least, strict=True):
            row["p_holm"] = p
            row["verdict"] = "bound" if out else verdict(p, row["low"], row["high"], reachable)
    return rows


def _test(rows: list[dict[str, Any]], level: float) -> None:
    """Adds to each row the statistics of its own differences; NaNs do not count."""
    known = []
    for row in rows:
        differences = row["differences"].to_numpy(float)
        known.append(np.sort(differences[~np.isnan(differences)]).round(_DIGITS))
    ends = np.full((2, len(rows)), np.nan)
    cell = np.repeat(np.arange(len(rows)), [len(values) for values in known])
    for which, numbers in stacked(np.concatenate([np.array([]), *known]), cell):
        ends[:, which] = bca(numbers, level)
    for row, values, low, high in zip(rows, known, *ends, strict=True):
        mean = round(float(values.mean()), _DIGITS) if len(values) else np.nan
        row.update(
            n=len(values),
            difference=mean,
            low=low,
            high=high,
            p=sign_flip(values),
            least_p=least_p(len(values)),
            wilcoxon=signed_rank(values),
            p_new_images=resampled(values, row.get("tested", float("nan"))),
        )


def _blocks(count: int) -> Iterator[np.ndarray]:
    """Sign patterns (patterns x count), in blocks, since all at once may not fit in memory."""
    rows = max(1, _BLOCK // count)
    if count <= _KEPT:
        kept = _signs(count)
        yield from (kept[start : start + rows].astype(float) for start in range(0, len(kept), rows))
        return
    random = np.random.default_rng(0)
    yield from (_drawn(random, min(rows, DRAWS - start), count) for start in range(0, DRAWS, rows))


@lru_cache(maxsize=4)
def _signs(count: int) -> np.ndarray:
    """Sign patterns (patterns x count): one of each opposite pair; random ones beyond `EXACT`."""
    if count > EXACT:
        return _drawn(np.random.default_rng(0), DRAWS, count).astype(np.int8)
    bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count)
    return np.where(bits & 1, np.int8(-1), np.int8(1))


def _drawn(random: np.random.Generator, rows: int, count: int) -> np.ndarray:
    return random.choice([-1.0, 1.0], size=(rows, count))
