"""The seen/missing curve of each method: its accuracies for any bias added to missing classes.

The bias is a constant that is added to the missing classes' scores.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import codes
from htsweep.analysis.interval import LEVEL, means

CURVE = ("test/curve_seen", "test/curve_missing")
"""List columns: the corners of a curve, seen accuracy falling while missing accuracy rises."""


def curves(
    chosen: pd.DataFrame, design: Design, level: float = LEVEL, grid: int = 101
) -> pd.DataFrame:
    """The mean curve of each sweep over repetitions, at `grid` evenly spaced seen accuracies.

    They run from 0 to the highest of the sweep. Between its corners a curve is straight, as in the
    trapezoid rule of AUSUC (Chao et al., ECCV 2016), so that the area under the mean curve is the
    mean AUSUC up to the grid: at most half a step of it. Where seen accuracy is higher than a
    repetition reaches, its missing accuracy counts as 0, as in AUSUC. The band is the pointwise
    interval of the mean at each seen accuracy.

    Args:
        chosen: what `selection.choose` returns, with the columns of `CURVE`.
        design: which columns are the factors.
        level: of the band.
        grid: how many seen accuracies.

    Returns:
        The design's factors, `seen`, `missing`, `low`, `high`, `n` and `sweep`, seen accuracy
        rising in each sweep; no rows where no repetition has a curve.
    """
    names = list(dict.fromkeys([*design.factors, "sweep"]))
    columns = [
        *design.factors,
        "seen",
        "missing",
        "low",
        "high",
        "n",
        *(["sweep"] if "sweep" not in design.factors else []),
    ]
    if not set(CURVE) <= set(chosen.columns):
        return pd.DataFrame(columns=columns)
    drawn = chosen[chosen[CURVE[0]].map(_has_corners) & chosen[CURVE[1]].map(_has_corners)]
    if drawn.empty:
        return pd.DataFrame(columns=columns)
    parts = []
    for _, rows in drawn.groupby(codes(drawn, names), sort=False):
        corners = [
            (np.asarray(seen, float), np.asarray(missing, float))
            for seen, missing in zip(rows[CURVE[0]], rows[CURVE[1]], strict=True)
        ]
        at = np.linspace(0.0, max(float(seen.max()) for seen, _ in corners), grid)
        factors = {name: rows[name].iloc[0] for name in names}
        parts += [
            pd.DataFrame({**factors, "seen": at, "missing": along(*corner, at)})
            for corner in corners
        ]
    averages = means(pd.concat(parts, ignore_index=True), [*names, "seen"], ["missing"], level)
    ends = ["missing low", "missing high"]
    averages[ends] = averages[ends].clip(0.0, 1.0)
    return averages.rename(
        columns={"missing low": "low", "missing high": "high", "missing n": "n"}
    )[columns]


def along(seen: np.ndarray, missing: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The (highest) missing accuracy of a curve at the seen accuracies `at`; 0 beyond its end.

    Args:
        seen: seen accuracy of the corners, falling or equal.
        missing: missing accuracy of the corners, rising or equal.
        at: m seen accuracies.
    """
    # Among corners with equal x, np.interp uses the last: with the sign reversed, that is the one
    # with the highest missing accuracy.
    interpolated: np.ndarray = np.interp(-at, -seen, missing, left=0.0)
    return interpolated


def _has_corners(values: object) -> bool:
    return isinstance(values, list | tuple | np.ndarray) and len(values) > 0
