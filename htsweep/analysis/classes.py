"""How well each class does, and what its images are taken for, at what the protocol chose."""

from __future__ import annotations

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.interval import means

ANSWERED = ("trial", "label", "predicted", "images", "missing")
"""The columns of a table of answers, beside the factors and `sweep`: of a trial's test images of
class `label`, how many were taken for class `predicted` (pairs without an image have no row), and
whether the class was missing in the trial.
"""


def classes(answered: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row per sweep and class: how often its images are recognised.

    The factors, `sweep`, `label`, `n`, `missing`, `mean`, `low`, `high`.

    The mean is over the `n` repetitions that tested the class, of its share of images that were
    taken for what they are; in `missing` of them it was a missing class. The interval is
    `interval.student`, cut off at 0 and 1.
    """
    keys = list(dict.fromkeys([*design.factors, "sweep", "label"]))
    right = answered["images"].where(answered["predicted"] == answered["label"], 0)
    trials = (
        answered.assign(_right=right)
        .groupby([*keys, "trial", "missing"], sort=False, observed=True, dropna=False)
        .agg(_right=("_right", "sum"), _of=("images", "sum"))
        .reset_index()
    )
    trials["mean"] = trials["_right"] / trials["_of"]
    table = means(trials, keys, ["mean"])
    table[["mean low", "mean high"]] = table[["mean low", "mean high"]].clip(0.0, 1.0)
    missing = trials.groupby(keys, sort=False, observed=True, dropna=False)["missing"].sum()
    return (
        table.assign(missing=missing.to_numpy().astype(int))
        .rename(columns={"mean n": "n", "mean low": "low", "mean high": "high"})[
            [*keys, "n", "missing", "mean", "low", "high"]
        ]
        .sort_values("label", kind="stable")
        .reset_index(drop=True)
    )


def confusion(answered: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row per sweep, class and class that it is taken for.

    The factors, `sweep`, `label`, `predicted`, `share`.

    The share is the mean over the repetitions that tested the class; those of a class add up to 1,
    and pairs that never occurred have no row.
    """
    keys = list(dict.fromkeys([*design.factors, "sweep", "label"]))
    grouped = answered.groupby([*keys, "trial"], sort=False, observed=True, dropna=False)
    shares = answered.assign(share=answered["images"] / grouped["images"].transform("sum"))
    tested = shares.groupby(keys, sort=False, observed=True, dropna=False)["trial"].nunique()
    summed = shares.groupby([*keys, "predicted"], sort=False, observed=True, dropna=False)
    table = summed["share"].sum().reset_index()
    table = table.merge(tested.rename("_tested").reset_index(), on=keys)
    return (
        table.assign(share=table["share"] / table["_tested"])
        .drop(columns="_tested")
        .sort_values(["label", "predicted"], kind="stable")
        .reset_index(drop=True)
    )
