"""The result of each sweep after selection: means over repetitions, and aggregates over groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, competitors, roles_by
from htsweep.analysis.interval import LEVEL, means, stacked

_TRIMMED = 0.25
"""Share of the runs that the interquartile mean leaves out at either end (Agarwal et al., NeurIPS
2021).
"""
_DIGITS = 12
_DRAWS = 2000
_AGGREGATE = ("groups", "n", "mean", "mean low", "mean high", "iqm", "iqm low", "iqm high")

METRICS: Mapping[str, str] = {
    "test/seen_accuracy": "seen",
    "test/missing_accuracy": "missing",
    "test/overall_accuracy": "overall",
    "test/harmonic_mean": "harmonic mean",
    "test/ausuc": "AUSUC",
}
"""The metrics of the summary, each with its short title; all are fractions in [0, 1]."""


def metrics_of(columns: Iterable[str]) -> list[str]:
    """The metrics to summarise of tables with these `columns`.

    Those of `METRICS`, else all under `test/`, else all with a `/` in their name.
    """
    present = [str(name) for name in columns]
    tested = [name for name in present if name.startswith("test/")]
    return (
        [name for name in METRICS if name in present]
        or tested
        or [name for name in present if "/" in name]
    )


def summarise(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str] | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per sweep and metric: its mean over repetitions with the interval.

    Columns: the factors, `sweep`, `point`, `step`, `metric`, `n`, `mean`, `low`, `high` (of the
    mean, by `interval.student`), `iqm` (the interquartile mean of the repetitions) and `role`
    (`source`, `bound` or empty).

    Args:
        chosen: what `selection.choose` returns.
        design: which columns are the factors.
        metrics: the columns to summarise; those that hold no numbers are left out. None: what
            `metrics_of` says.
        level: of the intervals.
    """
    numeric = _numeric(chosen, metrics)
    keys = list(dict.fromkeys([*design.factors, "sweep", "point", "step"]))
    wide = means(chosen, keys, numeric, level)
    cell = chosen.groupby(keys, sort=False, observed=True, dropna=False).ngroup().to_numpy()
    middle = np.full((len(numeric), len(wide)), np.nan)
    for row, name in zip(middle, numeric, strict=True):
        for which, runs in stacked(chosen[name].to_numpy(float), cell):
            row[which] = _middle(runs).round(_DIGITS)
    parts = [
        wide[keys].assign(
            metric=name,
            n=wide[f"{name} n"],
            mean=wide[name],
            low=wide[f"{name} low"],
            high=wide[f"{name} high"],
            iqm=iqm_of,
        )
        for name, iqm_of in zip(numeric, middle, strict=True)
    ]
    if not parts:
        parts = [wide[keys].assign(metric="", n=0, mean=0.0, low=0.0, high=0.0, iqm=0.0).iloc[:0]]
    table = pd.concat(parts, ignore_index=True)
    role = table[["sweep", "point"]].merge(
        roles_by(chosen, ["sweep", "point"]), on=["sweep", "point"], how="left"
    )["role"]
    return table.assign(role=role.fillna("").to_numpy())


def aggregate(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str] | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per compared value and metric: the mean and the IQM over all groups and repetitions.

    As rliable aggregates over tasks and runs. Columns: the compared factor, `metric`, `groups`, `n`
    runs in all, `mean` and `iqm` (the mean of the middle half of the runs) with the ends of their
    stratified percentile bootstrap intervals (`mean low`, `iqm high`, ...): runs are drawn within
    each group (Agarwal et al., NeurIPS 2021; fixed seed). If a group has only one run, which has no
    spread to draw from, the ends are NaN, since the interval would hide that. For a value that is
    an upper bound in some groups only, just the other groups count. These numbers cannot compare
    values that are not in the same groups.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns make a group, and which is compared.
        metrics: the columns to aggregate; those that hold no numbers are left out. None: what
            `metrics_of` says.
        level: of the intervals.
    """
    rows = []
    competing = competitors(chosen, [design.compared])
    for name in _numeric(chosen, metrics):
        known = competing[competing[name].notna()]
        for value, inside in known.groupby(
            design.compared, sort=False, observed=True, dropna=False
        ):
            strata = (
                [inside]
                if not design.groups
                else [
                    stratum
                    for _, stratum in inside.groupby(
                        list(design.groups), sort=False, observed=True, dropna=False
                    )
                ]
            )
            # Sorted, neither the order of runs nor that of groups matters to what is drawn.
            runs = sorted(
                (np.sort(stratum[name].to_numpy(float)) for stratum in strata),
                key=lambda of: (len(of), *of),
            )
            rows.append((value, name, *_stratified(runs, level)))
    return pd.DataFrame(rows, columns=[design.compared, "metric", *_AGGREGATE])


def iqm(values: np.ndarray) -> float:
    """The mean without the lowest and the highest quarter of the values, both rounded down."""
    return float(_middle(np.asarray(values, float)))


def _numeric(chosen: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    wanted = metrics if metrics is not None else metrics_of(chosen.columns)
    return [
        name
        for name in wanted
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]


def _middle(values: np.ndarray) -> np.ndarray:
    """The interquartile means along the last axis, as scipy.stats.trim_mean computes them."""
    cut = int(_TRIMMED * values.shape[-1])
    kept: np.ndarray = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return kept


def _stratified(runs: Sequence[np.ndarray], level: float) -> tuple[float, ...]:
    """The numbers of `aggregate` from each group's runs."""
    every = np.concatenate(runs)
    numbers = [float(every.mean()), float(_middle(every))]
    ends = np.full((2, 2), np.nan)
    if min(map(len, runs)) > 1:
        random = np.random.default_rng(0)
        drawn = np.concatenate(
            [run[random.integers(0, len(run), (_DRAWS, len(run)))] for run in runs], axis=1
        )
        ends = np.quantile(
            [drawn.mean(axis=1), _middle(drawn)], [(1 - level) / 2, (1 + level) / 2], axis=1
        ).T
    mean, middle = ([number, *pair] for number, pair in zip(numbers, ends.tolist(), strict=True))
    return len(runs), len(every), *np.round([*mean, *middle], _DIGITS).tolist()
