"""Frontiers: which points no other point beats on both numbers, and how certain that is.

A point is a mean over its repetitions; trials that stopped early or failed never enter, nor does a
single lucky run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design, is_bound, is_source, roles_by
from htsweep.analysis.design import design as design_of
from htsweep.analysis.interval import LEVEL, means
from htsweep.analysis.resample import probability, probability_below
from htsweep.selection.fronts import Directions, non_dominated

SEEN = "test/seen_accuracy"
MISSING = "test/missing_accuracy"
_DIGITS = 12
"""Differences are rounded to this many decimals: a loss of exactly what is allowed is allowed."""


def axes(columns: Iterable[str]) -> tuple[str, str] | None:
    """The two metrics to draw: seen and missing accuracy, or the first two of `test/`, or None."""
    present = [str(name) for name in columns]
    if SEEN in present and MISSING in present:
        return SEEN, MISSING
    test = [name for name in present if name.startswith("test/")]
    return (test[0], test[1]) if len(test) > 1 else None


def frontier(
    measurements: pd.DataFrame,
    x: str = SEEN,
    y: str = MISSING,
    *,
    maximise: Directions = (True, True),
    design: Design | None = None,
    parameters: Sequence[str] = (),
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    level: float = LEVEL,
    non_disruption: float | None = None,
) -> pd.DataFrame:
    """The points of `points`, and how each compares with the others of its group.

    `front`: no point of the group beats it on both; `own_front`: no other point of its method does;
    `probability`: that of `front` over bootstrap samples of the repetitions, drawn for all methods
    of a group at once. `disrupts`: its mean of y is worse than the source model's in the same group
    by more than `non_disruption`, and `disruption` is the bootstrap probability of that, over the
    repetitions that both have. Both probabilities are NaN where there is only one repetition; in a
    group without a source nothing is marked.

    Adapting to the seen classes should not disrupt what the source model knew of the missing ones
    (Holistic Transfer, Tu et al., NeurIPS 2023). `non_disruption` is the loss on y that is still
    allowed, in y's unit; None: nothing is marked. `maximise` says for x and y whether more is
    better; other arguments as for `points`.
    """
    design = design or design_of(measurements.columns)
    rows = rows_at(measurements, (x, y), choice, repetitions)
    table = points_of(rows, (x, y), design, parameters, choice=choice, level=level)
    competes = ~is_bound(table).to_numpy()
    group = codes(table, design.groups)
    flags, sure = np.zeros(len(table), bool), np.full(len(table), np.nan)
    flags[competes] = non_dominated(
        table[x][competes], table[y][competes], group[competes], maximise
    )
    along, up = _single(rows, table, x), _single(rows, table, y)
    for code in np.unique(group[competes]):
        mine = competes & (group == code)
        sure[mine] = probability(along[:, mine], up[:, mine], maximise)
    own = non_dominated(table[x], table[y], codes(table, design.factors), maximise)
    table = table.assign(front=flags, own_front=own, probability=sure)
    disrupts, likely = _disruption(table, up if maximise[1] else -up, group, non_disruption)
    return table.assign(disrupts=disrupts, disruption=likely)


def points(
    measurements: pd.DataFrame,
    x: str = SEEN,
    y: str = MISSING,
    *,
    design: Design | None = None,
    parameters: Sequence[str] = (),
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per whole point: the means of both metrics over repetitions, with intervals.

    Columns: the factors, `sweep`, `point`, the parameters, `step`, `n`; for a metric M the mean M
    and its interval `M low`, `M high` (NaN for one repetition); `role`, which is `source`, `bound`
    or empty; `chosen`, whether the protocol picked the point.

    Args:
        measurements: one row per measurement (docs/contracts.md).
        x: the metric on the horizontal axis.
        y: the metric on the vertical axis.
        design: which columns make a group and which is compared; None: found by their names.
        parameters: columns to carry along: the configuration of each point.
        choice: (sweep, point, step) of a protocol: these points at these steps, all others at their
            last.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        level: of the intervals.
    """
    rows = rows_at(measurements, (x, y), choice, repetitions)
    return points_of(
        rows,
        (x, y),
        design or design_of(measurements.columns),
        parameters,
        choice=choice,
        level=level,
    )


