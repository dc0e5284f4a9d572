"""What a method changes against a baseline: paired differences, their intervals and verdicts.

Pairs are repetitions of one group: a repetition has the same class split, data order and seeds for
every method, so that what it adds to both cancels in the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.interval import LEVEL
from htsweep.analysis.new_images import Images
from htsweep.analysis.paired import COLUMNS, against, groups_of, judged, shares_of, wide


def effects(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    baseline: str,
    *,
    tested: pd.Series | None = None,
    images: Images | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group, compared value and metric: its paired differences from the baseline.

    Columns: the groups' factors, the compared one, `metric`, `baseline`; what
    `significance.judge` says of the differences value - baseline over the pairs (repetitions that
    both have); `improvement`, the probability that a run of it is above a run of the baseline
    (Agarwal et al., NeurIPS 2021: over all pairs of runs, a tie counts half). The baseline itself
    has no row.

    Where it is known what each image adds to the numbers, or the share of images that is tested,
    verdicts and intervals are about new images of the same kind; elsewhere they are conditional on
    the images that there are, and say what other seeds (and splits) of them would give.

    A family is all compared values of one group and metric. An upper bound (nobody can choose it)
    takes no part in it: its `p_holm` is NaN and its verdict `bound`. `better` and `worse` say that
    the metric is shown to be higher or lower: p_holm < 0.05, and the interval excludes 0. `too few`
    says that even differences that are all of one sign, for the whole family, would leave p_holm >=
    0.05 (n < 6 for one value, n < 10 for 18). Values that share no repetition with the baseline
    have n = 0 and NaNs; a group without the baseline, or a value without the metric, has no row.
    Sweeps that no factor tells apart are averaged within a repetition.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns make a group, and which is compared.
        metrics: the columns to compare; those that are missing, or hold no numbers, are left out.
        baseline: the value of the compared factor that the others are compared with.
        tested: sweep -> the share of the target's images that each repetition tests, drawn anew.
        images: what each image adds to the numbers of `chosen`, as far as it is known.
        level: of the intervals.
    """
    families = []
    shares = shares_of(chosen, design.groups, tested)
    for group in groups_of(chosen, design, metrics):
        share = shares.get(tuple(group.factors.values()), float("nan"))
        for metric in group.runs.columns:
            shared = {**group.factors, "metric": metric, "baseline": baseline, "tested": share}
            rows = against(wide(group.runs[metric]), design.compared, baseline, group)
            families.append([{**shared, **row} for row in rows])
    return pd.DataFrame(
        judged(families, images, level),
        columns=[*design.factors, "metric", "baseline", *COLUMNS],
    )


def runners_up(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    *,
    tested: pd.Series | None = None,
    images: Images | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per group and metric: the second highest value's differences from the highest.

    `baseline` is the value with the highest mean over its repetitions, and the compared value the
    one with the next; upper bounds take no part. The family of `p_holm` is all rivals of the
    highest, since any of them could have come second. Columns and arguments are otherwise as in
    `effects`; a group of one value has no row.
    """
    families, places = [], []
    shares = shares_of(chosen, design.groups, tested)
    for group in groups_of(chosen, design, metrics):
        share = shares.get(tuple(group.factors.values()), float("nan"))
        for metric in group.runs.columns:
            table = wide(group.runs[metric])
            table = table.drop(columns=[name for name in table.columns if name in group.bounds])
            order = table.mean().sort_values(ascending=False, kind="stable").index
            if len(order) < 2:
                continue
            shared = {**group.factors, "metric": metric, "baseline": str(order[0]), "tested": share}
            rivals = against(table, design.compared, str(order[0]), group, bounded=False)
            families.append([{**shared, **row} for row in rivals])
            places.append(order[1])
    judged(families, images, level)
    rows = [
        next(row for row in family if row[design.compared] == second)
        for family, second in zip(families, places, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*design.factors, "metric", "baseline", *COLUMNS])
