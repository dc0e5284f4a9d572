"""Means over repetitions with Student's t intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEVEL = 0.95
_DIGITS = 12
"""Means are kept to so many decimals: beyond, they depend on the order of the sum, and equal points would not be equal."""


def means(rows: pd.DataFrame, keys: Sequence[str], columns: Sequence[str], level: float = LEVEL) -> pd.DataFrame:
    """One row per value of `keys`, in order of appearance: for each column C its mean C, `C low`, `C high` and `C n`.

    The interval is mean +- t(n-1) s / sqrt(n); one repetition gives none: `C low` and `C high` are NaN. Repetitions that
    lack the number do not count.
    """
    grouped = rows.groupby(list(keys), sort=False, observed=True, dropna=False)[list(columns)]
    mean, deviation, count = grouped.mean(), grouped.std(), grouped.count()
    found = pd.DataFrame(index=mean.index)
    for column in columns:
        half = half_width(deviation[column].to_numpy(float), count[column].to_numpy(), level)
        found[column] = mean[column].round(_DIGITS)
        found[f"{column} low"] = found[column] - half
        found[f"{column} high"] = found[column] + half
        found[f"{column} n"] = count[column]
    return found.reset_index()


def half_width(deviation: np.ndarray, count: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Half the interval of a mean of `count` numbers with the standard deviation `deviation` (n-1); NaN for n < 2."""
    from scipy.special import stdtrit  # a tenth of the import of scipy.stats

    enough = np.where(count > 1, count, 2)
    width: np.ndarray = stdtrit(enough - 1.0, (1 + level) / 2) * deviation / np.sqrt(enough)
    return np.where(count > 1, width, np.nan)
