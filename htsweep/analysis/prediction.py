"""How well the scores computed before training predicted what trials then achieved.

A pair is a source model and target data; `factors` are the columns that tell pairs apart. Scores
come as one row per measurement of a trial that scores: factors, `target` (pairs of one target have
comparable scores), `pair`, `score`, `repetition`, `value` (higher predicts better), `seconds`,
`kept`, and the score's own numbers (such as the terms of a bound).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis import correlation
from htsweep.analysis.design import Design, competitors
from htsweep.analysis.interval import means

POOLED, WITHIN = "", "within targets"
"""Values of `target` in the table of correlations: all pairs together, and only pairs of the same
target compared, summed over targets.
"""
ALL = "all"
"""Value of the compared factor where it tells pairs apart itself, so that there is nothing to
compare within a pair.
"""
Combined = Mapping[str, Sequence[str]]
"""Score that is fitted -> the scores that it is made of, as the scoring task declares them."""
BOUNDS = (
    "reweighted_source_loss",
    "conditional_entropy",
    "lipschitz",
    "wasserstein",
    "distribution",
    "bound",
    "tighter_bound",
    "target_loss",
    "target_accuracy",
)
_ENDS = [f"{name}{end}" for name in correlation.NAMES for end in ("", " low", " high")]


def transferability(scored: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """One row per pair and score: its mean value over repetitions, and its rank within the target.

    Columns: the factors, `target`, `pair`, `score`, `n`, `value`, `low`, `high`, `rank`, `kept`,
    `seconds`. Rank 1 has the highest value; equal values share the rank. A score that is not finite
    counts as missing.
    """
    keys = [*factors, "target", "pair", "score"]
    columns = [*keys, "n", "value", "low", "high", "rank", "kept", "seconds"]
    if scored.empty:
        return pd.DataFrame(columns=columns)
    known = scored.assign(value=scored["value"].where(np.isfinite(scored["value"].astype(float))))
    averages = means(known, keys, ["value", "seconds"])
    kept = known.groupby("pair", sort=False, observed=True)["kept"].any()
    return averages.assign(
        n=averages["value n"],
        low=averages["value low"],
        high=averages["value high"],
        kept=averages["pair"].map(kept).astype(bool),
        rank=averages.groupby(["target", "score"], sort=False, observed=True)["value"].rank(
            ascending=False, method="min"
        ),
    )[columns]


def outcomes(
    measured: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    *,
    factors: Sequence[str],
    protocol: str,
    repetitions: int | None = None,
) -> pd.DataFrame:
    """What the trials of each pair achieved, a row per compared value, metric and repetition.

    Columns: `pair`, the compared factor, `metric`, `repetition`, `value`. The values are those of
    the point and step that `protocol` picks in each sweep. Where a pair has several sweeps of one
    compared value (they vary a factor that is not the pair's, such as the steps), it is their mean,
    and a pair that lacks one of them has no rows.

    Args:
        measured: one row per measurement with its `pair`, of all the pairs that have trials,
            dropped ones too.
        design: which columns are the factors, and which is compared.
        metrics: the columns to report.
        factors: the columns that tell pairs apart.
        protocol: picks the point and step.
        repetitions: how many a point has when it is whole.
    """
    compared = design.compared
    columns = ["pair", compared, "metric", "repetition", "value"]
    if measured.empty:
        return pd.DataFrame(columns=columns)
    chosen = selection.choose(measured, protocol, repetitions)
    known = [
        name
        for name in metrics
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]
    named = chosen[chosen["pair"].notna()]
    if named.empty or not known:
        return pd.DataFrame(columns=columns)
    named = named.assign(**{compared: ALL}) if compared in factors else named
    # Where a pair has other sweeps too, an upper bound says nothing about how it transfers.
    named = competitors(named, [compared])
    rest = [name for name in design.groups if name not in factors]
    cell = pd.Series([str(row) for row in named[rest].to_numpy(object).tolist()], index=named.index)
    expected = cell.groupby(named[compared], observed=True, dropna=False).transform("nunique")
    complete = cell.groupby(
        [named["pair"], named[compared]], observed=True, dropna=False
    ).transform("nunique")
    long = named[complete == expected][["pair", compared, "repetition", *known]].melt(
        ["pair", compared, "repetition"], known, var_name="metric", value_name="value"
    )
    return (
        long.groupby(
            ["pair", compared, "metric", "repetition"], sort=False, observed=True, dropna=False
        )["value"]
        .mean()
        .reset_index()[columns]
    )


def predicted(
    scores: pd.DataFrame,
    achieved: pd.DataFrame,
    design: Design,
    factors: Sequence[str],
    *,
    combined: Combined | None = None,
) -> pd.DataFrame:
    """Scores beside outcomes: one row per pair, score, compared value and metric with both known.

    Columns: the pair's factors, `target`, `pair`, `score`, `value`, the compared factor, `metric`,
    `n`, `mean`, `low`, `high`, `fitted`. A score of `combined` has rows where all its members have,
    with `fitted` true, since its value depends on the compared value and the metric (see `fitted`).
    """
    keys = [*factors, "target", "pair"]
    own = [design.compared] if design.compared not in factors else []
    columns = [*keys, "score", "value", *own, "metric", "n", "mean", "low", "high", "fitted"]
    if scores.empty or achieved.empty:
        return pd.DataFrame(columns=columns)
    outcome = means(achieved, ["pair", design.compared, "metric"], ["value"]).rename(
        columns={"value": "mean", "value low": "low", "value high": "high", "value n": "n"}
    )
    outcome = outcome if own else outcome.drop(columns=design.compared)
    pairs = scores[[*keys, "score", "value"]].merge(outcome[outcome["n"] > 0], on="pair")
    pairs = pairs.assign(fitted=False)
    made = [
        fitted(pairs, [*own, "metric"], name, parts) for name, parts in (combined or {}).items()
    ]
    pairs = pd.concat([pairs, *made], ignore_index=True)
    return pairs[pairs["value"].notna()].reset_index(drop=True)[columns]


def fitted(
    found: pd.DataFrame, by: Sequence[str], name: str, members: Sequence[str]
) -> pd.DataFrame:
    """The rows of a combined score, fitted by least squares to the outcomes of the other targets.

    For two scores W and CE: outcome = a W + b CE + c (OTCE: Tan, Li and Huang, CVPR 2021, section
    3.3). Each target is left out in turn, so that no pair is predicted from its own target's
    outcomes. There are no rows where the other targets have fewer than `correlation.FEWEST` pairs,
    or where these do not determine the weights.

    Args:
        found: rows of `predicted`.
        by: a fit for each value of these columns.
        name: of the combination.
        members: the scores that are combined.
    """
    parts = []
    groups = found[found["score"].isin(members)].groupby(
        list(by), sort=False, observed=True, dropna=False
    )
    for _, inside in groups:
        values = inside.pivot(index="pair", columns="score", values="value")
        if not set(members) <= set(values.columns):
            continue
        first = inside[inside["score"] == members[0]].set_index("pair")
        known = values[list(members)].reindex(first.index).dropna()
        first = first.loc[known.index]
        inputs = np.column_stack([known.to_numpy(float), np.ones(len(known))])
        outcome, target = first["mean"].to_numpy(float), first["target"].to_numpy()
        for left_out in dict.fromkeys(target):
            others = target != left_out
            if others.sum() < correlation.FEWEST:
                continue
            weights, _, rank, _ = np.linalg.lstsq(inputs[others], outcome[others])
            if rank == inputs.shape[1]:
                mine = first[~others].reset_index()
                value = inputs[~others] @ weights
                parts.append(mine.assign(score=name, value=value, fitted=True))
    return pd.concat(parts, ignore_index=True)[list(found.columns)] if parts else found.iloc[:0]


def predictions(found: pd.DataFrame, design: Design, factors: Sequence[str]) -> pd.DataFrame:
    """How each score correlates with each outcome: a row per score, compared value, metric, target.

    Columns: `pairs`, each statistic of `correlation.NAMES` with its interval, and `why` there is
    none. Intervals are over sources and targets, each drawn by itself: pairs that share a source
    model (the values of the factors that vary among pairs of one target) or a target are not
    independent. `target` is empty for all pairs pooled (scores of different targets need not be
    comparable, so this correlation may be about the targets); with several targets there are rows
    of each, and of `within targets`, where only pairs of the same target are compared.

    Args:
        found: what `predicted` returns.
        design: which factor is compared.
        factors: the columns that tell pairs apart.
    """
    compared = design.compared
    named = found.assign(**{compared: ALL}) if compared in factors else found
    named = named.assign(_source=_sources(named, factors)) if len(named) else named
    rows = (
        [row for view in _views(named) for row in _correlations(*view, compared)]
        if len(named)
        else []
    )
    return pd.DataFrame(
        rows, columns=["score", compared, "metric", "target", "pairs", *_ENDS, "why"]
    )


def _sources(found: pd.DataFrame, factors: Sequence[str]) -> pd.Series:
    """A number per row for the source model: the factors that vary among pairs of one target."""
    own = [
        name
        for name in factors
        if (found.groupby("target", observed=True)[name].nunique(dropna=False) > 1).any()
    ]
    if not own:
        return pd.Series(0, index=found.index)
    return found.groupby(own, sort=False, observed=True, dropna=False).ngroup()


def bounds(scored: pd.DataFrame, factors: Sequence[str], prefix: str) -> pd.DataFrame:
    """Task Transfer Analysis: one row per pair and score with a bound, the mean of each term.

    Columns: factors, `target`, `pair`, `score`, `n`, the columns of `BOUNDS` (NaN where not
    measured) and what else is measured under `prefix`. Means are over repetitions; `distribution`
    is the mean of lipschitz x wasserstein.

    `prefix` is the prefix of the terms' columns, as the scoring task declares it; empty: there are
    none.
    """
    keys = [*factors, "target", "pair", "score"]
    terms = [str(name) for name in scored.columns if prefix and str(name).startswith(prefix)]
    others = [
        name.removeprefix(prefix) for name in terms if name.removeprefix(prefix) not in BOUNDS
    ]
    columns = [*keys, "n", *BOUNDS, *others]
    if f"{prefix}bound" not in terms:
        return pd.DataFrame(columns=columns)
    bounded = scored[scored[f"{prefix}bound"].notna()]
    named = bounded[keys].assign(
        **{name.removeprefix(prefix): bounded[name].astype(float) for name in terms}
    )
    if {"lipschitz", "wasserstein"} <= set(named.columns):
        named = named.assign(distribution=named["lipschitz"] * named["wasserstein"])
    grouped = named.groupby(keys, sort=False, observed=True, dropna=False)
    return grouped.mean().assign(n=grouped.size()).reset_index().reindex(columns=columns)


def _correlations(
    target: str, rows_of_view: pd.DataFrame, block: pd.Series, compared: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of `predictions` of one view; each `Side` is computed once."""
    sides: dict[tuple[bytes, bytes, correlation.Clusters], correlation.Side] = {}
    ends = np.stack([rows_of_view["_source"], pd.factorize(rows_of_view["target"])[0]])

    def side(
        values: np.ndarray, of: np.ndarray, clusters: correlation.Clusters
    ) -> correlation.Side:
        name = (values.tobytes(), of.tobytes(), clusters)
        if name not in sides:
            sides[name] = correlation.side(values, of, clusters)
        return sides[name]

    every = [
        rows_of_view["value"].to_numpy(float),
        rows_of_view["mean"].to_numpy(float),
        block.to_numpy(),
    ]
    keys = ["score", compared, "metric"]
    number = rows_of_view.groupby(keys, sort=False, observed=True, dropna=False).ngroup().to_numpy()
    places = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    for key, rows in zip(
        rows_of_view[keys].drop_duplicates().itertuples(index=False), places, strict=True
    ):
        score, achieved, of = (values[rows] for values in every)
        why = correlation.why_not(score, achieved, of)
        clusters = tuple(tuple(numbers) for numbers in ends[:, rows].tolist())
        statistics = (
            dict.fromkeys(_ENDS, np.nan)
            if why
            else correlation.correlate(side(score, of, clusters), side(achieved, of, clusters))
        )
        yield *key, target, len(rows), *(statistics[name] for name in _ENDS), why


def _views(predictions_made: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.Series]]:
    """(value of `target`, its rows, each row's block); only pairs of one block are compared."""
    nothing = pd.Series(0, index=predictions_made.index)
    yield POOLED, predictions_made, nothing
    if predictions_made["target"].nunique() > 1:
        yield (
            WITHIN,
            predictions_made,
            pd.Series(pd.factorize(predictions_made["target"])[0], index=predictions_made.index),
        )
        for target, inside in predictions_made.groupby("target", sort=False, observed=True):
            yield str(target), inside, nothing
