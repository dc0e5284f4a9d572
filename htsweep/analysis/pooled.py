"""What a method changes over all groups of a study, and what the evidence for it is counted in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.blocks import Blocks
from htsweep.analysis.design import Design
from htsweep.analysis.interval import LEVEL
from htsweep.analysis.new_images import Images
from htsweep.analysis.paired import COLUMNS, Group, against, groups_of, judged, shares_of, wide
from htsweep.analysis.significance import ALPHA
from htsweep.planning.power import least_p

REPETITION, BLOCK = "repetition", "block"
"""What a pair of `pooled` is."""


def pooled(
    chosen: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    baseline: str,
    *,
    tested: pd.Series | None = None,
    images: Images | None = None,
    independent: Blocks | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per compared value and metric: its paired differences over all groups.

    `groups` is how many groups count; `unit` is what a pair is. It is the block (a target, say)
    where there are so many independent ones that the exact test over them can show something, six
    at least: its difference is the mean over its groups of their means over repetitions, and what
    is shown holds for other targets of the kind. Else it is the repetition: its difference is the
    mean over the groups. Groups share a repetition's seeds, and datasets its class splits, so that
    differences of one repetition are not independent evidence; those of different repetitions are.
    What is shown then holds for these groups, not for others.

    Every group that has a pair counts, and a repetition that lacks one of them does not, so that no
    dataset weighs more in one repetition than in another. `improvement` is the mean over groups, as
    rliable defines it over tasks. A family is all compared values of a metric. Of the groups'
    tested shares the largest counts, and none where one is not known. Everything else, columns and
    arguments included, is as in `effects`.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns make a group, and which is compared.
        metrics: the columns to compare.
        baseline: the value of the compared factor that the others are compared with.
        tested: sweep -> the share of the target's images that each repetition tests, drawn anew.
        images: what each image adds to the numbers of `chosen`, as far as it is known.
        independent: the block of each row of `chosen`; None: the unit is the repetition.
        level: of the intervals.
    """
    groups = list(groups_of(chosen, design, metrics))
    block = _block_of(groups, independent)
    shares = shares_of(chosen, design.groups, tested)
    families = []
    for metric in dict.fromkeys(name for group in groups for name in group.runs.columns):
        rows = [
            {
                **row,
                "tested": shares.get(tuple(group.factors.values()), float("nan")),
                "block": None if block is None else block[place],
            }
            for place, group in enumerate(groups)
            if metric in group.runs.columns
            for row in against(wide(group.runs[metric]), design.compared, baseline, group)
        ]
        values = dict.fromkeys(row[design.compared] for row in rows)
        over = _over_repetitions if block is None else _over_blocks
        families.append(
            [
                {
                    design.compared: value,
                    "metric": metric,
                    "baseline": baseline,
                    "unit": REPETITION if block is None else BLOCK,
                    **over(_counted([row for row in rows if row[design.compared] == value])),
                }
                for value in values
            ]
        )
    columns = [design.compared, "metric", "baseline", "groups", "unit", *COLUMNS]
    return pd.DataFrame(judged(families, images, level), columns=columns)


def _block_of(groups: Sequence[Group], independent: Blocks | None) -> list[Any] | None:
    """The block of each group; None where blocks are too few, or one group lies in several."""
    if independent is None or independent.of is None:
        return None
    inside = [independent.of.loc[group.rows].unique() for group in groups]
    if any(len(own) != 1 for own in inside):
        return None
    block = [own[0] for own in inside]
    return block if block and least_p(len(set(block))) < ALPHA else None


def _counted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups where the value is an upper bound count only if it is one in all groups."""
    return [row for row in rows if not row["bound"]] or rows


def _over_blocks(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One compared value's rows of several groups as one, with a difference per block."""
    means = pd.Series([row["differences"].mean() for row in rows], [row["block"] for row in rows])
    known = means.dropna()
    return {**_shared(rows), "differences": known.groupby(level=0, sort=False).mean()}


def _over_repetitions(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One compared value's rows of several groups as one, with a difference per repetition."""
    counted = [row for row in rows if row["differences"].notna().any()]
    paired = [row["differences"].dropna() for row in counted]
    # Repetitions that are not in every group drop out with the NaN that alignment leaves.
    change = (
        pd.concat(paired, axis=1).mean(axis=1, skipna=False) if paired else pd.Series(dtype=float)
    )
    return {
        **_shared(rows),
        "differences": change,
        "terms": {
            repetition: [
                (weight / len(counted), sweep, number)
                for row in counted
                for weight, sweep, number in row["terms"][repetition]
            ]
            for repetition in change.dropna().index
        },
        "tested": float(np.max([row["tested"] for row in counted])) if counted else np.nan,
    }


def _shared(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "groups": sum(bool(row["differences"].notna().any()) for row in rows),
        "improvement": float(np.mean([row["improvement"] for row in rows])),
        "bound": all(row["bound"] for row in rows),
    }
