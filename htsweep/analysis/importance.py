"""Which searched parameters matter for each objective, with a null by shuffling."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import codes, rows_at
from htsweep.analysis.interval import LEVEL
from htsweep.analysis.significance import ALPHA, holm

ALL, BEST = "all points", "best tenth"
"""What is explained: how points differ in the objective, or which of them are among the best."""
LEAST = 4
"""With fewer points there are no rows."""
SHUFFLES = 999
_AT_ONCE = 2_000_000
"""How many places of shuffled points are held at a time: 16 MB an array."""
_LEVELS = 16
"""A numeric parameter with at most this many values, each met twice or more on average, is taken
for one of a grid, whose values are its levels.
"""
_PIECES, _IN_PIECE = 5, 4
"""Other numeric parameters are cut into up to five pieces of as many points, of four at least."""
_TOP = 5
"""The best are a tenth of all points, but at least this many and at most half."""
_TIE = 1e-9
"""Shares that differ by less count as equal: rounding must not decide what is as extreme."""
_COLUMNS = [
    "objective",
    "parameter",
    "evaluator",
    "importance",
    "low",
    "high",
    "p",
    "p_holm",
    "verdict",
    "points",
]


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

    A point is a configuration of the parameters: its objective is the mean over its repetitions at
    its last step (or the choice's), less the mean of its group, over all groups that have it. No
    parameter causes the differences between datasets.

    `importance` is the share of the variance that the parameter's levels explain alone, less what
    levels that mean nothing explain on average: (share - e) / (1 - e) with e = (levels - 1) /
    (points - 1), which is Kelley's epsilon squared (1935), 0 at least. Of `all points` it is the
    variance of the objective, as fANOVA's main effects are (Hutter et al., ICML 2014); of the `best
    tenth`, that of being among the best tenth, 5 points at least and half at most, which is
    PED-ANOVA's Pearson divergence between the best and all points (Watanabe et al., IJCAI 2023)
    with levels in place of a kernel density, as a share of the most that it can be. The first says
    what matters in the whole space, the second what matters for getting among the best. The levels
    of a parameter of many numbers are up to five pieces of it with as many points each.

    `p` is that of the permutation test that the objective does not depend on the parameter: the
    share of 999 shuffles of the points that explain as much, the given order counted among them.
    `p_holm` is corrected for the parameters of one compared value, objective and evaluator;
    `verdict` is `shown` where it is below 0.05. `low` and `high` are a 95 % interval by the
    jackknife over repetitions: what other repetitions of these points would give; NaN for fewer
    than three. The column `points` is how many there are.

    A parameter that some points of a method lack, with one level or with levels that most points do
    not share, does not count; with fewer than `LEAST` points, or an objective that does not vary,
    there are no rows. Seeds are fixed, so that results are reproducible.

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
    found: list[dict[str, Any]] = []
    for objective in objectives if known else ():
        if objective not in measurements.columns or not pd.api.types.is_numeric_dtype(
            measurements[objective]
        ):
            continue
        more = objectives[objective] if isinstance(objectives, Mapping) else True
        rows = _centred(rows_at(measurements, [objective], choice, repetitions), design, objective)
        for compared, mine in rows.groupby(
            design.compared, sort=False, observed=True, dropna=False
        ):
            found += [
                {design.compared: compared, "objective": objective, **row}
                for row in _explained(mine, known, objective, more=more)
            ]
    return pd.DataFrame(found, columns=[design.compared, *_COLUMNS])


def _centred(rows: pd.DataFrame, design: Design, objective: str) -> pd.DataFrame:
    """The rows with the objective less its mean in the group and repetition."""
    groups = codes(rows, [*design.factors, "repetition"])
    middle = rows.groupby(groups)[objective].transform("mean")
    # Decimals beyond the twelfth depend on the order of the sum, and would break ties.
    return rows.assign(**{objective: (rows[objective] - middle).round(12)})


def _explained(
    rows: pd.DataFrame, parameters: Sequence[str], objective: str, *, more: bool
) -> Iterator[dict[str, Any]]:
    """The rows of one compared value and objective."""
    names = [name for name in parameters if rows[name].notna().all()]
    if not names:
        return
    keys = {f"_{name}": _key(rows[name]) for name in names}
    # Sorted, so that the order in which trials ended changes nothing.
    table = (
        rows[["repetition", objective]]
        .assign(**keys)
        .groupby([*keys, "repetition"], sort=True, observed=True)[objective]
        .mean()
        .unstack("repetition")
    )
    values = table.to_numpy(float) * (1 if more else -1)
    whole = np.nanmean(values, axis=1).round(12)
    # Differences beyond the twelfth decimal are rounding.
    if len(whole) < LEAST or np.ptp(whole) < 1e-12:
        return
    levels = {
        name: belongs
        for place, name in enumerate(names)
        if (belongs := _levels(table.index.get_level_values(place))) is not None
    }
    if not levels:
        return
    left_out = _left_out(values)
    for evaluator, ends in ((ALL, lambda given: given), (BEST, _best)):
        target = ends(whole[None])[0]
        if np.ptp(target) == 0:
            continue
        shares = {name: _share(target[None], belongs)[0] for name, belongs in levels.items()}
        as_much = dict.fromkeys(levels, 1)  # the given order
        for orders in _shuffles(len(target)):
            values = target[orders]
            for name, belongs in levels.items():
                as_much[name] += int((_share(values, belongs) >= shares[name] - _TIE).sum())
        p = np.array(list(as_much.values())) / (SHUFFLES + 1)
        adjusted = holm(p)
        for place, (name, belongs) in enumerate(levels.items()):
            share = _adjusted(shares[name], belongs)
            low, high = _jackknife(share, _adjusted(_share(ends(left_out), belongs), belongs))
            yield {
                "parameter": name,
                "evaluator": evaluator,
                "importance": float(share),
                "low": low,
                "high": high,
                "p": p[place],
                "p_holm": adjusted[place],
                "verdict": "shown" if adjusted[place] < ALPHA else "not shown",
                "points": len(whole),
            }


def _key(values: pd.Series) -> pd.Series:
    """A parameter's values as they are sorted: numbers as they are, anything else as text."""
    number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return values if number else values.map(str)


