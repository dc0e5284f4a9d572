"""Frontiers: which points no other point beats on both numbers, and how sure that is.

A point is a mean over its repetitions; trials that stopped early or failed never enter, nor does a single lucky run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design
from htsweep.analysis.design import design as design_of
from htsweep.analysis.interval import LEVEL, means
from htsweep.analysis.resample import probability

SEEN = "test/seen_accuracy"
MISSING = "test/missing_accuracy"
Directions = tuple[bool, bool]
"""For x and y: whether more is better."""
ROLES = {"source": "source", "oracle": "bound"}
"""Methods that are no competitors like the others: the model before adaptation, and the one that saw all classes' data.

`source` is on the front like any other choice; a `bound` is drawn beside it, since nobody can choose it.
"""


def axes(columns: Iterable[str]) -> tuple[str, str] | None:
    """The two metrics to draw: seen and missing accuracy, else the first two of `test/`, else None."""
    there = [str(name) for name in columns]
    if SEEN in there and MISSING in there:
        return SEEN, MISSING
    test = [name for name in there if name.startswith("test/")]
    return (test[0], test[1]) if len(test) > 1 else None


def frontier(
    measurements: pd.DataFrame, x: str = SEEN, y: str = MISSING, *, maximise: Directions = (True, True),
    design: Design | None = None, parameters: Sequence[str] = (), choice: pd.DataFrame | None = None,
    repetitions: int | None = None, level: float = LEVEL,
) -> pd.DataFrame:
    """The points of `points`, with `front` (nothing in its group beats it on both) and `probability` of that.

    The probability is over bootstrap samples of the repetitions, the same for all methods of a group; NaN where there is
    only one repetition. Arguments as for `points`.
    """
    design = design or design_of(measurements.columns)
    rows = _rows(measurements, x, y, choice, repetitions)
    found = _points(rows, x, y, design, parameters, choice, level)
    competes = (found["role"] != "bound").to_numpy()
    group = _codes(found, design.groups)
    flags, sure = np.zeros(len(found), bool), np.full(len(found), np.nan)
    flags[competes] = non_dominated(found[x][competes], found[y][competes], group[competes], maximise)
    along, up = _single(rows, found, x), _single(rows, found, y)
    for code in np.unique(group[competes]):
        mine = competes & (group == code)
        sure[mine] = probability(along[:, mine], up[:, mine], maximise)
    return found.assign(front=flags, probability=sure)


def points(
    measurements: pd.DataFrame, x: str = SEEN, y: str = MISSING, *, design: Design | None = None,
    parameters: Sequence[str] = (), choice: pd.DataFrame | None = None, repetitions: int | None = None, level: float = LEVEL,
) -> pd.DataFrame:
    """One row per whole point: the factors, `sweep`, `point`, the parameters, `step`, `n`, and both metrics.

    A metric M is in the columns M (mean over repetitions), `M low` and `M high` (its interval; NaN for one repetition).
    `role` is `source`, `bound` or empty; `chosen` says whether the protocol picked the point.

    Args:
        measurements: one row per measurement (docs/architecture.md).
        x: the metric on the horizontal axis.
        y: the metric on the vertical axis.
        design: which columns make a group and which is compared; None: found by their names.
        parameters: columns to carry along: the configuration of each point.
        choice: (sweep, point, step) of a protocol: these points at these steps, all others at their last.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        level: of the intervals.
    """
    rows = _rows(measurements, x, y, choice, repetitions)
    return _points(rows, x, y, design or design_of(measurements.columns), parameters, choice, level)


def non_dominated(
    x: Sequence[float] | pd.Series | np.ndarray, y: Sequence[float] | pd.Series | np.ndarray,
    group: Sequence[object] | np.ndarray | None = None, maximise: Directions = (True, True),
) -> np.ndarray:
    """Flags, in the order given: True where no other point of the group is as good on both and better on one.

    Equal points do not beat each other; a NaN is on no front and beats nobody.
    """
    import moocore

    both = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    sets = np.zeros(len(both), int) if group is None else pd.factorize(np.asarray(group))[0]
    flags = np.zeros(len(both), bool)
    known = ~np.isnan(both).any(axis=1)
    if known.any():
        flags[known] = moocore.is_nondominated_within_sets(
            both[known], sets[known], maximise=list(maximise), keep_weakly=True)
    return flags


def staircase(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, ends: tuple[float, float],
    maximise: Directions = (True, True),
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the edge between what the points of a front reach and what none does, from `ends` on both axes."""
    order = np.argsort(np.asarray(x, float) * (1 if maximise[0] else -1), kind="stable")
    along, up = np.asarray(x, float)[order], np.asarray(y, float)[order]
    # At each point: along to it at its height, then straight to the height of the next.
    return (np.concatenate([[ends[0]], np.repeat(along, 2)]),
            np.concatenate([np.repeat(up, 2), [ends[1]]]))


def _rows(
    measurements: pd.DataFrame, x: str, y: str, choice: pd.DataFrame | None, repetitions: int | None,
) -> pd.DataFrame:
    """The rows of whole points at the step that counts: the last one that has both metrics, or the choice's."""
    known = selection.whole(measurements, repetitions)
    if known[x].isna().any() or known[y].isna().any():
        known = known[known[x].notna() & known[y].notna()]
    steps = selection.last_steps(known)
    if choice is not None:
        # Stacked, the choice's rows come last: they are what stays of a point that stands twice.
        steps = pd.concat([steps, choice[selection.CHOICE]]).drop_duplicates(["sweep", "point"], keep="last")
    return selection.at(known, steps)


def _points(
    rows: pd.DataFrame, x: str, y: str, design: Design, parameters: Sequence[str], choice: pd.DataFrame | None, level: float,
) -> pd.DataFrame:
    carried = [name for name in parameters if name in rows.columns and name not in design.factors]
    keys = list(dict.fromkeys([*design.factors, "sweep", "point", *carried, "step"]))
    found = means(rows, keys, [x, y], level)
    found.insert(len(keys), "n", found.pop(f"{x} n"))
    chosen = set() if choice is None else set(zip(choice["sweep"], choice["point"], strict=True))
    return found.drop(columns=f"{y} n").assign(
        role=found[design.compared].astype(object).map(ROLES).fillna("").astype(str),
        chosen=[key in chosen for key in zip(found["sweep"], found["point"], strict=True)])


def _single(rows: pd.DataFrame, found: pd.DataFrame, metric: str) -> np.ndarray:
    """`metric` as repetitions x points of `found`; NaN where a point lacks the repetition."""
    place = found[["sweep", "point"]].assign(_point=np.arange(len(found)))
    column = rows[["sweep", "point"]].merge(place, on=["sweep", "point"], how="left")["_point"].to_numpy(int)
    repetition, names = pd.factorize(rows["repetition"])
    table = np.full((len(names), len(found)), np.nan)
    table[repetition, column] = rows[metric].to_numpy(float)
    return table


def _codes(found: pd.DataFrame, groups: Sequence[str]) -> np.ndarray:
    """A number per row that names its group."""
    if not groups:
        return np.zeros(len(found), int)
    return found.groupby(list(groups), sort=False, observed=True, dropna=False).ngroup().to_numpy()