def rows_at(
    measurements: pd.DataFrame,
    metrics: Sequence[str],
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
) -> pd.DataFrame:
    """The rows, one per repetition, of whole points at the step that counts.

    That is the last one that has all of `metrics`, or the choice's. Arguments as for `points`.
    """
    known = selection.whole(measurements, repetitions)
    complete = known[list(metrics)].notna().all(axis=1)
    if not complete.all():
        known = known[complete]
    steps = selection.last_steps(known)
    if choice is not None:
        # The choice's rows come last, so that they are kept where a point appears twice.
        steps = pd.concat([steps, choice[selection.CHOICE]]).drop_duplicates(
            ["sweep", "point"], keep="last"
        )
    return selection.at(known, steps)


def points_of(
    rows: pd.DataFrame,
    metrics: Sequence[str],
    design: Design,
    parameters: Sequence[str] = (),
    *,
    choice: pd.DataFrame | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """The table of `points` for any metrics, from the rows of `rows_at`; `n` is the first one's."""
    carried = [name for name in parameters if name in rows.columns and name not in design.factors]
    keys = list(dict.fromkeys([*design.factors, "sweep", "point", *carried, "step"]))
    wanted = list(dict.fromkeys(metrics))
    averages = means(rows, keys, wanted, level)
    counts = averages[[f"{metric} n" for metric in wanted]]
    averages = averages.drop(columns=counts.columns)
    averages.insert(len(keys), "n", counts.iloc[:, 0])
    chosen = set() if choice is None else set(zip(choice["sweep"], choice["point"], strict=True))
    role_of = roles_by(rows, ["sweep", "point"])
    role = averages[["sweep", "point"]].merge(role_of, on=["sweep", "point"], how="left")["role"]
    return averages.assign(
        role=role.fillna("").to_numpy(),
        chosen=[key in chosen for key in zip(averages["sweep"], averages["point"], strict=True)],
    )


def codes(table: pd.DataFrame, factors: Sequence[str]) -> np.ndarray:
    """A number per row of a table, equal for equal values of `factors`, in order of appearance."""
    if not factors:
        return np.zeros(len(table), int)
    return table.groupby(list(factors), sort=False, observed=True, dropna=False).ngroup().to_numpy()


def _disruption(
    table: pd.DataFrame,
    up: np.ndarray,
    group: np.ndarray,
    allowed: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Which points are worse than their group's source by more than `allowed`, and how probably.

    `up` is repetitions x points; more is better.
    """
    flags, likely = np.zeros(len(table), bool), np.full(len(table), np.nan)
    source = is_source(table).to_numpy()
    if allowed is None or not source.any():
        return flags, likely
    mean = np.nanmean(up, axis=0)
    for code in np.unique(group[source]):
        inside = group == code
        # Where the source has several points, the best one is the reference.
        best = max(np.flatnonzero(inside & source), key=lambda place: mean[place])
        flags[inside] = (mean[inside] - mean[best]).round(_DIGITS) < -allowed
        likely[inside] = probability_below(up[:, inside], up[:, best], allowed)
    return flags, likely


def _single(rows: pd.DataFrame, table_of_points: pd.DataFrame, metric: str) -> np.ndarray:
    """`metric` as repetitions x `table_of_points`; NaN where a point lacks the repetition."""
    place = table_of_points[["sweep", "point"]].assign(_point=np.arange(len(table_of_points)))
    column = (
        rows[["sweep", "point"]]
        .merge(place, on=["sweep", "point"], how="left")["_point"]
        .to_numpy(int)
    )
    repetition, names = pd.factorize(rows["repetition"])
    table = np.full((len(names), len(table_of_points)), np.nan)
    table[repetition, column] = rows[metric].to_numpy(float)
    return table
