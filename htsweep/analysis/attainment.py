"""What a share of the repetitions attains: the edges of the empirical attainment function.

In one repetition a method attains what any of its points reaches on both numbers. Means over
repetitions have an interval on each axis but no joint spread; these edges show it, and where it is
wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.design import design as design_of
from htsweep.analysis.frontier import MISSING, SEEN, codes, rows_at
from htsweep.selection.fronts import Directions, staircase

SHARES = (0.25, 0.5, 0.75)
"""The median and its quartiles."""


def attainment(
    measurements: pd.DataFrame,
    x: str = SEEN,
    y: str = MISSING,
    *,
    maximise: Directions = (True, True),
    design: Design | None = None,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    shares: Sequence[float] = SHARES,
) -> pd.DataFrame:
    """The edges of what at least a share of each method's repetitions attains, a row per corner.

    The attainment function is that of Grunert da Fonseca, Fonseca and Hall (2001), computed as in
    Fonseca et al. (2011). In a repetition a method attains with every whole point that it has, at
    the step that counts for the frontier. An edge is a staircase that begins and ends at the worst
    values of its group, so that all edges of a group can be drawn in one panel; its corners are in
    the order of drawing. Where a repetition's best point is a lucky one, the edge of a small share
    shows the luck.

    `maximise` says for x and y whether more is better, `shares` are shares of the repetitions, in
    (0, 1]; other arguments as for `frontier.points`.

    Returns:
        The design's factors, `share`, `x` and `y` under their own names, and `n` repetitions. A
        method with fewer than two has no rows.
    """
    design = design or design_of(measurements.columns)
    rows = rows_at(measurements, (x, y), choice, repetitions)
    parts = []
    for _, group in _split(rows, design.groups):
        ends = [
            group[axis].min() if more else group[axis].max()
            for axis, more in zip((x, y), maximise, strict=True)
        ]
        for _, own in _split(group, [design.compared]):
            count = own["repetition"].nunique()
            if count < 2:
                continue
            for share, corners in edges(
                own[[x, y]].to_numpy(float), own["repetition"].to_numpy(), shares, maximise
            ).items():
                along, up = staircase(corners[:, 0], corners[:, 1], (ends[0], ends[1]), maximise)
                factors = {name: own[name].iloc[0] for name in design.factors}
                parts.append(pd.DataFrame({**factors, "share": share, x: along, y: up, "n": count}))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*design.factors, "share", x, y, "n"])
    )


def edges(
    points: np.ndarray,
    sets: np.ndarray,
    shares: Sequence[float] = SHARES,
    maximise: Directions = (True, True),
) -> dict[float, np.ndarray]:
    """For each share, the corners (k x 2) of what at least this share of the sets attains.

    A set attains whatever one of its points equals or beats on both numbers. The corners are those
    attained points that no other attained point beats.

    Args:
        points: n x 2, without NaN.
        sets: which set each point belongs to; two or more sets.
        shares: of the sets, in (0, 1].
        maximise: for both columns, whether more is better.
    """
    import moocore

    sign = np.where(maximise, -1.0, 1.0)  # moocore's attainment function is for costs
    numbers = np.unique(sets, return_inverse=True)[1]
    # moocore 0.3 treats each run of equal numbers as a set of its own.
    order = np.argsort(numbers, kind="stable")
    percentiles = [100 * share for share in shares]
    surface = moocore.eaf(points[order] * sign, numbers[order], percentiles=percentiles)
    return {
        share: surface[surface[:, 2] == percentile][:, :2] * sign
        for share, percentile in zip(shares, percentiles, strict=True)
    }


def _split(rows: pd.DataFrame, factors: Sequence[str]) -> list[tuple[Any, pd.DataFrame]]:
    """The rows of each value of `factors`, in order of appearance."""
    return list(rows.groupby(codes(rows, factors), sort=False))
