"""Which searched parameters matter for each objective, by Optuna's PED-ANOVA and fANOVA."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import codes, rows_at
from htsweep.analysis.sensitivity import spans_decades

PED_ANOVA, FANOVA = "PED-ANOVA", "fANOVA"
LEAST = 4
"""With fewer points there are no rows."""
MOST = 200
"""fANOVA is fitted to at most this many points, evenly spaced in rank: its cost grows faster than
their number.
"""
_LEVELS = 16
"""A parameter with at most this many values, each met twice or more on average, is taken for one of
a grid: its levels weigh the same.
"""
_TOP = 5
"""PED-ANOVA's best points are a tenth of all, but at least this many, as Optuna advises, and at
most half.
"""
_TREES, _DEPTH = 16, 6
"""fANOVA's forest: deeper trees cost ten times as much and change the shares by only a percent."""
_COLUMNS = ["objective", "parameter", "evaluator", "importance", "points"]


def importance(
    measurements: pd.DataFrame,
    design: Design,
    parameters: Sequence[str],
    objectives: Sequence[str] | Mapping[str, bool],
    *,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
) -> pd.DataFrame:
    """One row per compared value, objective, parameter and evaluator: `importance` in [0, 1].

    A point is the mean over its repetitions at its last step (or the choice's). The points of all
    groups are pooled, after subtracting each group's mean: no parameter causes the differences
    between datasets.

    `fANOVA` (Hutter et al., ICML 2014): the share of the objective's variance, as a random forest
    models it, that the parameter explains alone; the rest up to 1 is interactions. `PED-ANOVA`
    (Watanabe et al., IJCAI 2023): how much the best tenth of the points, 5 at least and half at
    most, differs from all points in the parameter, as a share of the sum over all parameters. The
    two answer different questions: what matters in the whole space, and what matters for getting
    among the best. Parameters that some points of a method lack, or that have one value, do not
    count; with fewer than two left, fewer than `LEAST` points, or an objective that does not vary,
    there are no rows rather than noise. Seeds are fixed, so that results are reproducible. The
    column `points` is how many points the evaluator was given.

    Args:
        measurements: one row per measurement (docs/contracts.md).
        design: which columns are the factors.
        parameters: the searched ones.
        objectives: columns, or column -> whether more is better; by default it is.
        choice: (sweep, point, step) of a protocol: these points at these steps, all others at their
            last.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
    """
    known = [
        name for name in parameters if name in measurements.columns and name not in design.factors
    ]
    importance_rows: list[dict[str, Any]] = []
    for objective in objectives if len(known) > 1 else ():
        if objective not in measurements.columns or not pd.api.types.is_numeric_dtype(
            measurements[objective]
        ):
            continue
        better = objectives[objective] if isinstance(objectives, Mapping) else True
        points = _points(
            rows_at(measurements, [objective], choice, repetitions), design, known, objective
        )
        for compared, mine in points.groupby(
            design.compared, sort=False, observed=True, dropna=False
        ):
            for evaluator, shares, count in _shares(mine, known, objective, better):
                importance_rows += [
                    {
                        design.compared: compared,
                        "objective": objective,
                        "parameter": name,
                        "evaluator": evaluator,
                        "importance": share,
                        "points": count,
                    }
                    for name, share in shares.items()
                ]
    return pd.DataFrame(importance_rows, columns=[design.compared, *_COLUMNS])


def _points(
    rows: pd.DataFrame, design: Design, parameters: Sequence[str], objective: str
) -> pd.DataFrame:
    """One row per point: factors, parameters, and the objective minus its mean in the group."""
    keys = list(dict.fromkeys(["sweep", "point", *design.factors, *parameters]))
    averages = (
        rows.groupby(keys, sort=False, observed=True, dropna=False)[objective].mean().reset_index()
    )
    middle = averages.groupby(codes(averages, design.factors))[objective].transform("mean")
    # Decimals beyond the twelfth depend on the order of the sum, and would break ties between
    # splits.
    return averages.assign(**{objective: (averages[objective] - middle).round(12)})


def _shares(
    points: pd.DataFrame,
    parameters: Sequence[str],
    objective: str,
    more: bool,
) -> Iterator[tuple[str, dict[str, float], int]]:
    """(evaluator, parameter -> importance, how many points it was given)."""
    names = [
        name for name in parameters if points[name].notna().all() and points[name].nunique() > 1
    ]
    values = points[objective].to_numpy(float)
    # Differences beyond the twelfth decimal are rounding.
    if len(names) < 2 or len(points) < LEAST or np.ptp(values) < 1e-12:
        return
    # Sorted, so that the order in which trials ended changes nothing.
    ranked = points.sort_values(
        [objective, *names],
        key=lambda column: column if column.name == objective else column.map(str),
        kind="stable",
    )
    columns = {name: _dimension(ranked[name]) for name in names}
    values = ranked[objective].to_numpy(float)
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    with _quiet():
        top = min(0.5, max(0.1, _TOP / len(values)))
        ped = PedAnovaImportanceEvaluator(target_quantile=top).evaluate(
            _study(columns, values, more)
        )
        total = sum(ped.values())
        if total > 0:
            yield PED_ANOVA, {name: ped[name] / total for name in names}, len(values)
        kept = np.unique(
            np.linspace(0, len(values) - 1, min(MOST, len(values))).round().astype(int)
        )
        fewer = {name: (kind, encoded[kept]) for name, (kind, encoded) in columns.items()}
        forest = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=0).evaluate(
            _study(fewer, values[kept], more)
        )
        yield FANOVA, {name: float(forest[name]) for name in names}, len(kept)


def _dimension(column: pd.Series) -> tuple[Any, np.ndarray]:
    """A parameter's distribution, inferred from its values, and the values encoded for it.

    Both evaluators weigh the space along the axis that they are given, so a parameter that spans
    decades is given as its logarithm, and the levels of a grid as their ranks.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        names, levels = pd.factorize(column.map(str), sort=True)
        return CategoricalDistribution(tuple(levels)), np.asarray(levels, object)[names]
    values = column.to_numpy(float)
    distinct = np.unique(values)
    if len(distinct) <= min(_LEVELS, len(values) // 2):
        return IntDistribution(0, len(distinct) - 1), np.searchsorted(distinct, values)
    scaled = np.log10(values) if spans_decades(distinct) else values
    return FloatDistribution(float(scaled.min()), float(scaled.max())), scaled


def _study(columns: Mapping[str, tuple[Any, np.ndarray]], values: np.ndarray, more: bool) -> Any:
    """An Optuna study in memory that holds the points."""
    import optuna

    study = optuna.create_study(direction="maximize" if more else "minimize")
    distributions = {name: kind for name, (kind, _) in columns.items()}
    lists = {name: encoded.tolist() for name, (_, encoded) in columns.items()}
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: lists[name][place] for name in columns},
                distributions=distributions,
                value=value,
            )
            for place, value in enumerate(values.tolist())
        ]
    )
    return study


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's log and its warnings of new features, and restores its settings."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
