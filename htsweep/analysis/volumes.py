"""Hypervolume: the area that a method's points dominate, and what the joint front loses without it.

The best of several points is in part the luckiest one: what the points of one repetition dominate
is too large on average, the more so the more points there are, and so is, less, what the means over
repetitions dominate. `volume` therefore finds the front on one half of the repetitions and measures
its area in the other, then the other way round, so that no luck is counted. It is the area that a
front found with half as many repetitions has in new ones: what the true front has, less what is
lost by not knowing it. `volume of means` is that of the front as drawn. Where nothing is selected
(one point, above the origin) all repetitions measure at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, roles
from htsweep.analysis.design import design as design_of
from htsweep.analysis.frontier import MISSING, SEEN, codes, points_of, rows_at
from htsweep.analysis.halves import REFERENCES, Estimate, Fronts, fronts_of
from htsweep.analysis.interval import LEVEL

_COLUMNS = (
    "n",
    "volume",
    "low",
    "high",
    "contribution",
    "contribution low",
    "contribution high",
)


def volumes(
    measurements: pd.DataFrame,
    x: str = SEEN,
    y: str = MISSING,
    *,
    design: Design | None = None,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per method and reference: the area that its points dominate above the reference.

    For both metrics more must be better. The contribution of a method is what all methods of its
    group dominate together, minus what they dominate without it: about 0, on either side of it, for
    one that adds nothing. Upper bounds take no part in that and have none, and only repetitions
    that all participants have count. The reference `source` is
    the source model of the same group and repetition (for `volume of means` its mean); a group
    without a source has no such rows.

    Arguments as for `frontier.points`. The interval is Student's over repetitions: of each half
    given the front that the other found, and around their mean as wide as the two are on average,
    as if one told nothing that the other does not (benchmarks/level.py, `areas`). That takes four
    repetitions; with fewer, its ends are NaN. With one repetition, the area is that of its points.

    Returns:
        The design's factors, `reference`, `n`, `volume`, `low`, `high`, `contribution`,
        `contribution low`, `contribution high`, `volume of means` and `role`; areas in units of x
        times y.
    """
    design = design or design_of(measurements.columns)
    rows = rows_at(measurements, (x, y), choice, repetitions)
    keys = [*design.factors, "reference"]
    volume_means = _areas(rows, x, y, design, level)
    averages = points_of(rows, (x, y), design).assign(repetition=0)
    together = _areas(averages, x, y, design, level)[[*keys, "role", "volume"]].rename(
        columns={"volume": "volume of means"}
    )
    volume_means = volume_means.merge(together, on=[*keys, "role"], how="left")
    return volume_means[
        [
            *keys,
            "n",
            "volume",
            "low",
            "high",
            "contribution",
            "contribution low",
            "contribution high",
            "volume of means",
            "role",
        ]
    ]


def _areas(rows: pd.DataFrame, x: str, y: str, design: Design, level: float) -> pd.DataFrame:
    """Each method's volume and contribution with their intervals, for each reference.

    Columns: the factors, `role`, `reference` and those of `_COLUMNS`. Points of a method that are
    upper bounds count as a method of their own.
    """
    rows = rows.assign(role=roles(rows))
    factors = [*design.factors, "role"]
    of_method = codes(rows, factors)
    table = pd.DataFrame(
        {
            "group": codes(rows, design.groups),
            "method": of_method,
            "point": codes(rows, [*factors, "sweep", "point"]),
            "repetition": rows["repetition"],
            "role": rows["role"],
            "x": rows[x].astype(float),
            "y": rows[y].astype(float),
        }
    )
    parts = [
        row
        for _, group in table.groupby("group", sort=False)
        for row in _group(fronts_of(group), level)
    ]
    area_table = pd.DataFrame(parts, columns=["method", "reference", *_COLUMNS])
    # Codes are numbered in order of appearance, so each is its method's place among the distinct.
    methods = rows[~pd.Series(of_method, rows.index).duplicated()][factors]
    return (
        methods.reset_index(drop=True)
        .join(area_table.set_index("method"), how="inner")
        .reset_index(drop=True)
    )


def _group(group: Fronts, level: float) -> Iterator[tuple[Any, ...]]:
    """A row per reference and method."""
    for name in REFERENCES:
        if name == REFERENCES[1] and not group.has_source:
            continue
        for method in group.methods:
            own = group.estimate(name, group.of == method, None, level)
            lost = Estimate(0)
            if method in group.entrants:
                lost = group.estimate(
                    name, np.isin(group.of, group.entrants), group.of != method, level
                )
            yield (method, name, own.n, *own.numbers, *lost.numbers)
