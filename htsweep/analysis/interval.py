"""Means over repetitions with intervals by Student's t.

Of few numbers Student's interval holds the true mean about as often as it says, where the bootstrap
does not (a 95 % BCa interval of three normal numbers holds it in 72 % of samples, of five in 83 %,
of ten in 90 %). By simulation, Student's holds it in 95 % of samples of normal numbers of any size,
in 88 to 93 % of very skewed ones (exponential) and in 96 % of heavy-tailed ones (t with 2 degrees
of freedom): nowhere less often than BCa for up to 20 numbers, and like it for 40
(benchmarks/level.py, `means`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

LEVEL = 0.95
_DIGITS = 12
"""Means are rounded to this many decimals: further ones depend on the order of the sum, so that
equal points would differ.
"""
LARGEST = 1e100
"""Larger numbers have no interval: their squares overflow a float before long."""
_FRACTIONS = ("test/harmonic_mean", "test/ausuc")
"""Metrics that are fractions, besides all accuracies."""


def means(
    rows: pd.DataFrame, keys: Sequence[str], columns: Sequence[str], level: float = LEVEL
) -> pd.DataFrame:
    """One row per value of `keys`, in order of appearance: each column's mean with its interval.

    For a column C there are the mean C, `C low`, `C high` and `C n`. The interval is that of
    `student`, cut off at 0 and 1 for metrics that are fractions; for one repetition, `C low` and
    `C high` are NaN. Repetitions that lack the number do not count.
    """
    grouped = rows.groupby(list(keys), sort=False, observed=True, dropna=False)
    mean, count = grouped[list(columns)].mean(), grouped[list(columns)].count()
    cell = grouped.ngroup().to_numpy()
    summary = pd.DataFrame(index=mean.index)
    for column in columns:
        ends = np.full((2, len(mean)), np.nan)
        for which, numbers in stacked(rows[column].to_numpy(float), cell):
            ends[:, which] = student(numbers, level)
        if is_fraction(column):
            ends = np.clip(ends, 0.0, 1.0)
        summary[column] = mean[column].round(_DIGITS)
        summary[f"{column} low"], summary[f"{column} high"] = ends
        summary[f"{column} n"] = count[column]
    return summary.reset_index()


def stacked(values: np.ndarray, cell: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each cell size: the indices of the cells of that size, and their numbers (cells x n).

    `values[k]` belongs to cell `cell[k]`. NaNs do not count, and a cell without a number does not
    appear.
    """
    known = ~np.isnan(values)
    values, cell = values[known], cell[known]
    values = values[np.argsort(cell, kind="stable")]
    count = np.bincount(cell)
    first = np.cumsum(count) - count
    for size in np.unique(count[count > 0]):
        which = np.flatnonzero(count == size)
        yield which, values[first[which][:, None] + np.arange(size)]


def interval_of(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Ends of the interval of one mean, by `student`; NaNs do not count."""
    known = np.asarray(values, float)
    low, high = student(known[~np.isnan(known)][None, :], level)
    return float(low[0]), float(high[0])


def student(values: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the interval of each row's mean (cells x n), by Student's t.

    A cell's interval depends only on its own numbers, not on their order or other cells. Equal
    numbers have an interval of zero width. The ends are NaN for fewer than two numbers, and where
    one number is infinite or beyond `LARGEST`.
    """
    cells, count = values.shape
    ends = np.full((2, cells), np.nan)
    if count > 1:
        known = np.flatnonzero(np.abs(values).max(axis=1) <= LARGEST)
        ordered = np.sort(values[known], axis=1)
        mean = ordered.mean(axis=1)
        away = ordered - mean[:, None]
        # Equal numbers differ from their mean only by rounding.
        away[np.ptp(ordered, axis=1) == 0] = 0.0
        deviation = np.sqrt((away**2).sum(axis=1) / (count - 1))
        half = half_width(deviation, np.full(len(known), count), level)
        ends[:, known] = np.round([mean - half, mean + half], _DIGITS)
    return ends[0], ends[1]


def is_fraction(metric: str) -> bool:
    """Whether a metric is known to lie in [0, 1], so that its intervals are cut off there."""
    return metric.endswith("_accuracy") or metric in _FRACTIONS


def half_width(deviation: np.ndarray, count: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Half the width of the interval of a mean of `count` numbers, by Student's t; NaN for n < 2.

    `deviation` is their standard deviation (n-1).
    """
    from scipy.special import stdtrit  # imports in a tenth of the time of scipy.stats

    enough = np.where(count > 1, count, 2)
    width: np.ndarray = stdtrit(enough - 1.0, (1 + level) / 2) * deviation / np.sqrt(enough)
    return np.where(count > 1, width, np.nan)
