"""Hypervolume: the area that a method's points dominate, and what the joint front loses without it.

There are two volumes, which answer two questions. `volume` is the mean over repetitions of what the
points of one repetition dominate: it has an interval, and its reference can be the source model of
the same repetition. But a repetition's best points are in part its lucky ones, the more so the more
points a method was given; `volume of means` is what the means over repetitions dominate, which is
the front as drawn. The difference between the two is due to luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, is_bound, is_source, roles
from htsweep.analysis.design import design as design_of
from htsweep.analysis.frontier import MISSING, SEEN, codes, points_of, rows_at
from htsweep.analysis.interval import LEVEL, means

REFERENCES = ("origin", "source")
"""Where the areas begin: at (0, 0), or at the source model's accuracies before adaptation."""
Reference = tuple[float, float]


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
    group dominate together, minus what they dominate without it; upper bounds take no part in that
    and have none, and only repetitions that all participants have count. The reference `source` is
    the source model of the same group and repetition (for `volume of means` its mean); a group
    without a source has no such rows.

    Arguments as for `frontier.points`; the intervals are over repetitions.

    Returns:
        The design's factors, `reference`, `n`, `volume`, `low`, `high`, `contribution`,
        `contribution low`, `contribution high`, `volume of means` and `role`; areas in units of x
        times y.
    """
    design = design or design_of(measurements.columns)
    rows = rows_at(measurements, (x, y), choice, repetitions)
    single = _areas(rows, x, y, design)
    keys = [*design.factors, "reference"]
    volume_means = means(single, [*keys, "role"], ["volume", "contribution"], level)
    averages = points_of(rows, (x, y), design).assign(repetition=0)
    together = _areas(averages, x, y, design)[[*keys, "role", "volume"]].rename(
        columns={"volume": "volume of means"}
    )
    volume_means = volume_means.merge(together, on=[*keys, "role"], how="left")
    return volume_means.rename(
        columns={"volume n": "n", "volume low": "low", "volume high": "high"}
    )[
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


def above(points: np.ndarray, reference: Reference) -> float:
    """The area above `reference` that the points (n x 2) dominate, where more is better.

    Points with a NaN are left out.
    """
    import moocore

    known = points[~np.isnan(points).any(axis=1)]
    return float(moocore.hypervolume(known, ref=reference, maximise=True)) if len(known) else 0.0


def contributions(sets: Sequence[np.ndarray], reference: Reference) -> list[float]:
    """What the area of all sets together loses without each of them; never below 0."""
    every = above(np.concatenate(sets), reference)
    others = (
        [other for place, other in enumerate(sets) if place != mine] for mine in range(len(sets))
    )
    # The area of the same points in another order may differ in its last digits.
    return [
        max(0.0, every - above(np.concatenate(rest), reference)) if rest else every
        for rest in others
    ]


def _areas(rows: pd.DataFrame, x: str, y: str, design: Design) -> pd.DataFrame:
    """Each method's volume and contribution in each repetition of `rows`, for each reference.

    Columns: the factors, `role`, `reference`, `volume`, `contribution`. Points of a method that are
    upper bounds count as a method of their own.
    """
    rows = rows.assign(role=roles(rows))
    factors = [*design.factors, "role"]
    of_method = codes(rows, factors)
    table = pd.DataFrame(
        {
            "group": codes(rows, design.groups),
            "method": of_method,
            "repetition": rows["repetition"],
            "role": rows["role"],
            "x": rows[x].astype(float),
            "y": rows[y].astype(float),
        }
    )
    parts = [row for _, group in table.groupby("group", sort=False) for row in _group(group)]
    area_table = pd.DataFrame(
        parts, columns=["method", "reference", "volume", "contribution"]
    ).set_index("method")
    # Codes are numbered in order of appearance, so each is its method's place among the distinct.
    methods = rows[~pd.Series(of_method, rows.index).duplicated()][factors]
    return methods.reset_index(drop=True).join(area_table, how="inner").reset_index(drop=True)


def _group(group: pd.DataFrame) -> Iterator[tuple[int, str, float, float]]:
    enter = set(group["method"][~is_bound(group)])
    for _, inside in group.groupby("repetition", sort=False):
        points, of_method = inside[["x", "y"]].to_numpy(), inside["method"].to_numpy()
        sets = {int(method): points[of_method == method] for method in np.unique(of_method)}
        rivals = [method for method in sets if method in enter]
        for name, reference in _references(points[is_source(inside).to_numpy()]):
            lost = dict.fromkeys(sets, float("nan"))
            if rivals and len(rivals) == len(enter):
                lost |= dict(
                    zip(
                        rivals,
                        contributions([sets[rival] for rival in rivals], reference),
                        strict=True,
                    )
                )
            for method, own in sets.items():
                yield method, name, above(own, reference), lost[method]


def _references(source: np.ndarray) -> Iterator[tuple[str, Reference]]:
    """The references of a repetition; of several source points, the one with the highest sum."""
    yield REFERENCES[0], (0.0, 0.0)
    if len(source):
        best = source[source.sum(axis=1).argmax()]
        yield REFERENCES[1], (float(best[0]), float(best[1]))