def _levels(values: pd.Index) -> np.ndarray | None:
    """Which level each point has (levels x points, zeros and ones); None if they tell nothing."""
    place, distinct = pd.factorize(values, sort=False)
    most = len(place) // 2
    numeric = pd.api.types.is_numeric_dtype(values)
    if numeric and len(distinct) > min(_LEVELS, most):
        # Equal values have equal ranks, so that no piece parts them.
        rank = pd.Series(np.asarray(values, float)).rank(method="min").to_numpy() - 1
        pieces = min(_PIECES, max(2, len(place) // _IN_PIECE))
        place = pd.factorize((rank * pieces // len(place)).astype(int))[0]
    count = int(place.max()) + 1
    if not 1 < count <= most:
        return None
    belongs: np.ndarray = (place == np.arange(count)[:, None]).astype(float)
    return belongs


def _share(values: np.ndarray, belongs: np.ndarray) -> np.ndarray:
    """The share of each row's variance (rows x points) that levels explain; 0 without variance."""
    centred = values - values.mean(axis=1, keepdims=True)
    between = ((centred @ belongs.T) ** 2 / belongs.sum(axis=1)).sum(axis=1)
    total = (centred**2).sum(axis=1)
    share: np.ndarray = np.where(total > 0, between / np.where(total > 0, total, 1.0), 0.0)
    return share


def _adjusted(share: Any, belongs: np.ndarray) -> Any:
    """Less what as many levels explain of any values on average over all orders of the points."""
    levels, points = belongs.shape
    by_chance = (levels - 1) / (points - 1)
    return np.clip((share - by_chance) / (1 - by_chance), 0.0, 1.0)


def _best(values: np.ndarray) -> np.ndarray:
    """Which points are among the best of each row (rows x points, zeros and ones)."""
    points = values.shape[1]
    count = min(points // 2, max(_TOP, math.ceil(points / 10)))
    least = np.sort(values, axis=1)[:, -count][:, None]
    best: np.ndarray = (values >= least).astype(float)
    return best


def _shuffles(points: int) -> Iterator[np.ndarray]:
    """Orders of the points (shuffles x points), in blocks, since all at once may be large."""
    random = np.random.default_rng([zlib.crc32(b"importance"), points])
    rows = max(1, _AT_ONCE // points)
    for start in range(0, SHUFFLES, rows):
        block = np.tile(np.arange(points), (min(rows, SHUFFLES - start), 1))
        yield random.permuted(block, axis=1)


def _left_out(values: np.ndarray) -> np.ndarray:
    """Means of the points without each repetition (repetitions x points).

    A point that had that repetition alone keeps it.
    """
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    without = total[:, None] - np.where(known, values, 0.0)
    left = count[:, None] - known
    means: np.ndarray = np.where(left > 0, without / np.where(left > 0, left, 1), total[:, None])
    return means.T.round(12)


def _jackknife(share: float, without: np.ndarray) -> tuple[float, float]:
    """A 95 % interval within [0, 1] from the shares without each repetition (Tukey 1958)."""
    count = len(without)
    if count < 3:
        return float("nan"), float("nan")
    from scipy import special

    error = math.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    reach = float(special.stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return max(0.0, float(share) - reach), min(1.0, float(share) + reach)
