"""What a protocol costs: test results under each, and the gap to the choice by test accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.analysis.interval import LEVEL, means

VOLUME = "hypervolume"
"""The metric: the area above the origin that a protocol's submission, point or front, dominates."""


def protocols(
    measurements: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    repetitions: int | None = None,
    choices: Mapping[str, pd.DataFrame] | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per sweep, protocol and metric: the mean and the gap to the choice by test accuracy.

    `gap` is the mean over repetitions of that choice's number minus the protocol's, at their points
    and steps, with its interval. It has the best overall accuracy; for other metrics its
    gap may be negative. The metric `hypervolume` is the area in the plane of seen and missing test
    accuracy, for each repetition separately; there it submits the front of the means on
    test data.

    Args:
        measurements: one row per measurement; those of whole points count.
        design: which columns are the factors.
        metrics: the columns to report.
        names: the protocols, built in or `module:function`; None: the built-in ones whose columns
            were measured.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        choices: what protocols pick, where it is already known.
        level: of the intervals.
    """
    measured = [str(name) for name in measurements.columns]
    asked = selection.possible(measured) if names is None else list(names)
    keys = list(dict.fromkeys([*design.factors, "sweep", "protocol"]))
    known_choices = choices or {}
    rows = []
    for name in asked:
        choice = known_choices.get(name)
        if choice is None:
            choice = selection.choice(measurements, name, repetitions)
        rows.append(
            _rows(measurements, name, choice, design, metrics=metrics, repetitions=repetitions)
        )
    every = pd.concat(
        [part for part in rows if len(part)]
        or [pd.DataFrame(columns=[*keys, "metric", "repetition", "value"])],
        ignore_index=True,
    )
    best = every[every["protocol"] == selection.BEST][["sweep", "metric", "repetition", "value"]]
    every = every.merge(
        best.rename(columns={"value": "_best"}), on=["sweep", "metric", "repetition"], how="left"
    )
    every["gap"] = every["_best"] - every["value"]
    if every.empty:
        return pd.DataFrame(
            columns=[*keys, "metric", "n", "mean", "low", "high", "gap", "gap low", "gap high"]
        )
    averages = means(every, [*keys, "metric"], ["value", "gap"], level)
    return averages.rename(
        columns={"value": "mean", "value low": "low", "value high": "high", "value n": "n"}
    )[[*keys, "metric", "n", "mean", "low", "high", "gap", "gap low", "gap high"]]


def caution(sampler: str, objectives: Sequence[str]) -> str:
    """A warning of how an adaptive sampler biases the comparison of protocols; empty for others."""
    if sampler not in ("tpe", "nsga2"):
        return ""
    names = ", ".join(objectives)
    leak = [name for name in objectives if name.startswith(selection.TEST)]
    worse = (
        f" It optimised test columns ({', '.join(leak)}), so the results of every protocol benefit "
        "from test data."
        if leak
        else ""
    )
    return (
        f"The points were proposed by {sampler} to optimise {names}: a protocol that reads the "
        f"same columns finds more good points than the others, so the comparison favours it.{worse}"
    )


def _rows(
    measurements: pd.DataFrame,
    protocol: str,
    choice: pd.DataFrame,
    design: Design,
    *,
    metrics: Sequence[str],
    repetitions: int | None,
) -> pd.DataFrame:
    """(factors, sweep, protocol, metric, repetition, value) of what the protocol picks.

    Where both accuracies are measured, also the area of what it submits.
    """
    chosen = selection.at(measurements, choice)
    known = [
        name
        for name in metrics
        if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])
    ]
    about = list(dict.fromkeys([*design.factors, "sweep"]))
    long = (
        chosen[[*about, "repetition", *known]]
        .melt([*about, "repetition"], known, var_name="metric", value_name="value")
        .assign(protocol=protocol)
    )
    if not {SEEN, MISSING} <= set(chosen.columns):
        return long
    front = chosen
    if selection.find(protocol).submit is not None:
        front = selection.at(measurements, selection.submitted(measurements, protocol, repetitions))
    area = _areas(front, about).assign(protocol=protocol, metric=VOLUME)
    return pd.concat([long, area], ignore_index=True)


def _areas(rows: pd.DataFrame, about: Sequence[str]) -> pd.DataFrame:
    """`value`: the area that the rows of each sweep and repetition dominate above the origin."""
    import moocore

    def area(points: np.ndarray) -> float:
        known = points[~np.isnan(points).any(axis=1)]
        return (
            float(moocore.hypervolume(known, ref=[0.0, 0.0], maximise=True))
            if len(known)
            else float("nan")
        )

    keys = [*about, "repetition"]
    single = ~rows.duplicated(keys, keep=False)
    alone = rows[single][keys].assign(value=rows[single][SEEN] * rows[single][MISSING])
    several = [
        (*key, area(inside[[SEEN, MISSING]].to_numpy(float)))
        for key, inside in rows[~single].groupby(keys, sort=False, observed=True, dropna=False)
    ]
    return pd.concat(
        [alone, pd.DataFrame(several, columns=[*keys, "value"]).astype(alone.dtypes.to_dict())],
        ignore_index=True,
    )
