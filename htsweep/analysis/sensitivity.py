"""How much a parameter matters to a metric: the metric's mean at each of its values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import codes, rows_at
from htsweep.analysis.interval import LEVEL, means

VALUES = 16
"""Up to this many values of a parameter are shown; more (of a random search) are put into bins."""
BINS = 10
_COLUMNS = ["parameter", "value", "metric", "n", "mean", "low", "high"]


def sensitivity(
    measurements: pd.DataFrame,
    design: Design,
    parameters: Sequence[str],
    metrics: Sequence[str],
    *,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group, compared value, parameter, value and metric: the metric's mean there.

    `mean` is the mean over repetitions of the mean, in each repetition, over all points that have
    the value: marginal over the other parameters, as far as the search balances them. `n` counts
    repetitions, `low` and `high` are the mean's interval. Points count where every repetition is
    done, at their last step or the choice's. Parameters that are not numbers, or have one value,
    have no rows. More than `VALUES` values are put into `BINS` bins of equally many values, and
    `value` is the bin's mean (geometric where the values span two decades).

    Args:
        measurements: one row per measurement (docs/contracts.md).
        design: which columns are the factors.
        parameters: the searched ones.
        metrics: columns to average.
        choice: (sweep, point, step) of a protocol: these points at these steps, all others at their
            last.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        level: of the intervals.
    """
    present = [
        name
        for name in metrics
        if name in measurements.columns and pd.api.types.is_numeric_dtype(measurements[name])
    ]
    known = [
        name
        for name in parameters
        if name in measurements.columns
        and name not in design.factors
        and pd.api.types.is_numeric_dtype(measurements[name])
        and not pd.api.types.is_bool_dtype(measurements[name])
    ]
    parts = list(
        _tables(
            measurements,
            design,
            known,
            present,
            choice=choice,
            repetitions=repetitions,
            level=level,
        )
    )
    columns = [*design.factors, *_COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def spans_decades(values: np.ndarray) -> bool:
    """Whether values are positive and span a factor of 100 or more, so that a log axis fits."""
    return bool(len(values)) and bool(values.min() > 0) and bool(values.max() >= 100 * values.min())


def _tables(
    measurements: pd.DataFrame,
    design: Design,
    parameters: Sequence[str],
    metrics: Sequence[str],
    *,
    choice: pd.DataFrame | None,
    repetitions: int | None,
    level: float,
) -> Iterator[pd.DataFrame]:
    """A table for each parameter and metric that has rows."""
    for metric in metrics if parameters else ():
        rows = rows_at(measurements, [metric], choice, repetitions)
        cell = codes(rows, design.factors)
        for parameter in parameters:
            varied = rows[
                rows[parameter].notna() & (rows.groupby(cell)[parameter].transform("nunique") > 1)
            ]
            if varied.empty:
                continue
            inside = codes(varied, design.factors)
            # By group and method: what one searches must not move the bins of another.
            value = varied.groupby(inside)[parameter].transform(
                lambda column: _binned(column.to_numpy(float))
            )
            keys = [*design.factors, "value"]
            once = (
                varied.assign(value=value)
                .groupby([*keys, "repetition"], observed=True, dropna=False)[metric]
                .mean()
            )
            averages = means(
                once.reset_index().sort_values(keys, kind="stable"), keys, [metric], level
            )
            # Groups and methods in the order of the measurements, values ascending.
            order = varied[design.factors].drop_duplicates().reset_index(drop=True)
            averages = (
                order.merge(averages, on=design.factors, how="left") if design.factors else averages
            )
            yield averages.assign(
                parameter=parameter,
                metric=metric,
                n=averages[f"{metric} n"],
                mean=averages[metric],
                low=averages[f"{metric} low"],
                high=averages[f"{metric} high"],
            )


def _binned(values: np.ndarray) -> np.ndarray:
    """Each number, or the mean of its bin where there are more than `VALUES` different ones."""
    distinct = np.unique(values)
    if len(distinct) <= VALUES:
        return values
    log = spans_decades(distinct)
    scale = np.log(distinct) if log else distinct
    middles = np.concatenate(
        [np.full(len(part), part.mean()) for part in np.array_split(scale, BINS)]
    )
    middles = np.exp(middles) if log else middles
    return middles[np.searchsorted(distinct, values)]
